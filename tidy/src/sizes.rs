//! Files and functions short enough to read at one sitting, and nothing heavy.

use proc_macro2::Span;
use syn::visit::{self, Visit};

use crate::{Offence, Source};

/// Longest file, in lines.
pub const FILE_LINES: usize = 400;
/// Longest function, in lines, from `fn` to its closing brace.
pub const FUNCTION_LINES: usize = 70;
/// Largest file in the repository, in bytes.
pub const FILE_BYTES: u64 = 1 << 20;

/// Files over [`FILE_LINES`].
pub fn file_length(source: &Source) -> Vec<Offence> {
    let lines = source.text.lines().count();
    let what = format!("{lines} lines, at most {FILE_LINES}: split it by noun");
    let long = lines > FILE_LINES;
    long.then(|| Offence::new(&source.path, FILE_LINES + 1, what))
        .into_iter()
        .collect()
}

/// Functions over [`FUNCTION_LINES`].
pub fn function_length(source: &Source) -> Vec<Offence> {
    let long = source.functions.iter().filter_map(|function| {
        let lines = function.last + 1 - function.first;
        let name = &function.name;
        let what = format!("`{name}` has {lines} lines, at most {FUNCTION_LINES}: split it");
        (lines > FUNCTION_LINES).then(|| Offence::new(&source.path, function.first, what))
    });
    long.collect()
}

/// Files over [`FILE_BYTES`].
pub fn weight(path: &str, bytes: u64) -> Option<Offence> {
    let what = format!("{bytes} bytes, at most {FILE_BYTES}: generate it or leave it out");
    (bytes > FILE_BYTES).then(|| Offence::new(path, 1, what))
}

/// A function and its first and last line.
#[derive(Debug, Clone)]
pub(crate) struct Function {
    name: String,
    first: usize,
    last: usize,
}

/// The functions of a file, wherever they stand; those in macros are not seen.
pub(crate) fn functions(syntax: &syn::File) -> Vec<Function> {
    let mut functions = Functions(Vec::new());
    functions.visit_file(syntax);
    functions.0
}

struct Functions(Vec<Function>);

impl Functions {
    fn add(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let line = |span: Span| span.end().line;
        self.0.push(Function {
            name: signature.ident.to_string(),
            first: line(signature.fn_token.span),
            last: line(block.brace_token.span.close()),
        });
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.add(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.add(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(block) = &function.default {
            self.add(&function.sig, block);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(lines: usize) -> Source {
        Source::parse("a.rs", &"//\n".repeat(lines)).unwrap()
    }

    #[test]
    fn a_file_may_have_400_lines_and_no_more() {
        assert_eq!(file_length(&file(400)), []);
        let offences = file_length(&file(401));
        assert_eq!(offences.len(), 1);
        assert_eq!(offences[0].line, 401);
    }

    fn function(before: &str, lines: usize, after: &str) -> Vec<Offence> {
        let body = "    a();\n".repeat(lines - 2);
        let text = format!("{before}/// Docs.\n#[attribute]\nfn f() {{\n{body}}}\n{after}");
        function_length(&Source::parse("a.rs", &text).unwrap())
    }

    #[test]
    fn a_function_may_have_70_lines_and_no_more_wherever_it_stands() {
        for (before, after, line) in [
            ("", "", 3),
            ("impl A {\n", "}", 4),
            ("trait A {\n", "}", 4),
            ("mod a {\n", "}", 4),
        ] {
            assert_eq!(function(before, 70, after), [], "{before}");
            let offences = function(before, 71, after);
            assert_eq!(offences.len(), 1, "{before}");
            assert_eq!(offences[0].line, line, "{before}");
        }
    }

    #[test]
    fn a_file_may_weigh_one_mebibyte_and_no_more() {
        assert_eq!(weight("a", FILE_BYTES), None);
        assert!(weight("a", FILE_BYTES + 1).is_some());
    }
}
