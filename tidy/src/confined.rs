//! What only one place may do: `unsafe`, clap, ending the process.

use crate::{Offence, Source};

/// The one crate that starts processes.
const UNSAFE_HOME: &str = "crates/redial-keeper/";
/// The one module that reads arguments: args.rs, and a file a command in args/.
const CLAP_HOME: &str = "crates/redial/src/args";
/// The one crate that ends the process and takes its signals.
const EXIT_HOME: &str = "crates/redial/src/";
/// Ends the process, or installs a signal handler.
const EXITS: [&str; 5] = [
    "std::process::exit",
    "libc::exit",
    "tokio::signal",
    "signal_hook",
    "ctrlc",
];

/// `unsafe` outside the keeper.
pub fn unsafe_code(source: &Source) -> Vec<Offence> {
    if source.path.starts_with(UNSAFE_HOME) {
        return Vec::new();
    }
    let found = source.words.iter().filter(|word| word.text == "unsafe");
    let lines = found.map(|word| word.line).collect();
    let what = "`unsafe` stands only in redial-keeper: find a safe call";
    offences(source, lines, what)
}

/// clap outside its one module.
pub fn argument_parser(source: &Source) -> Vec<Offence> {
    let within = source.path.strip_prefix(CLAP_HOME);
    if within.is_some_and(|rest| rest == ".rs" || rest.starts_with('/')) {
        return Vec::new();
    }
    let what = format!("clap stays in {CLAP_HOME}: take plain settings instead");
    offences(source, lines_naming(source, &["clap"]), &what)
}

/// Ending the process, or a signal handler, outside the binary. A test may end
/// a process that it started from its own program.
pub fn exit_and_signals(source: &Source) -> Vec<Offence> {
    if source.path.starts_with(EXIT_HOME) {
        return Vec::new();
    }
    let mut lines = lines_naming(source, &EXITS);
    lines.retain(|line| !source.is_test(*line));
    let what = "only the binary ends the process or takes signals: return, or take a shutdown";
    offences(source, lines, what)
}

fn offences(source: &Source, mut lines: Vec<usize>, what: &str) -> Vec<Offence> {
    lines.dedup();
    let offence = |line| Offence::new(&source.path, line, what);
    lines.into_iter().map(offence).collect()
}

fn lines_naming(source: &Source, paths: &[&str]) -> Vec<usize> {
    let reaches = |named: &&crate::paths::Named| paths.iter().any(|path| named.reaches(path));
    source
        .named
        .iter()
        .filter(reaches)
        .map(|n| n.line)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Rule = fn(&Source) -> Vec<Offence>;

    fn lines(rule: Rule, path: &str, text: &str) -> Vec<usize> {
        let source = Source::parse(path, text).unwrap();
        rule(&source).iter().map(|offence| offence.line).collect()
    }

    #[test]
    fn unsafe_code_is_found_outside_the_keeper_and_inside_macros() {
        let text = "fn a() {\n    m!(unsafe { b() })\n}\n#[unsafe(no_mangle)]\nfn c() {}";
        assert_eq!(
            lines(unsafe_code, "crates/redial-net/src/a.rs", text),
            [2, 4]
        );
        assert_eq!(
            lines(unsafe_code, "crates/redial-keeper/src/a.rs", text),
            [0; 0]
        );
        let mention = "// unsafe\nfn unsafe_code() { \"unsafe\"; }";
        assert_eq!(lines(unsafe_code, "xtask/src/a.rs", mention), [0; 0]);
    }

    #[test]
    fn clap_is_found_outside_its_module() {
        let text = "\n#[derive(clap::Parser)]\nstruct A;";
        assert_eq!(
            lines(argument_parser, "crates/redial/src/run.rs", text),
            [2]
        );
        assert_eq!(
            lines(argument_parser, "xtask/src/main.rs", "use clap::Parser;"),
            [1]
        );
        assert_eq!(
            lines(argument_parser, "crates/redial/src/argsx.rs", text),
            [2]
        );
        for home in ["crates/redial/src/args.rs", "crates/redial/src/args/run.rs"] {
            assert_eq!(lines(argument_parser, home, text), [0; 0], "{home}");
        }
    }

    #[test]
    fn an_exit_or_a_handler_is_found_outside_the_binary() {
        let exit = "use std::process;\nfn a() { process::exit(1) }";
        let signal = "use tokio::signal::unix::signal;";
        let rule: Rule = exit_and_signals;
        assert_eq!(lines(rule, "crates/redial-server/src/a.rs", exit), [2]);
        assert_eq!(lines(rule, "crates/redial-server/src/a.rs", signal), [1]);
        assert_eq!(lines(rule, "crates/redial/src/main.rs", exit), [0; 0]);
        assert_eq!(lines(rule, "crates/redial-server/tests/a.rs", exit), [0; 0]);
    }
}
