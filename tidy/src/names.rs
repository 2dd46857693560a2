//! Files named after what they hold, and saying so in their first line.

use crate::{Offence, Source};

/// Names that say nothing of what is inside.
const EMPTY_NAMES: [&str; 5] = ["utils", "util", "helpers", "misc", "common"];

/// Files and module directories whose name says nothing.
pub fn telling_name(path: &str) -> Option<Offence> {
    let is_empty = |part: &str| EMPTY_NAMES.contains(&part.strip_suffix(".rs").unwrap_or(part));
    let found = path.ends_with(".rs").then(|| path.split('/'))?;
    let part = found.into_iter().find(|part| is_empty(part))?;
    let what = format!("`{part}` says nothing: split it by noun");
    Some(Offence::new(path, 1, what))
}

/// Files whose first line is no `//!`.
pub fn module_docs(source: &Source) -> Option<Offence> {
    let documented = source.text.strip_prefix("//!").is_some_and(|rest| {
        rest.lines()
            .next()
            .is_some_and(|line| !line.trim().is_empty())
    });
    let what = "begins without `//!`: say in one line what the file holds";
    (!documented).then(|| Offence::new(&source.path, 1, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_says_nothing_is_found() {
        for path in [
            "crates/a/src/utils.rs",
            "a/tests/common/mod.rs",
            "misc.rs",
            "a/helpers.rs",
        ] {
            assert!(telling_name(path).is_some(), "{path}");
        }
        for path in ["crates/a/src/utilisation.rs", "docs/common.md", "a/mod.rs"] {
            assert_eq!(telling_name(path), None, "{path}");
        }
    }

    #[test]
    fn a_file_begins_with_its_docs() {
        let offence = |text| module_docs(&Source::parse("a.rs", text).unwrap());
        assert_eq!(offence("//! What it holds.\nfn a() {}"), None);
        for text in [
            "",
            "fn a() {}",
            "//!\n//! Late.\n",
            "// A comment.\n//! Late.\n",
            "\n//! Late.\n",
        ] {
            assert!(offence(text).is_some(), "{text:?}");
        }
    }
}
