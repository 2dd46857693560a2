//! One Rust file, parsed once for all rules.

use std::ops::RangeInclusive;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, Meta, Token, punctuated::Punctuated};

use crate::Offence;
use crate::paths::{self, Named};
use crate::sizes::{self, Function};

/// What the rules need to know of a file, and which of its lines are compiled
/// for tests only. Comments are in the text alone.
#[derive(Debug, Clone)]
pub struct Source {
    /// Relative to the root of the repository, with `/`.
    pub path: String,
    /// The whole text.
    pub text: String,
    pub(crate) words: Vec<Word>,
    pub(crate) named: Vec<Named>,
    pub(crate) functions: Vec<Function>,
    /// The files (without `.rs`) of modules declared as `#[cfg(test)] mod x;`.
    pub(crate) test_modules: Vec<String>,
    test_lines: Vec<RangeInclusive<usize>>,
    all_test: bool,
}

/// A token; brackets are tokens of their own here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) line: usize,
}

impl Source {
    /// Parses a file.
    ///
    /// # Errors
    /// A file that is no Rust is an offence of its own.
    pub fn parse(path: &str, text: &str) -> Result<Source, Offence> {
        let at = |error: syn::Error| {
            let line = error.span().start().line;
            Offence::new(path, line, format!("cannot be parsed: {error}"))
        };
        let syntax = syn::parse_file(text).map_err(at)?;
        // Not from `syntax`: tokens keep what is inside macros as written.
        let tokens: TokenStream = text.parse().map_err(|error| at(syn::Error::from(error)))?;
        let mut regions = TestRegions(Vec::new());
        regions.visit_file(&syntax);
        let mut words = Vec::new();
        flatten(&tokens, &mut words);
        Ok(Source {
            path: path.to_owned(),
            text: text.to_owned(),
            words,
            named: paths::named(&tokens),
            functions: sizes::functions(&syntax),
            test_modules: test_modules(path, &syntax),
            test_lines: regions.0,
            all_test: path.starts_with("tests/") || path.contains("/tests/"),
        })
    }

    /// Whether a line is compiled for tests only: in a `tests` directory, in a
    /// `#[cfg(test)]` item or in a `#[test]`.
    pub fn is_test(&self, line: usize) -> bool {
        self.all_test || self.test_lines.iter().any(|lines| lines.contains(&line))
    }

    /// The crate whose `src` this is: `redial-net` of `crates/redial-net/src/…`.
    pub fn library(&self) -> Option<&str> {
        let (name, rest) = self.path.strip_prefix("crates/")?.split_once('/')?;
        rest.starts_with("src/").then_some(name)
    }

    /// Says that the whole file is compiled for tests only.
    pub(crate) fn mark_test(&mut self) {
        self.all_test = true;
    }
}

fn flatten(tokens: &TokenStream, words: &mut Vec<Word>) {
    for tree in tokens.clone() {
        let line = tree.span().start().line;
        let TokenTree::Group(group) = tree else {
            let text = tree.to_string();
            words.push(Word { text, line });
            continue;
        };
        let (open, close) = match group.delimiter() {
            Delimiter::Parenthesis => ("(", ")"),
            Delimiter::Brace => ("{", "}"),
            Delimiter::Bracket => ("[", "]"),
            Delimiter::None => ("", ""),
        };
        let bracket = |text: &str, line| Word {
            text: text.to_owned(),
            line,
        };
        words.push(bracket(open, line));
        flatten(&group.stream(), words);
        words.push(bracket(close, group.span_close().start().line));
    }
}

fn test_modules(path: &str, syntax: &syn::File) -> Vec<String> {
    let (dir, file) = path.rsplit_once('/').unwrap_or(("", path));
    let base = match file.strip_suffix(".rs").unwrap_or(file) {
        "lib" | "main" | "mod" => dir.to_owned(),
        stem => format!("{dir}/{stem}"),
    };
    let declared = syntax.items.iter().filter_map(|item| match item {
        Item::Mod(module) if module.content.is_none() && only_test(&module.attrs) => {
            Some(format!("{base}/{}", module.ident))
        }
        _ => None,
    });
    declared.collect()
}

struct TestRegions(Vec<RangeInclusive<usize>>);

impl<'ast> Visit<'ast> for TestRegions {
    fn visit_item(&mut self, item: &'ast Item) {
        if only_test(attributes(item)) {
            let span = item.span();
            self.0.push(span.start().line..=span.end().line);
        } else {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if only_test(&function.attrs) {
            let span = function.span();
            self.0.push(span.start().line..=span.end().line);
        } else {
            visit::visit_impl_item_fn(self, function);
        }
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether attributes say "for tests only": `#[test]`, `#[tokio::test]`, or a
/// `cfg` that cannot hold otherwise. `any(test, …)` can.
fn only_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let path = attribute.path();
        if path.is_ident("cfg") {
            return attribute
                .parse_args()
                .is_ok_and(|meta: Meta| needs_test(&meta));
        }
        path.segments.last().is_some_and(|s| s.ident == "test")
    })
}

fn needs_test(meta: &Meta) -> bool {
    match meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("all") => list
            .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
            .is_ok_and(|all| all.iter().any(needs_test)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str, text: &str) -> Source {
        Source::parse(path, text).unwrap()
    }

    #[test]
    fn lines_of_tests_are_told_from_the_rest() {
        let source = parse(
            "crates/a/src/lib.rs",
            "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n",
        );
        let tests: Vec<usize> = (1..=6).filter(|line| source.is_test(*line)).collect();
        assert_eq!(tests, [2, 3, 4, 5]);
    }

    #[test]
    fn a_cfg_that_can_hold_without_tests_is_none() {
        for (cfg, expected) in [
            ("test", true),
            ("all(test, unix)", true),
            ("not(test)", false),
            ("any(test, unix)", false),
            ("feature = \"test\"", false),
        ] {
            let source = parse("src/lib.rs", &format!("#[cfg({cfg})]\nmod m {{}}\n"));
            assert_eq!(source.is_test(2), expected, "{cfg}");
        }
    }

    #[test]
    fn a_tests_directory_is_all_tests() {
        assert!(parse("crates/a/tests/b.rs", "fn a() {}").is_test(1));
        assert!(!parse("crates/a/src/latests.rs", "fn a() {}").is_test(1));
    }

    #[test]
    fn modules_of_tests_in_other_files_are_named() {
        let text = "#[cfg(test)] mod tests; mod real;";
        let modules = |path| parse(path, text).test_modules;
        assert_eq!(modules("a/src/lib.rs"), ["a/src/tests"]);
        assert_eq!(modules("a/src/job.rs"), ["a/src/job/tests"]);
    }

    #[test]
    fn what_is_no_rust_is_an_offence() {
        assert!(Source::parse("a.rs", "fn (").is_err());
    }
}
