//! The command line: raw arguments to raw values. The only file that knows clap.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::duration;
use crate::exit_code;

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
    match Cli::try_parse() {
        Ok(cli) => Ok(Arguments {
            config: cli.config,
            command: cli.command,
        }),
        Err(error) => {
            let shown = error.print();
            let asked = matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            );
            Err(if asked && shown.is_ok() {
                0
            } else {
                exit_code::FAILED
            })
        }
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
    Run(RunArgs),
    /// Serve commands on this machine
    Serve(ServeArgs),
}

const RUN_HELP: &str = "\
HOST is one of
  local:        a private server on this machine, which ends with the command
  unix:PATH     a server's socket; unix: alone is the default one, in /run/redial as root,
                else in $XDG_RUNTIME_DIR/redial or /tmp/redial-UID
  exec:COMMAND  any program that carries the protocol on its stdin and stdout, given to
                /bin/sh: 'exec:ssh web1 redial serve --stdio'. It may ask for a password on
                the terminal, within --connect-timeout; Ctrl-C is for the command, not for it

Exit code: the command's own; 128+N if signal N ended it; 124 deadline; 125 redial itself
failed (wrong use, unreachable, refused, lost, unknown, bad directory); 126 cannot be
executed; 127 not found; 130 interrupted. The reason is on stderr, after 'redial: '.

Interrupts: the first Ctrl-C sends SIGINT to the command, the second ends its whole tree
(TERM, 5 s later KILL), the third leaves. TERM and HUP end the tree at once.

Environment: REDIAL_DEADLINE, REDIAL_DRAIN, REDIAL_ON_DROP, REDIAL_CONNECT_TIMEOUT take
the place of the flags; REDIAL_LOG=debug shows what happens inside.

Settings file: [run] deadline, drain, on-drop, connect-timeout.

Examples:
  redial run local: -- uname -a
  redial run unix: -c 'cd /var/log && grep -c error *.log'
  redial run 'exec:ssh web1 redial serve --stdio' --deadline 30s -- apt-get update
  tar c . | redial run unix:/run/redial/redial.sock --cwd /srv -- tar x";

/// `redial run`.
#[derive(Debug, Args)]
#[command(after_help = RUN_HELP)]
pub(crate) struct RunArgs {
    /// Where: local:, unix:, unix:PATH or exec:COMMAND
    #[arg(value_name = "HOST")]
    pub(crate) host: OsString,
    /// Program and arguments, byte for byte, without a shell
    #[arg(
        value_name = "ARGV",
        trailing_var_arg = true,
        required_unless_present = "text"
    )]
    pub(crate) argv: Vec<OsString>,
    /// Text for the remote user's login shell, in ARGV's place
    #[arg(
        short = 'c',
        value_name = "TEXT",
        conflicts_with = "argv",
        allow_hyphen_values = true
    )]
    pub(crate) text: Option<OsString>,
    /// Directory to run in [default: the remote user's home]
    #[arg(long, value_name = "DIR")]
    pub(crate) cwd: Option<OsString>,
    /// A variable for the command; NAME alone copies ours. Repeatable
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) env: Vec<OsString>,
    /// End the command's tree after so long: TERM, 5 s later KILL [default: none]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) deadline: Option<Duration>,
    /// After the exit, read pipes that background processes hold for so long [default: 2s]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) drain: Option<Duration>,
    /// No stdin: the command reads /dev/null
    #[arg(short = 'n', long)]
    pub(crate) no_stdin: bool,
    /// When the line drops: kill, keep or keep:TIME
    /// [default: kill for local: and unix:, keep:5m for exec: where the server can keep]
    #[arg(long, value_name = "POLICY")]
    pub(crate) on_drop: Option<String>,
    /// Give up connecting after so long [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) connect_timeout: Option<Duration>,
    /// Say nothing but errors
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more: job, process id, times
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

const SERVE_HELP: &str = "\
Without --listen and --stdio it listens on the default socket: redial.sock in /run/redial as
root, else in $XDG_RUNTIME_DIR/redial or /tmp/redial-UID. Only the same user and root get
in. SIGTERM and SIGINT end it: no more starts, jobs get TERM, 5 s later KILL.

Environment: REDIAL_STATE_DIR, REDIAL_LOG_FORMAT take the place of the flags; REDIAL_LOG
sets the level (error, warn, info, debug, trace).

Settings file: [serve] listen, state-dir, log-format, and the limits by their flags' names.

Examples:
  redial serve
  redial serve --listen unix:/run/redial/redial.sock --max-jobs 64 --log-format json
  redial run 'exec:ssh web1 redial serve --stdio' -- uptime";

/// `redial serve`.
#[derive(Debug, Args)]
#[command(after_help = SERVE_HELP)]
pub(crate) struct ServeArgs {
    /// Listen on unix:PATH; repeatable. The network comes later
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Vec<OsString>,
    /// Carry the protocol between stdin and stdout and this user's server (the one on the
    /// default socket, or on --listen), which is started if there is none
    #[arg(long)]
    pub(crate) stdio: bool,
    /// With --stdio: serve the one client directly, and end with it
    #[arg(long, requires = "stdio", conflicts_with = "listen")]
    pub(crate) private: bool,
    /// Where kept jobs will be; this version keeps none, and writes nothing there
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Form of the log on stderr [default: human]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
    /// Log more: info; twice: debug; three times: trace
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Connections at once [default: 256]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub(crate) max_connections: Option<u32>,
    /// Channels (jobs, attached readers) of one connection [default: 1024]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub(crate) max_channels: Option<u32>,
    /// Jobs that run or have output nobody has read [default: 512]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub(crate) max_jobs: Option<u32>,
    /// Shared memory for all outputs, in MiB [default: 64]
    #[arg(long, value_name = "MIB", help_heading = "Limits")]
    pub(crate) log_pool: Option<u32>,
    /// A client's handshake must be over after this [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = duration::parse, help_heading = "Limits")]
    pub(crate) handshake_timeout: Option<Duration>,
    /// The front process, which the keeper starts
    #[arg(long, hide = true)]
    pub(crate) front: bool,
}

/// Form of the server's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            LogFormat::Human => "human",
            LogFormat::Json => "json",
        }
    }

    /// The format of this name.
    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        LogFormat::from_str(name, false)
            .map_err(|_| format!("{name:?} is no log format; it is human or json"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(words: &[&str]) -> RunArgs {
        let words = ["redial", "run"].iter().chain(words);
        match Cli::try_parse_from(words).unwrap().command {
            Command::Run(args) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        use clap::CommandFactory;
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
