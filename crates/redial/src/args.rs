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
use clap::{CommandFactory, Parser, Subcommand};

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
    if !words::may_name_hosts(&argv) {
        return Cli::try_parse_from(argv);
    }
    let mut command = Cli::command();
    command.build();
    Cli::try_parse_from(words::with_end_of_flags(&command, argv))
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

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a command on a host
    Run(Box<RunArgs>),
    /// Work on a host: your login shell there, on a terminal that survives a dropped line
    Shell(ShellArgs),
    /// Type commands for a host at a prompt
    Repl(ReplArgs),
    /// List the jobs on a host
    Ps(PsArgs),
    /// Show a job as it goes on, and end as it does
    Attach(AttachArgs),
    /// Print what a job has written
    Logs(LogsArgs),
    /// Wait until a job has ended
    Wait(WaitArgs),
    /// Send a signal to jobs
    Kill(KillArgs),
    /// Forget ended jobs
    Rm(RmArgs),
    /// Serve commands on this machine
    Serve(ServeArgs),
    /// Replace a server's program in place
    Upgrade(UpgradeArgs),
    /// Sets of hosts: spelled out, folded, counted
    Hosts(HostsArgs),
    /// Earlier runs on many hosts: shown, taken up again, run again
    History(HistoryArgs),
    /// Your own keys, and the hosts you trust
    Keys(KeysArgs),
    /// What works between here and a host, and what does not, step by step
    Doctor(DoctorArgs),
    /// Remote commands as the socket lesson has them, on this machine
    Classic(ClassicArgs),
    /// See on real sockets what networks do to messages, and to a line that drops
    Demo(DemoArgs),
    /// The telephone: a server that answers in upper case, and its client
    Echo(EchoArgs),
    /// Integers as bytes, and messages with a length before them
    Frame(FrameArgs),
    /// Print completions for a shell
    Completion(CompletionArgs),
    /// Write manual pages, for packages
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
