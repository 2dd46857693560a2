//! Completion of paths: the host is asked what is there.

use std::time::Duration;

use redial_client::{Client, Command};
use tokio::time::timeout;

use super::state::State;
use super::word::{Word, quoted};

/// Who presses Tab does not wait longer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Names at most, and their bytes. Stops a directory from filling the screen, and memory.
const NAMES_MAX: &str = "500";
const ANSWER_MAX_BYTES: usize = 256 * 1024;

/// Arguments: the beginning of a path, how many at most, and whether it is in the home.
const SCRIPT: &str = concat!(
    "[ -z \"$3\" ] || cd || exit; n=0; ",
    "for f in \"$1\"*; do [ -e \"$f\" ] || [ -L \"$f\" ] || continue; ",
    "[ ! -d \"$f\" ] || f=$f/; printf '%s\\0' \"$f\"; ",
    "n=$((n+1)); [ $n -lt $2 ] || break; done",
);

/// What the editor wants to know.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(super) word: Word,
    pub(super) answer: std::sync::mpsc::SyncSender<Vec<Candidate>>,
}

/// A path that the word may become.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// Its last name.
    pub(super) shown: String,
    /// How to write it.
    pub(super) written: String,
}

/// Asks the host and answers. Whatever goes wrong, there is nothing to offer.
pub(crate) async fn candidates(client: &Client, state: &State, base: &State, asked: Asked) {
    let (begin, home) = match asked.word.text.strip_prefix("~/") {
        Some(rest) if asked.word.home => (rest, "home"),
        _ => (&*asked.word.text, ""),
    };
    let argv = ["/bin/sh", "-c", SCRIPT, "sh", begin, NAMES_MAX, home];
    let command = state.apply(Command::new(argv), base).deadline(PATIENCE);
    let listed = timeout(PATIENCE, client.run_within(command, ANSWER_MAX_BYTES)).await;
    let names = match listed {
        Ok(Ok(finished)) => finished.stdout,
        _ => Vec::new(),
    };
    // The editor has given up waiting, perhaps.
    let _ = asked.answer.send(read(&names, !home.is_empty()));
}

fn read(names: &[u8], home: bool) -> Vec<Candidate> {
    let names = names
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty());
    let names: Vec<&str> = names
        .filter_map(|name| std::str::from_utf8(name).ok())
        // What cannot be typed cannot be offered, and must not steer the terminal.
        .filter(|name| !name.chars().any(char::is_control))
        .collect();
    let only = names.len() == 1;
    let candidate = |path: &&str| {
        let dir = path.ends_with('/');
        let name = path
            .trim_end_matches('/')
            .rsplit('/')
            .next()
            .unwrap_or(path);
        let end = match (dir, only) {
            (false, true) => " ",
            _ => "",
        };
        Candidate {
            shown: format!("{name}{}", if dir { "/" } else { "" }),
            written: format!("{}{}{end}", if home { "~/" } else { "" }, quoted(path)),
        }
    };
    names.iter().map(candidate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(names: &[u8], home: bool) -> Vec<(String, String)> {
        let candidates = read(names, home).into_iter();
        candidates.map(|one| (one.shown, one.written)).collect()
    }

    fn pair(shown: &str, written: &str) -> (String, String) {
        (shown.to_owned(), written.to_owned())
    }

    #[test]
    fn a_file_that_is_alone_is_done_and_a_directory_goes_on() {
        assert_eq!(
            written(b"/etc/pass wd\0", false),
            [pair("pass wd", "/etc/pass\\ wd ")]
        );
        assert_eq!(written(b"/etc/\0", false), [pair("etc/", "/etc/")]);
        assert_eq!(
            written(b"a\0ab/\0", true),
            [pair("a", "~/a"), pair("ab/", "~/ab/")]
        );
    }

    #[test]
    fn names_that_cannot_be_typed_are_left_out() {
        assert_eq!(
            written(b"a\x1b[m\0\xff\0ok\0\0", false),
            [pair("ok", "ok ")]
        );
        assert_eq!(written(b"", false), []);
    }
}
