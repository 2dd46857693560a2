//! How an output differs from another.

use std::time::Duration;

use similar::TextDiff;

/// What takes longer to compare is shown as replaced as a whole.
const PATIENCE: Duration = Duration::from_secs(1);

/// A unified diff (diff(1)) from one to the other, each with its name.
pub(super) fn diff((old_name, old): (&str, &str), (name, new): (&str, &str)) -> String {
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(old, new);
    diff.unified_diff().header(old_name, name).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_shown_with_its_surroundings() {
        let shown = diff(("web[1-3]", "a\nb\nc\n"), ("web4", "a\nx\nc\n"));
        assert_eq!(
            shown,
            "--- web[1-3]\n+++ web4\n@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n"
        );
    }
}
