//! The paths that a file names (`std::process::exit`), read from its tokens, so
//! that those inside macros count too. Names that `use` brought in are written
//! out in full.

use std::collections::HashMap;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// One path in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// Written out: `exit` after `use std::process::exit` is
    /// `std::process::exit`; a glob ends in `::*`.
    pub(crate) path: String,
    /// The line of its first segment, from 1.
    pub(crate) line: usize,
    /// Whether it stands in a `use`.
    pub(crate) import: bool,
}

impl Named {
    /// Whether this is `path`, something below it, or a glob that brings it in.
    pub(crate) fn reaches(&self, path: &str) -> bool {
        let below = |long: &str, short: &str| {
            long.strip_prefix(short)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        match self.path.strip_suffix("::*") {
            Some(module) => below(module, path) || below(path, module),
            None => below(&self.path, path),
        }
    }
}

/// All paths of a file, in order.
pub(crate) fn named(tokens: &TokenStream) -> Vec<Named> {
    let mut scan = Scan::default();
    scan.tokens(tokens.clone(), &[], false);
    let Scan { mut found, imports } = scan;
    for named in &mut found {
        let (first, rest) = match named.path.split_once("::") {
            Some((first, rest)) => (first, Some(rest)),
            None => (named.path.as_str(), None),
        };
        if let Some(full) = imports.get(first).filter(|_| !named.import) {
            named.path = match rest {
                Some(rest) => format!("{full}::{rest}"),
                None => full.clone(),
            };
        }
    }
    found
}

#[derive(Default)]
struct Scan {
    found: Vec<Named>,
    /// A name that `use` brought in, and the path it stands for.
    imports: HashMap<String, String>,
}

impl Scan {
    /// Reads paths; inside the braces of a `use`, each begins with `prefix`.
    fn tokens(&mut self, tokens: TokenStream, prefix: &[String], mut import: bool) {
        let trees: Vec<TokenTree> = tokens.into_iter().collect();
        let within_use = import;
        let mut at = 0;
        while let Some(tree) = trees.get(at) {
            match tree {
                TokenTree::Ident(word) if *word == "use" => {
                    import = true;
                    at += 1;
                }
                TokenTree::Ident(_) if after_dot(&trees, at) => at += 1,
                TokenTree::Ident(_) => at = self.path(&trees, at, prefix, import),
                TokenTree::Punct(punct) if punct.as_char() == '*' && within_use => {
                    self.found.push(Named {
                        path: [prefix, &["*".to_owned()]].concat().join("::"),
                        line: punct.span().start().line,
                        import,
                    });
                    at += 1;
                }
                TokenTree::Punct(punct) => {
                    import &= within_use || punct.as_char() != ';';
                    at += 1;
                }
                TokenTree::Group(group) => {
                    self.tokens(group.stream(), prefix, within_use || import);
                    at += 1;
                }
                TokenTree::Literal(_) => at += 1,
            }
        }
    }

    /// Reads the path that begins at `at`; returns where it ends.
    fn path(
        &mut self,
        trees: &[TokenTree],
        mut at: usize,
        prefix: &[String],
        import: bool,
    ) -> usize {
        let line = trees[at].span().start().line;
        let mut segments = prefix.to_vec();
        while let Some(TokenTree::Ident(word)) = trees.get(at) {
            segments.push(word.to_string());
            at += 1;
            if !(is_punct(trees, at, ':') && is_punct(trees, at + 1, ':')) {
                break;
            }
            match trees.get(at + 2) {
                Some(TokenTree::Ident(_)) => at += 2,
                Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                    self.tokens(group.stream(), &segments, true);
                    return at + 3;
                }
                Some(TokenTree::Punct(star)) if star.as_char() == '*' => {
                    segments.push("*".to_owned());
                    at += 3;
                    break;
                }
                _ => break,
            }
        }
        if import && segments.last().is_some_and(|last| last == "self") {
            segments.pop();
        }
        let path = segments.join("::");
        if import {
            let renamed = match trees.get(at) {
                Some(TokenTree::Ident(word)) if *word == "as" => trees.get(at + 1),
                _ => None,
            };
            let name = match renamed {
                Some(name) => {
                    at += 2;
                    Some(name.to_string())
                }
                None => segments.pop(),
            };
            self.imports.extend(name.map(|name| (name, path.clone())));
        }
        self.found.push(Named { path, line, import });
        at
    }
}

/// Whether a word is a field or method: after one dot, not after a range's two.
fn after_dot(trees: &[TokenTree], at: usize) -> bool {
    at >= 1 && is_punct(trees, at - 1, '.') && !(at >= 2 && is_punct(trees, at - 2, '.'))
}

fn is_punct(trees: &[TokenTree], at: usize, wanted: char) -> bool {
    matches!(trees.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str, path: &str) -> Vec<usize> {
        named(&text.parse().unwrap())
            .iter()
            .filter(|named| named.reaches(path))
            .map(|named| named.line)
            .collect()
    }

    #[test]
    fn a_path_is_found_however_it_is_brought_in() {
        for text in [
            "fn f() { std::process::exit(1) }",
            "fn f() { ::std::process::exit(1) }",
            "use std::process::exit;",
            "use std::{fs, process::{self, exit}};",
            "use std::process::{exit as leave};",
            "use std::process::*;",
            "use std::process; fn f() { process::exit(1) }",
            "use std::{process}; fn f() { process::exit(1) }",
            "use std::{process::{self}}; fn f() { process::exit(1) }",
            "use std::process as p; fn f() { p::exit(1) }",
            "fn f() { some_macro!(a, { std::process::exit(1) }) }",
            "fn f() { match 1 { 0 => 0, _ => std::process::exit(1) }; 0..std::process::exit(1) }",
        ] {
            assert!(!names(text, "std::process::exit").is_empty(), "{text}");
        }
    }

    #[test]
    fn another_path_is_not_taken_for_it() {
        for text in [
            "use std::process::Command; fn f() { Command::new(a).exit() }",
            "fn f() { exit(1); self.process::<u8>(); process::exit(1) }",
            "// std::process::exit\nfn f() { \"std::process::exit\"; }",
            "fn f() { std::process::exit_code() }",
        ] {
            assert_eq!(names(text, "std::process::exit"), [0; 0], "{text}");
        }
    }

    #[test]
    fn a_use_ends_at_its_semicolon() {
        let found = named(&"use a::b; fn c() { d::e() }".parse().unwrap());
        let last = found.last().unwrap();
        assert_eq!((last.path.as_str(), last.import), ("d::e", false));
    }

    #[test]
    fn the_line_is_that_of_the_path() {
        assert_eq!(names("fn f() {\n\n    a::b();\n}", "a::b"), [3]);
    }
}
