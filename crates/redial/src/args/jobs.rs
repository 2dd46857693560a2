//! The command lines about jobs: ps, attach, logs, wait, kill, rm.

use std::ffi::OsString;
use std::time::Duration;

use clap::Args;

use super::network::{HOSTS, NetworkArgs};
use super::redial::RedialArgs;
use crate::duration;
use crate::terminal::EscapeChar;

const JOB: &str = "HOST/JOB, split at the last slash; of JOB, as many letters as no other job \
                   begins with";

const PS_HELP: &str = "\
Of each job: its name; its state (starting, running, and when it has ended its exit code or
signal, what ended it if it was not itself, and how many processes of it live on); since when; bytes of stdout and stderr; whose it
is; its command. '+' behind a job: it is kept. '!' behind its bytes: they are read no further for
now (its file is full), so that it waits.

--json: one object a line: host, job, state (starting, running, ended), user, command, started,
ended, expires (Unix time in seconds, or null), pid, stdout, stderr (bytes), kept, held, readers,
stalled (why, or null), outcome (as in docs/json.md, or null).

Examples:
  redial ps web1
  redial ps web1 -q | xargs -r redial rm
  redial ps unix: --json | jq -r 'select(.outcome.code == 3).job'";

const ATTACH_HELP: &str = "\
Shows the job's outputs and ends as it does, with its exit code (as 'redial run'). From now on,
unless --from says otherwise; of a job that is not kept, 'start' is what its holder has not
acknowledged yet. Who reads along neither holds the job back nor controls it: Ctrl-C leaves, and
what is too much for a slow line is left out and named at the end (exit code 125).

--take makes it yours: stdin, signals, interrupts are then as with 'redial run', and whoever held
it before is told.

Examples:
  redial run --detach web1 -- make all        # prints web1/5k3f…
  redial attach web1/5k3f
  redial attach --take --from start web1/5k3f";

const LOGS_HELP: &str = "\
Prints what the job has written, stdout to stdout and stderr to stderr, in the order in which it
came, and ends; with -f when the job does. Exit code: 0, whatever the job's.

Examples:
  redial logs web1/5k3f
  redial logs -f --tail 20 web1/5k3f
  redial logs --stderr web1/5k3f 2>&1 | less";

const WAIT_HELP: &str = "\
Prints nothing of the job's; with --json its outcome, as 'redial run --json' does. Exit codes as
'redial run'.

Examples:
  redial wait web1/5k3f && echo built";

const KILL_HELP: &str = "\
Sends the signal to the job's process group. Without -s, TERM. --tree ends all of it, wherever its
processes went: TERM, and KILL after --grace.

Examples:
  redial kill web1/5k3f
  redial kill -s HUP web1/5k3f
  redial kill -9 web1/5k3f
  redial kill --tree --grace 30s web1/5k3f";

const RM_HELP: &str = "\
Forgets ended jobs, with their output. -f ends those first that still run (KILL to the tree).

Examples:
  redial rm web1/5k3f web1/20aa
  redial rm -f web1/5k3f";

/// How to get there.
#[derive(Debug, Args)]
pub(crate) struct WayArgs {
    /// Give up connecting after so long [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) connect_timeout: Option<Duration>,
    #[command(flatten)]
    pub(crate) redial: RedialArgs,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
}

const UPGRADE_HELP: &str = "\
The server that runs is replaced by the program that lies where it was started from: in place, with
its process id, its jobs, its sockets and its arguments; clients dial again and go on. The new
program first reads the server's state and settings once; if it cannot, the old one stays, and
says why. SIGHUP to the server does the same, and its log says what came of it.

Examples:
  cargo install --path crates/redial && redial upgrade
  redial upgrade unix:/run/redial/redial.sock";

/// Replace a server's program in place
#[derive(Debug, Args)]
#[command(after_help = UPGRADE_HELP)]
pub(crate) struct UpgradeArgs {
    /// Which server: as for 'redial run'
    #[arg(value_name = "HOST", default_value = "unix:")]
    pub(crate) host: OsString,
    #[command(flatten)]
    pub(crate) way: WayArgs,
}

