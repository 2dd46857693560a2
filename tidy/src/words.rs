//! What may not stay in the tree: unfinished code, tests that do not run.

use crate::source::Word;
use crate::{Offence, Source};

/// Macros that stand for code nobody wrote yet.
const UNFINISHED: [&str; 2] = ["todo", "unimplemented"];
/// Marks for later. Split, so that this file does not break its own rule.
const MARKS: [&str; 2] = [concat!("FIX", "ME"), concat!("XX", "X")];

/// Unfinished code, marks for later, and tests or examples that never run.
pub fn finished(source: &Source) -> Vec<Offence> {
    let mut offences = Vec::new();
    let mut add = |line, what: String| offences.push(Offence::new(&source.path, line, what));
    macros_and_attributes(&source.words, &mut add);
    for (index, line) in source.text.lines().enumerate() {
        for mark in MARKS.iter().filter(|mark| has_word(line, mark)) {
            add(index + 1, format!("`{mark}`: do it, or make it an issue"));
        }
        let comment = line.trim_start();
        let docs = comment.strip_prefix("///").or(comment.strip_prefix("//!"));
        if docs.is_some_and(|docs| docs.trim_start().starts_with("```ignore")) {
            let what = "an example that never runs: make it run, or `no_run`, or `text`";
            add(index + 1, what.to_owned());
        }
    }
    offences.sort();
    offences
}

fn macros_and_attributes(words: &[Word], add: &mut impl FnMut(usize, String)) {
    for (at, word) in words.iter().enumerate() {
        let text = |offset: usize| words.get(at + offset).map_or("", |word| word.text.as_str());
        if UNFINISHED.contains(&text(0)) && text(1) == "!" {
            let what = format!("`{}!`: write it, or return a typed refusal", word.text);
            add(word.line, what);
        }
        if text(0) == "#" && text(1) == "[" && ignores(&words[at + 2..]) {
            let what = "a test that never runs: let it run, or skip with a reason";
            add(word.line, what.to_owned());
        }
    }
}

/// Whether an attribute is `ignore`, or a `cfg_attr` that may become it.
fn ignores(attribute: &[Word]) -> bool {
    let mut words = attribute.iter().map(|word| word.text.as_str());
    match words.next() {
        Some("ignore") => true,
        Some("cfg_attr") => words
            .take_while(|word| *word != "]")
            .any(|word| word == "ignore"),
        _ => false,
    }
}

/// Whether a line has the word, not as part of a longer one.
fn has_word(line: &str, word: &str) -> bool {
    let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| {
        !joins(line[..at].chars().next_back()) && !joins(line[at + word.len()..].chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        let source = Source::parse("a.rs", text).unwrap();
        finished(&source)
            .iter()
            .map(|offence| offence.line)
            .collect()
    }

    #[test]
    fn unfinished_code_is_found_in_macros_too() {
        assert_eq!(lines("fn a() {\n    todo!()\n}"), [2]);
        assert_eq!(lines("fn a() { unimplemented!(\"later\") }"), [1]);
        assert_eq!(lines("m! {\n  x => { todo!() }\n}"), [2]);
    }

    #[test]
    fn a_test_that_never_runs_is_found() {
        assert_eq!(lines("#[test]\n#[ignore]\nfn a() {}"), [2]);
        assert_eq!(lines("#[ignore = \"slow\"]\nfn a() {}"), [1]);
        assert_eq!(lines("#[cfg_attr(unix, ignore)]\nfn a() {}"), [1]);
        assert_eq!(lines("/// ```ignore\n/// a\n/// ```\nfn a() {}"), [1]);
    }

    #[test]
    fn marks_for_later_are_found() {
        for mark in MARKS {
            assert_eq!(lines(&format!("\n// {mark}: later")), [2]);
            assert_eq!(lines(&format!("// redial.{mark}{mark}")), [0; 0]);
        }
    }

    #[test]
    fn mention_and_likeness_are_no_offence() {
        let text =
            "/// `todo!` is banned.\nfn todo() { let ignore = 1; ignore!(\"unimplemented!\") }";
        assert_eq!(lines(text), [0; 0]);
    }
}
