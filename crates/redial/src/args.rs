//! The command line: raw arguments to raw values, a file a command. Nothing else knows clap.

mod classic;
mod demo;
mod doctor;
mod echo;
mod fleet;
mod frame;
mod generate;
mod history;
mod hosts;
mod jobs;
mod keys;
mod limits;
mod nats;
mod network;
mod redial;
mod repl;
mod run;
mod serve;
mod shell;
mod usage;
mod words;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::{exit_code, report};

pub(crate) use classic::{
    ClassicArgs, ClassicCallArgs, ClassicCommand, ClassicPutArgs, ClassicReceiveArgs,
    ClassicServeArgs, FramingArg, ReplyArg, WireArgs,
};
pub(crate) use demo::{DemoArgs, DemoCommand, DropArgs, DropJobArgs, Language, StickyArgs};
pub(crate) use doctor::DoctorArgs;
pub(crate) use echo::{EchoArgs, EchoCallArgs, EchoCommand, EchoServeArgs};
pub(crate) use fleet::{FleetArgs, OutputArg, Where};
pub(crate) use frame::{
    DecodeArgs, EncodeArgs, FrameArgs, FrameCommand, MessageArgs, PackArgs, ShapeArgs, TextArgs,
    UnpackArgs,
};
pub(crate) use generate::{CompletionArgs, ManualArgs, completion, manual};
pub(crate) use history::{HistoryArgs, HistoryCommand, RerunArgs};
pub(crate) use hosts::{HostsArgs, HostsCommand, SetArgs};
pub(crate) use jobs::{
    AttachArgs, KillArgs, LogsArgs, PsArgs, RmArgs, UpgradeArgs, WaitArgs, WayArgs,
};
pub(crate) use keys::{KeysArgs, KeysCommand, NewArgs, TrustArgs};
pub(crate) use limits::LimitArgs;
pub(crate) use nats::NatsArgs;
pub(crate) use network::NetworkArgs;
pub(crate) use redial::RedialArgs;
pub(crate) use repl::ReplArgs;
pub(crate) use run::RunArgs;
pub(crate) use serve::{AuditForm, LogFormat, ServeArgs};
pub(crate) use shell::ShellArgs;

/// Words that ask for nothing that the commands define.
const VERSION: [&str; 2] = ["--version", "-V"];

/// What was asked for.
pub(crate) struct Arguments {
    /// `--config`.
    pub(crate) config: Option<PathBuf>,
    /// Which command.
    pub(crate) command: Command,
}

/// Reads the command line.
///
/// # Errors
///
/// Help, version or a wrong use is printed here; what remains is the exit code.
pub(crate) fn parse() -> Result<Arguments, u8> {
    match read(std::env::args_os().collect()) {
        Ok(cli) => Ok(Arguments {
            config: cli.config,
            command: cli.command,
        }),
        Err(error) => {
            let asked = matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            );
            if asked && error.print().is_ok() {
                return Err(0);
            }
            if !asked {
                report::usage(&usage::explain(error));
            }
            Err(exit_code::FAILED)
        }
    }
}

fn read(argv: Vec<OsString>) -> Result<Cli, clap::Error> {
    let mut cli = Cli::command();
    // What each command takes is defined when it is asked for: defining all of it takes longer than most
    // commands do. Who asks for help is told of each.
    let first = argv.get(1).map(|word| word.to_string_lossy());
    let names_command = |word: &str| word != "help" && !word.starts_with('-');
    if !first.is_some_and(|word| names_command(&word) || VERSION.contains(&&*word)) {
        cli.build();
    }
    let argv = match words::may_name_hosts(&argv) {
        true => words::with_end_of_flags(&mut cli, argv),
        false => argv,
    };
    let mut matches = cli.try_get_matches_from_mut(argv)?;
    Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut cli))
}

/// The command line of an earlier run, program and all: its `--config`, and its arguments.
///
/// # Errors
///
/// It is none, or this redial does not understand it.
pub(crate) fn parse_run(argv: Vec<OsString>) -> Result<(Option<PathBuf>, RunArgs), String> {
    let wrong = |why: &str| format!("the command line of that run is not understood: {why}");
    match read(argv) {
        Ok(Cli {
            config,
            command: Command::Run(args),
        }) => Ok((config, *args)),
        Ok(_) => Err(wrong("it is no 'redial run'")),
        Err(error) => Err(wrong(&error.kind().to_string())),
    }
}

/// Runs commands on other machines. If the line drops, it dials again, and nothing is lost.
#[derive(Debug, Parser)]
#[command(
    name = "redial",
    version,
    subcommand_required = true,
    arg_required_else_help = true
)]
struct Cli {
    /// Settings file, which must exist; else ~/.config/redial/config.toml where there is one.
    /// Flags beat environment variables, these beat the file
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

/// The commands. What each is for stands at what it takes: that is looked at when it is asked for.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum Command {
    Run(Box<RunArgs>),
    Shell(ShellArgs),
    Repl(ReplArgs),
    Ps(PsArgs),
    Attach(AttachArgs),
    Logs(LogsArgs),
    Wait(WaitArgs),
    Kill(KillArgs),
    Rm(RmArgs),
    Serve(ServeArgs),
    Upgrade(UpgradeArgs),
    Hosts(HostsArgs),
    History(HistoryArgs),
    Keys(KeysArgs),
    Doctor(DoctorArgs),
    Classic(ClassicArgs),
    Demo(DemoArgs),
    Echo(EchoArgs),
    Frame(FrameArgs),
    Completion(CompletionArgs),
    #[command(hide = true)]
    Manual(ManualArgs),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(words: &[&str]) -> RunArgs {
        let words = ["redial", "run"].iter().chain(words);
        match Cli::try_parse_from(words).unwrap().command {
            Command::Run(args) => *args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_says_what_each_command_is_for_wherever_it_is_asked_for() {
        for words in [
            &["redial", "--help"][..],
            &["redial", "help"],
            &["redial", "--config", "x", "--help"],
            &["redial", "--config=x", "help"],
        ] {
            let argv = words.iter().map(OsString::from).collect();
            let Err(help) = read(argv) else {
                panic!("{words:?} is no command");
            };
            let help = help.to_string();
            assert!(
                help.contains("Run a command on a host"),
                "{words:?}: {help}"
            );
        }
    }

    #[test]
    fn flags_behind_the_first_word_of_the_command_are_the_commands() {
        for words in [
            &["local:", "-n", "--", "uname", "-a", "--cwd", "x"][..],
            &["-n", "local:", "uname", "-a", "--cwd", "x"],
            &["local:", "-n", "uname", "-a", "--cwd", "x"],
        ] {
            let args = run(words);
            assert_eq!(args.argv, ["uname", "-a", "--cwd", "x"], "{words:?}");
            assert!(args.no_stdin && args.cwd.is_none());
        }
        assert_eq!(run(&["local:", "--", "--", "-x"]).argv, ["--", "-x"]);
    }

    #[test]
    fn text_takes_the_place_of_arguments() {
        assert_eq!(run(&["local:", "-c", "-x | y"]).text, Some("-x | y".into()));
        for words in [
            &["redial", "run", "local:", "-c", "x", "--", "y"][..],
            &["redial", "run", "h"],
        ] {
            assert!(Cli::try_parse_from(words).is_err(), "{words:?}");
        }
    }
}
