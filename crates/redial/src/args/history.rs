//! The command line of `redial history`.

use clap::{Args, Subcommand};

const HISTORY_HELP: &str = "\
A run on many hosts is written down as it goes, in $XDG_STATE_HOME/redial/runs (~/.local/state), for
its user only: its command line, its hosts, and what each came to. RUN is its name, what only its name
begins or ends with, or 'last'. The newest 500 are kept.

resume goes on where a run was left, also if its client was killed: hosts where the command has ended
are not run again; where it runs it is attached to, with its output; where it ended meanwhile, that is
told; and where it may have run and nobody knows any more, it is not run again but called unknown.

Examples:
  redial history list
  redial history show last
  redial history resume last
  redial history rerun --failed last";

/// Earlier runs on many hosts: shown, taken up again, run again
#[derive(Debug, Args)]
#[command(after_help = HISTORY_HELP)]
pub(crate) struct HistoryArgs {
    #[command(subcommand)]
    pub(crate) what: HistoryCommand,
}

/// What to do with earlier runs.
#[derive(Debug, Subcommand)]
pub(crate) enum HistoryCommand {
    /// List them, the newest last
    #[command(after_help = HISTORY_HELP)]
    List(ListArgs),
    /// Show what each host came to
    #[command(after_help = HISTORY_HELP)]
    Show(ShowArgs),
    /// Go on with those hosts where the command has not ended
    #[command(after_help = HISTORY_HELP)]
    Resume(ResumeArgs),
    /// Run it again, as a run of its own
    #[command(after_help = HISTORY_HELP)]
    Rerun(RerunArgs),
}

/// `redial history list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// So many of the newest
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    pub(crate) number: usize,
    /// One JSON object a line: run, began (Unix time), hosts, states, code, goes_on, command
    #[arg(long)]
    pub(crate) json: bool,
}

/// `redial history show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Which run
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
    /// One JSON object a host: host, job, kind, how, why, code, stdout and stderr (bytes, checksum)
    #[arg(long)]
    pub(crate) json: bool,
}

/// `redial history resume`.
#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// Which run
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
}

/// `redial history rerun`.
#[derive(Debug, Args)]
pub(crate) struct RerunArgs {
    /// Which run
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
    /// Only on hosts where the command failed
    #[arg(long)]
    pub(crate) failed: bool,
    /// Only on hosts where it did not run, or nobody knows whether it ended
    #[arg(long)]
    pub(crate) not_done: bool,
}
