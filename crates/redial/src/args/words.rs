//! Where the command begins when its hosts are given by flags.
//!
//! In `redial run web1 -n ls` the flags behind HOST are ours up to the command; in
//! `redial run -w web1 ls -n` there is no HOST, and `ls` is where the command begins, as with clush and
//! pdsh. What cannot be said to clap is said here: `--` is put before it.

use std::ffi::OsString;

use clap::{Arg, Command};

/// Flags that stand in HOST's place.
const IN_HOSTS_PLACE: [&str; 2] = ["hosts", "group"];

/// Whether hosts may be given by flags, at a glance: to know it takes longer than most commands have.
pub(super) fn may_name_hosts(words: &[OsString]) -> bool {
    words.iter().any(|word| {
        let word = word.to_string_lossy();
        let is_short =
            word.starts_with('-') && !word.starts_with("--") && word.contains(['w', 'g']);
        is_short || word.starts_with("--hosts") || word.starts_with("--group")
    })
}

/// The words of a command line, with `--` before the command if hosts are given by flags.
pub(super) fn with_end_of_flags(root: &mut Command, words: Vec<OsString>) -> Vec<OsString> {
    if let Some(run) = root.find_subcommand_mut("run") {
        run.build();
    }
    let root = &*root;
    let run = root.find_subcommand("run");
    let at = words.iter().position(|word| word == "run");
    let (Some(run), Some(at)) = (run, at) else {
        return words;
    };
    // Behind other words, it is no subcommand.
    let flags: Vec<&Arg> = root.get_arguments().chain(run.get_arguments()).collect();
    match command(&flags, &words, at + 1) {
        Some(command) if is_before(&flags, &words, at) => {
            let mut words = words;
            words.insert(command, "--".into());
            words
        }
        _ => words,
    }
}

/// Whether all between the program's name and this word are flags.
fn is_before(flags: &[&Arg], words: &[OsString], at: usize) -> bool {
    let mut next = 1;
    while next < at {
        match flag(flags, &words[next].to_string_lossy()) {
            Some((_, takes_next)) => next += 1 + usize::from(takes_next),
            None => return false,
        }
    }
    next == at
}

/// Where the command begins, if its hosts are given by flags before it.
fn command(flags: &[&Arg], words: &[OsString], mut next: usize) -> Option<usize> {
    let mut has_hosts = false;
    while let Some(word) = words.get(next) {
        let word = word.to_string_lossy();
        if word == "--" {
            return None;
        }
        if !word.starts_with('-') || word == "-" {
            return has_hosts.then_some(next);
        }
        let (names, takes_next) = flag(flags, &word)?;
        has_hosts |= names.iter().any(|name| IN_HOSTS_PLACE.contains(name));
        next += 1 + usize::from(takes_next);
    }
    None
}

/// The flags that a word is, and whether the next word is a value of the last; nothing, if it is none
/// that is known.
fn flag<'a>(flags: &[&'a Arg], word: &str) -> Option<(Vec<&'a str>, bool)> {
    let takes = |arg: &Arg| arg.get_action().takes_values();
    if let Some(long) = word.strip_prefix("--") {
        let (name, value) = long
            .split_once('=')
            .map_or((long, None), |(name, it)| (name, Some(it)));
        let arg = flags.iter().find(|arg| arg.get_long() == Some(name))?;
        return Some((vec![arg.get_id().as_str()], value.is_none() && takes(arg)));
    }
    let mut names = Vec::new();
    let mut letters = word.strip_prefix('-')?.chars();
    while let Some(letter) = letters.next() {
        let arg = flags.iter().find(|arg| arg.get_short() == Some(letter))?;
        names.push(arg.get_id().as_str());
        if takes(arg) {
            return Some((names, letters.as_str().is_empty()));
        }
    }
    Some((names, false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn marked(line: &str) -> String {
        let words = line.split(' ').map(OsString::from).collect();
        let mut root = super::super::Cli::command();
        let words = with_end_of_flags(&mut root, words);
        let words: Vec<String> = words
            .iter()
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        words.join(" ")
    }

    #[test]
    fn the_first_word_behind_flags_that_name_hosts_begins_the_command() {
        for (line, expected) in [
            ("redial run -w a uname -r", "redial run -w a -- uname -r"),
            ("redial run -bw a ls -n -t", "redial run -bw a -- ls -n -t"),
            ("redial run -wa ls -n", "redial run -wa -- ls -n"),
            (
                "redial run --hosts=a --deadline 3s ls -n",
                "redial run --hosts=a --deadline 3s -- ls -n",
            ),
            (
                "redial run -f 2 -g web ls -n",
                "redial run -f 2 -g web -- ls -n",
            ),
            (
                "redial --config x run -w a ls -n",
                "redial --config x run -w a -- ls -n",
            ),
        ] {
            assert_eq!(marked(line), expected);
        }
    }

    #[test]
    fn other_lines_stay_as_they_are() {
        for line in [
            "redial run web1 -n ls -w a",
            "redial run -w a -- ls -n",
            "redial run -w a -c text",
            "redial run -w a",
            "redial run --nonsense -w a ls",
            "redial hosts fold run -w a",
            "redial ps run",
            "redial",
        ] {
            assert_eq!(marked(line), line);
        }
    }
}