/// List the jobs on a host
#[derive(Debug, Args)]
#[command(after_help = format!("{HOSTS}\n\n{PS_HELP}"))]
pub(crate) struct PsArgs {
    /// Where: as for 'redial run'
    #[arg(value_name = "HOST")]
    pub(crate) host: OsString,
    /// Names only, whole
    #[arg(short, long, conflicts_with = "json")]
    pub(crate) quiet: bool,
    /// One JSON object for each job
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) way: WayArgs,
}

/// Show a job as it goes on, and end as it does
#[derive(Debug, Args)]
#[command(after_help = ATTACH_HELP)]
pub(crate) struct AttachArgs {
    /// The job.
    #[arg(value_name = "HOST/JOB", help = JOB)]
    pub(crate) job: OsString,
    /// Hold it from now on: write its stdin, control it
    #[arg(long)]
    pub(crate) take: bool,
    /// With --take, of a job on a terminal: the character that begins keys for redial, or none
    /// [default: ~]
    #[arg(long, value_name = "CHAR", value_parser = EscapeChar::parse)]
    pub(crate) escape: Option<EscapeChar>,
    /// now, start, or offsets: N of both outputs, or N,M of stdout and stderr
    #[arg(long, value_name = "PLACE", default_value = "now")]
    pub(crate) from: String,
    /// With --take: no stdin
    #[arg(short = 'n', long)]
    pub(crate) no_stdin: bool,
    /// Write events as JSON to stdout, as 'redial run' does
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) way: WayArgs,
    /// Say nothing but errors
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more: job, process id, times
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

/// Print what a job has written
#[derive(Debug, Args)]
#[command(after_help = LOGS_HELP)]
pub(crate) struct LogsArgs {
    /// The job.
    #[arg(value_name = "HOST/JOB", help = JOB)]
    pub(crate) job: OsString,
    /// Go on until the job ends
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Only what it wrote to stdout
    #[arg(long, conflicts_with = "stderr")]
    pub(crate) stdout: bool,
    /// Only what it wrote to stderr
    #[arg(long)]
    pub(crate) stderr: bool,
    /// Only the last N lines
    #[arg(long, value_name = "N", conflicts_with = "from")]
    pub(crate) tail: Option<u64>,
    /// From this offset of both outputs, or N,M of stdout and stderr [default: start]
    #[arg(long, value_name = "OFFSET")]
    pub(crate) from: Option<String>,
    /// Write events as JSON to stdout, as 'redial run' does
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) way: WayArgs,
}

/// Wait until a job has ended
#[derive(Debug, Args)]
#[command(after_help = WAIT_HELP)]
pub(crate) struct WaitArgs {
    /// The job.
    #[arg(value_name = "HOST/JOB", help = JOB)]
    pub(crate) job: OsString,
    /// Write its outcome as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) way: WayArgs,
    /// Say nothing but errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// Send a signal to jobs
#[derive(Debug, Args)]
#[command(after_help = KILL_HELP)]
pub(crate) struct KillArgs {
    /// The jobs.
    #[arg(value_name = "HOST/JOB", required = true, help = JOB)]
    pub(crate) jobs: Vec<OsString>,
    /// By name or number [default: TERM]
    #[arg(short, long, value_name = "SIGNAL", value_parser = crate::signal_name::parse)]
    pub(crate) signal: Option<u8>,
    /// As -s KILL
    #[arg(short = '9', conflicts_with_all = ["signal", "tree"])]
    pub(crate) nine: bool,
    /// End the whole tree
    #[arg(long, conflicts_with = "signal")]
    pub(crate) tree: bool,
    /// With --tree: from TERM to KILL; 0 is KILL at once [default: 5s]
    #[arg(long, value_name = "TIME", value_parser = duration::parse, requires = "tree")]
    pub(crate) grace: Option<Duration>,
    /// One JSON object for each job: host, job, done
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) way: WayArgs,
}

/// Forget ended jobs
#[derive(Debug, Args)]
#[command(after_help = RM_HELP)]
pub(crate) struct RmArgs {
    /// The jobs.
    #[arg(value_name = "HOST/JOB", required = true, help = JOB)]
    pub(crate) jobs: Vec<OsString>,
    /// End those first that still run
    #[arg(short, long)]
    pub(crate) force: bool,
    /// One JSON object for each job: host, job, done
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) way: WayArgs,
}
