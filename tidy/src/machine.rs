//! No path of the machine on which something was written.

use crate::Offence;

/// Beginnings of such paths. Split, so that this file does not break its own
/// rule.
const PLACES: [&str; 4] = [
    concat!("/wo", "rk/"),
    concat!("/fa", "rm/"),
    concat!("/root/", ".cargo"),
    concat!("/tmp/", "bash_jobs"),
];
const HOMES: &str = concat!("/ho", "me/");

/// Lines that name a directory of one person or one build machine.
pub fn no_machine(path: &str, text: &str) -> Vec<Offence> {
    let mut offences = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let place = PLACES.iter().find(|place| names(line, place, |_| true));
        let home = names(line, HOMES, |rest| {
            rest.split_once('/').is_some_and(|(user, _)| is_user(user))
        });
        if let Some(found) = place.copied().or(home.then_some(HOMES)) {
            let what = format!("`{found}…` is a path of one machine: take it out");
            offences.push(Offence::new(path, index + 1, what));
        }
    }
    offences
}

/// Whether a line has an absolute path that begins so and goes on as `then`
/// wants.
fn names(line: &str, place: &str, then: impl Fn(&str) -> bool) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let relative = before.is_some_and(|c| c.is_alphanumeric() || "._-~}".contains(c));
        !relative && then(&line[at + place.len()..])
    })
}

fn is_user(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        no_machine("a", text).iter().map(|o| o.line).collect()
    }

    #[test]
    fn each_place_is_found_with_its_line() {
        for place in PLACES {
            assert_eq!(lines(&format!("a\nsee {place}x\n")), [2], "{place}");
        }
        assert_eq!(lines(&format!("({HOMES}alice/redial)")), [1]);
    }

    #[test]
    fn a_relative_path_and_a_bare_home_are_none() {
        assert_eq!(lines(&format!("crates{}x", PLACES[0])), [0; 0]);
        assert_eq!(lines(&format!("{HOMES}<name>/x and {HOMES}")), [0; 0]);
    }
}
