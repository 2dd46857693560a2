//! The command line of `redial shell`.

use std::ffi::OsString;

use clap::Args;

use super::jobs::WayArgs;
use super::limits::LimitArgs;
use super::network::HOSTS;
use crate::terminal::EscapeChar;

const SHELL_HELP: &str = "\
Your login shell on the host, on a terminal. When the line drops, it is dialled again and all goes on
where it was, what was typed meanwhile included; the shell never notices. What it runs lives as long
as --on-drop says without a line.

Keys go to the shell as they are, Ctrl-C and Ctrl-Z too. At the beginning of a line, '~.' leaves at
once, line or no line, and names the job, which 'redial attach --take HOST/JOB' takes up again;
'~^Z' stops redial; '~?' says these keys; '~~' types '~'.

If stdin is no terminal, it is what the shell reads, and there is no terminal (as with ssh).

Exit code: the shell's; 129 by '~.'; else as for 'redial run'.

Environment, settings file: as for 'redial run'.

Examples:
  redial shell web1
  redial shell --on-drop keep:8h ada@web1      # for a train with tunnels
  redial shell web1 < script.sh";

/// Work on a host: your login shell there, on a terminal that survives a dropped line
#[derive(Debug, Args)]
#[command(after_help = format!("{HOSTS}\n\n{SHELL_HELP}"))]
pub(crate) struct ShellArgs {
    /// Where the shell runs.
    #[arg(
        value_name = "HOST",
        help = "Where: [user@]host[:port], local:, unix:, unix:PATH or exec:COMMAND"
    )]
    pub(crate) host: OsString,
    /// Directory to begin in [default: the remote user's home]
    #[arg(long, value_name = "DIR")]
    pub(crate) cwd: Option<OsString>,
    /// A variable for the shell; NAME alone copies ours. Repeatable
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) env: Vec<OsString>,
    /// When the line drops: kill, keep or keep:TIME
    /// [default: kill for local: and unix:, keep:5m for others where the server can keep]
    #[arg(long, value_name = "POLICY")]
    pub(crate) on_drop: Option<String>,
    /// The character that begins keys for redial, or none [default: ~]
    #[arg(short = 'e', long, value_name = "CHAR", value_parser = EscapeChar::parse)]
    pub(crate) escape: Option<EscapeChar>,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) way: WayArgs,
    /// Say nothing but errors
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more: job, process id, times
    #[arg(short, long)]
    pub(crate) verbose: bool,
}
