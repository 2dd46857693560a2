//! Patterns as ssh has them (ssh_config(5), PATTERNS): `*` any characters, `?` one, lists with
//! commas, `!` for all but.

/// What a list of patterns says of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Match {
    /// A pattern matches, and none with `!`.
    Yes,
    /// None matches.
    No,
    /// One with `!` matches, which outdoes all others.
    Negated,
}

/// Whether letters that differ only in their case are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    /// They are not: match_pattern in OpenSSH.
    Counts,
    /// They are: match_hostname in OpenSSH.
    CountsNot,
}

/// Whether `name` is one that a list of patterns means. Letter case counts for nothing.
///
/// Source: match_hostname in OpenSSH.
pub(crate) fn match_list(name: &[u8], list: &[u8]) -> Match {
    let mut found = Match::No;
    for (negated, pattern) in entries(list) {
        if matches(name, pattern, Case::CountsNot) {
            match negated {
                true => return Match::Negated,
                false => found = Match::Yes,
            }
        }
    }
    found
}

/// The patterns of a list, each with whether it began with `!`.
pub(crate) fn entries(list: &[u8]) -> impl Iterator<Item = (bool, &[u8])> {
    let entries = list.split(|byte| *byte == b',');
    entries.map(|entry| match entry.strip_prefix(b"!") {
        Some(pattern) => (true, pattern),
        None => (false, entry),
    })
}

/// Whether `name` fits `pattern`. Takes time of at most the product of their lengths.
pub(crate) fn matches(name: &[u8], pattern: &[u8], case: Case) -> bool {
    let same = |left: u8, right: u8| match case {
        Case::Counts => left == right,
        Case::CountsNot => left.eq_ignore_ascii_case(&right),
    };
    let (mut at, mut in_pattern) = (0, 0);
    // Where the last `*` stands, and how far of the name it has taken.
    let mut star: Option<(usize, usize)> = None;
    while at < name.len() {
        match pattern.get(in_pattern) {
            Some(b'*') => {
                star = Some((in_pattern, at));
                in_pattern += 1;
            }
            Some(byte) if *byte == b'?' || same(*byte, name[at]) => {
                at += 1;
                in_pattern += 1;
            }
            _ => {
                let Some((star_at, taken)) = star else {
                    return false;
                };
                star = Some((star_at, taken + 1));
                (at, in_pattern) = (taken + 1, star_at + 1);
            }
        }
    }
    pattern[in_pattern..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_mean_what_they_mean_in_ssh() {
        for (name, pattern, fits) in [
            ("", "", true),
            ("", "*", true),
            ("a", "", false),
            ("abc", "a*c", true),
            ("abc", "a?c", true),
            ("ac", "a?c", false),
            ("ac", "a*c", true),
            ("abcabc", "*abc", true),
            ("abcabd", "*abc", false),
            ("web1.example", "WEB?.*", true),
            ("a*", "a\\*", false),
            ("aaab", "a**b", true),
        ] {
            assert_eq!(
                matches(name.as_bytes(), pattern.as_bytes(), Case::CountsNot),
                fits,
                "{name} {pattern}"
            );
        }
    }

    #[test]
    fn case_counts_only_where_it_is_said_to() {
        assert!(matches(b"Web1", b"web?", Case::CountsNot));
        assert!(!matches(b"Web1", b"web?", Case::Counts));
        assert!(matches(b"Web1", b"W*1", Case::Counts));
    }

    #[test]
    fn a_negated_pattern_outdoes_all_others_wherever_it_stands() {
        assert_eq!(match_list(b"a.b", b"*,!a.*"), Match::Negated);
        assert_eq!(match_list(b"a.b", b"!a.*,*"), Match::Negated);
        assert_eq!(match_list(b"b.b", b"!a.*,*"), Match::Yes);
        assert_eq!(match_list(b"b.b", b"!a.*"), Match::No);
    }

    #[test]
    fn a_pattern_made_to_be_slow_is_not() {
        let name = [b'a'; 1_000];
        let pattern = [&b"a*".repeat(500)[..], b"b"].concat();
        assert!(!matches(&name, &pattern, Case::CountsNot));
    }
}
