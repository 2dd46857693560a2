//! How an output differs from another.

use std::fmt::Write;
use std::ops::Range;
use std::time::{Duration, Instant};

use similar::algorithms::{Capture, Compact, Replace, myers};
use similar::{DiffOp, group_diff_ops};

/// What takes longer to compare is shown as replaced as a whole.
const PATIENCE: Duration = Duration::from_secs(1);
/// Lines around what differs.
const CONTEXT: usize = 3;

/// A unified diff (diff(1)) from one to the other, each with its name.
pub(super) fn diff((old_name, old): (&str, &str), (name, new): (&str, &str)) -> String {
    let (old, new) = (lines(old), lines(new));
    let mut shown = format!("--- {old_name}\n+++ {name}\n");
    for hunk in group_diff_ops(compare(&old, &new), CONTEXT) {
        let (Some(first), Some(last)) = (hunk.first(), hunk.last()) else {
            continue;
        };
        let was = range(first.old_range().start..last.old_range().end);
        let is = range(first.new_range().start..last.new_range().end);
        // Writing to a `String` cannot fail.
        let _ = writeln!(shown, "@@ -{was} +{is} @@");
        for step in hunk {
            match step {
                DiffOp::Equal { .. } => show(&mut shown, ' ', &old[step.old_range()]),
                _ => {
                    show(&mut shown, '-', &old[step.old_range()]);
                    show(&mut shown, '+', &new[step.new_range()]);
                }
            }
        }
    }
    shown
}

/// One way of all that similar has, which its `TextDiff` would bring along: half a megabyte.
fn compare(old: &[&str], new: &[&str]) -> Vec<DiffOp> {
    let deadline = Some(Instant::now() + PATIENCE);
    let mut hook = Compact::new(Replace::new(Capture::new()), old, new);
    let (was, is) = (0..old.len(), 0..new.len());
    match myers::diff_deadline(&mut hook, old, was, new, is, deadline) {
        Ok(()) => hook.into_inner().into_inner().into_ops(),
        Err(never) => match never {},
    }
}

fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

fn show(shown: &mut String, sign: char, lines: &[&str]) {
    for line in lines {
        shown.push(sign);
        shown.push_str(line);
        if !line.ends_with('\n') {
            shown.push_str("\n\\ No newline at end of file\n");
        }
    }
}

/// Lines are counted from 1; an empty range is named by the line before it.
fn range(lines: Range<usize>) -> String {
    match lines.len() {
        0 => format!("{},0", lines.start),
        1 => lines.end.to_string(),
        len => format!("{},{len}", lines.start + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(old: &str, new: &str) -> String {
        diff(("web[1-3]", old), ("web4", new))
    }

    #[test]
    fn what_differs_is_shown_with_its_surroundings() {
        assert_eq!(
            shown("a\nb\nc\n", "a\nx\nc\n"),
            "--- web[1-3]\n+++ web4\n@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n"
        );
    }

    /// `count` lines of few kinds, the last one without its end if `cut`.
    fn text(mut state: u32, count: u32, cut: bool) -> String {
        let mut text = String::new();
        for _ in 0..count {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            text.push_str(["a\n", "b\n", "c\n", "\n", "long line\n"][(state >> 16) as usize % 5]);
        }
        if cut && count > 0 {
            text.pop();
            text.push('!');
        }
        text
    }

    /// What patch(1) makes of `old`, by the ranges that are said alone.
    fn patched(old: &str, shown: &str) -> String {
        let (old, mut new, mut at) = (lines(old), String::new(), 0);
        let shown = shown.replace("\n\\ No newline at end of file\n", "\0\n");
        for line in lines(&shown).into_iter().skip(2) {
            let (sign, line) = line.split_at(1);
            let line = line.strip_suffix("\0\n").unwrap_or(line);
            match sign {
                "@" => {
                    let range = line.split([' ', '-']).nth(2).unwrap();
                    let (start, len) = range.split_once(',').unwrap_or((range, "1"));
                    let start = start.parse::<usize>().unwrap() - usize::from(len != "0");
                    new.extend(old[at..start].iter().copied());
                    at = start;
                }
                "+" => new.push_str(line),
                sign => {
                    assert_eq!(old[at], line);
                    at += 1;
                    new.push_str(if sign == " " { line } else { "" });
                }
            }
        }
        new.extend(old[at..].iter().copied());
        new
    }

    #[test]
    fn a_difference_makes_the_one_of_the_other() {
        for seed in 0..400 {
            let old = text(seed, seed % 40, seed % 3 == 0);
            let new = text(seed + 1_000, seed % 23, seed % 2 == 0);
            let shown = shown(&old, &new);
            assert_eq!(patched(&old, &shown), new, "{seed}: {shown}");
        }
    }

    #[test]
    fn ranges_and_missing_line_ends_are_written_as_by_diff() {
        for (old, new, hunks) in [
            ("", "a\n", "@@ -0,0 +1 @@\n+a\n"),
            ("a\nb\n", "", "@@ -1,2 +0,0 @@\n-a\n-b\n"),
            (
                "a",
                "a\n",
                "@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n",
            ),
        ] {
            assert_eq!(shown(old, new), format!("--- web[1-3]\n+++ web4\n{hunks}"));
        }
    }

    #[test]
    fn large_outputs_of_few_kinds_of_lines_are_compared_in_time() {
        let began = Instant::now();
        let (old, new) = (text(1, 300_000, false), text(2, 300_000, true));
        assert!(shown(&old, &new).len() > 100_000);
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "{:?}",
            began.elapsed()
        );
    }
}
