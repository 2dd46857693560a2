//! Wrong use, in the words of all our errors, with hints for the habits of other tools.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// What docker, ssh and timeout have taught, and what it is here.
const HABITS: [(&str, &str); 9] = [
    ("-t", NO_TERMINAL),
    ("--tty", NO_TERMINAL),
    ("--interactive", STDIN),
    ("-e", "a variable for the command is --env NAME=VALUE"),
    ("-w", CWD),
    ("--workdir", CWD),
    ("-u", USER),
    ("--user", USER),
    ("-l", USER),
];
const NO_TERMINAL: &str = "-t (a terminal) is not supported by this version";
const STDIN: &str =
    "stdin is always passed on (-n: none); -t (a terminal) is not supported by this version";
const CWD: &str = "the directory to run in is --cwd DIR";
const USER: &str = "the user is a part of HOST: user@host";

/// The whole text: `redial: `, what is wrong, hints, usage.
pub(super) fn explain(mut error: clap::Error) -> String {
    if is_of_run(&error)
        && let Some(hint) = hint(&error)
    {
        let hints = ContextValue::StyledStrs(vec![hint.into()]);
        error.insert(ContextKind::Suggested, hints);
    }
    let text = error.to_string();
    match text.strip_prefix("error: ") {
        Some(text) => format!("redial: {text}"),
        None => text,
    }
}

fn is_of_run(error: &clap::Error) -> bool {
    let usage = error.get(ContextKind::Usage);
    usage.is_some_and(|usage| usage.to_string().contains("redial run"))
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
