//! Wrong use, in the words of all our errors, with hints for the habits of other tools.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// What docker, ssh and timeout have taught, and what it is here.
const HABITS: [(&str, &str); 6] = [
    ("--interactive", STDIN),
    ("-e", "a variable for the command is --env NAME=VALUE"),
    ("--workdir", CWD),
    ("-u", USER),
    ("--user", USER),
    ("-l", USER),
];
const STDIN: &str = "stdin is always passed on (-n: none); a terminal is -t";
const CWD: &str = "the directory to run in is --cwd DIR";
const USER: &str = "the user is a part of HOST: user@host";

/// The whole text: `redial: `, what is wrong, hints, usage.
pub(super) fn explain(mut error: clap::Error) -> String {
    let hint = match is_of(&error, "redial run") {
        true => hint(&error),
        false => signal_hint(&error).filter(|_| is_of(&error, "redial kill")),
    };
    if let Some(hint) = hint {
        let hints = ContextValue::StyledStrs(vec![hint.into()]);
        error.insert(ContextKind::Suggested, hints);
    }
    let text = error.to_string();
    match text.strip_prefix("error: ") {
        Some(text) => format!("redial: {text}"),
        None => text,
    }
}

fn is_of(error: &clap::Error, command: &str) -> bool {
    let usage = error.get(ContextKind::Usage);
    usage.is_some_and(|usage| usage.to_string().contains(command))
}

/// kill(1) takes `-KILL` and `-15`.
fn signal_hint(error: &clap::Error) -> Option<&'static str> {
    let (ErrorKind::UnknownArgument, ContextValue::String(flag)) =
        (error.kind(), error.get(ContextKind::InvalidArg)?)
    else {
        return None;
    };
    let first = flag.strip_prefix('-')?.chars().next()?;
    let is_signal = first.is_ascii_uppercase() || first.is_ascii_digit();
    is_signal.then_some("a signal is -s NAME or -s NUMBER; -9 alone is understood too")
}

fn hint(error: &clap::Error) -> Option<&'static str> {
    match (error.kind(), error.get(ContextKind::InvalidArg)?) {
        (ErrorKind::MissingRequiredArgument, ContextValue::Strings(missing)) => {
            let argv = missing.iter().any(|name| name.contains("ARGV"));
            argv.then_some("instead of ARGV, text for the remote shell: -c 'TEXT'")
        }
        (ErrorKind::UnknownArgument, ContextValue::String(flag)) => {
            let habit = HABITS.iter().find(|(name, _)| name == flag);
            habit.map(|(_, hint)| *hint)
        }
        _ => None,
    }
}
