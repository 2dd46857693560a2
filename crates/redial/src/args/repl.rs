//! The command line of `redial repl`.

use std::ffi::OsString;

use clap::Args;

use super::jobs::WayArgs;
use crate::charset::Charset;

const REPL_HELP: &str = "\
HOST is as for 'redial run'. All lines run over one connection, each in a shell of its own: the
remote login shell if it is sh, bash, dash, ash, ksh, mksh or zsh, else /bin/sh. Its directory
and its exported variables at the end of a line are those of the next, unless it was killed,
cancelled, or replaced by exec. Shell variables that are not exported, functions and options
end with their line, and so does 'exit'. Commands have no stdin (/dev/null).

On a terminal: a line editor, Tab completes paths of the host, and what was typed is kept in
$XDG_STATE_HOME/redial/history (~/.local/state/redial/history), but for lines that begin with
a space. Otherwise stdin is read line by line, without a prompt.

Interrupts: Ctrl-C clears the line at the prompt. While a command runs, the first cancels it
(TERM to its tree, 5 s later KILL), the second kills it at once, the third leaves. Ctrl-D
leaves, with the last line's exit code. TERM and HUP cancel the command, and leave.

Exit code: the last line's; 125 when the line to the host is lost.

Environment: REDIAL_CONNECT_TIMEOUT takes the place of the flag.

Examples:
  redial repl local:
  redial repl 'exec:ssh web1 redial serve --stdio' --cwd /var/log
  printf 'cd /tmp\\nexport A=1\\npwd; echo $A\\n' | redial repl unix:";

/// Type commands for a host at a prompt
#[derive(Debug, Args)]
#[command(after_help = REPL_HELP)]
pub(crate) struct ReplArgs {
    /// Where a command runs.
    #[arg(
        value_name = "HOST",
        help = "Where: [user@]host[:port], local:, unix:, unix:PATH or exec:COMMAND"
    )]
    pub(crate) host: OsString,
    /// Directory to begin in [default: the remote user's home]
    #[arg(long, value_name = "DIR")]
    pub(crate) cwd: Option<OsString>,
    /// A variable to begin with; NAME alone copies ours. Repeatable
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) env: Vec<OsString>,
    /// Shell for the lines, a POSIX one [default: the login shell if known, else /bin/sh]
    #[arg(long, value_name = "PATH")]
    pub(crate) shell: Option<OsString>,
    /// Commands speak this charset, lines are sent in it: gbk, any label of the Encoding
    /// Standard
    #[arg(long, value_name = "LABEL", value_parser = Charset::parse)]
    pub(crate) charset: Option<Charset>,
    #[command(flatten)]
    pub(crate) way: WayArgs,
    /// Say nothing but errors and exit codes
    #[arg(short, long)]
    pub(crate) quiet: bool,
}
