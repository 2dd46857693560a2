//! The command line of `redial run`.

use std::ffi::OsString;
use std::time::Duration;

use clap::Args;

use super::fleet::{FleetArgs, Where};
use super::jobs::WayArgs;
use super::limits::LimitArgs;
use super::network::HOSTS;
use crate::charset::Charset;
use crate::duration;
use crate::size;
use crate::terminal::EscapeChar;

const RUN_HELP: &str = "\
Exit code: the command's own; 128+N if signal N ended it; 124 deadline; 125 redial itself
failed (wrong use, unreachable, refused, lost, unknown, bad directory); 126 cannot be
executed; 127 not found, or its interpreter is not; redial interrupted: 130 by Ctrl-C, 143 by
TERM, 129 by HUP. The reason is on stderr, after 'redial: '.

Interrupts: the first Ctrl-C sends SIGINT to the command, the second ends its whole tree
(TERM, 5 s later KILL), the third leaves. TERM and HUP end the tree at once. What is left of
a command ends with local: and any private server, where a cgroup can be made for it.

--memory, --cpu and --pids are kept by a cgroup v2 of the command's own; a server that has none to give
(Delegate=yes for its unit) refuses, and runs nothing. Out of memory all of it is ended, and
the outcome says so.

-t: as with ssh -t. The terminal's kind (TERM) and size are ours; 80x24 where we have none. If we are
typed on, keys go to the command as they are, Ctrl-C too. A line that drops is dialled again as
always; '~.' at the beginning of a line leaves (exit code 129) and names the job, which 'redial
attach --take' takes up again. Without a terminal of ours stdin is typed, and so is its end (Ctrl-D).

Many hosts: HOST may be a set, 'web[01-20],@db!web07', or -w SET and -g GROUP stand in its place. Each line
has its host before it, or --output says otherwise; a table of ends is on stderr, which -q leaves out. stdin goes
nowhere without --stdin-all. Exit code: 0 if all hosts did it; 125 if one was not reached or its outcome
is not known; else the largest. The run is written down: 'redial history' shows it, takes it up again,
runs it again. docs/fleet.md says more.

A stdout or stderr that is closed when redial starts (>&-) counts as /dev/null.

Environment: REDIAL_DEADLINE, REDIAL_DRAIN, REDIAL_ON_DROP, REDIAL_CONNECT_TIMEOUT,
REDIAL_REDIAL take the place of the flags; REDIAL_LOG=debug shows what happens inside.

Settings file: [run] deadline, drain, on-drop, connect-timeout, redial.

A line that drops is dialled again, and everything goes on where it was: both outputs, stdin,
signals, the outcome; nothing runs twice. --on-drop says what becomes of the command if nobody
comes back.

--json: one object a line on stdout: started, stdout, stderr, dropped, back, exited, and last outcome, whose
'error' is null unless redial itself failed, so that a command that exits with 125 is told from
that. The exit code stays. docs/json.md and docs/run.schema.json say every key.

--charset: what the command writes is decoded to UTF-8 as it comes, and our stdin is encoded;
what one of them does not have is replaced and counted, and the count said on stderr.

Examples:
  redial run local: -- uname -a
  redial run unix: -c 'cd /var/log && grep -c error *.log'
  redial run local: --json -- sh -c 'echo out; exit 3' | jq -c 'select(.event == \"outcome\").code'
  redial run unix: --charset gbk -- cat notes-in-gbk.txt
  redial run ada@web1 -- df -h
  redial run -t web1 -- htop
  redial run 'web[01-20],@db' -x web07 -b -- cat /etc/debian_version
  redial run @web --rolling 10% --max-fail 2 -- systemctl restart nginx
  redial run --detach web1 -- make all        # prints web1/5k3f…; redial logs -f web1/5k3f…
  redial run 'exec:ssh web1 redial serve --stdio' --deadline 30s -- apt-get update
  tar c . | redial run unix:/run/redial/redial.sock --cwd /srv -- tar x";

/// Run a command on a host
#[derive(Debug, Args)]
#[command(after_help = format!("{HOSTS}\n\n{RUN_HELP}"))]
pub(crate) struct RunArgs {
    /// Where a command runs.
    #[arg(
        value_name = "HOST",
        required_unless_present_any = ["hosts", "group"],
        help = "Where: [user@]host[:port], local:, unix:, unix:PATH or exec:COMMAND; or a set of hosts: \
                'web[01-20],@db'"
    )]
    pub(crate) host: Option<OsString>,
    /// Program and arguments, byte for byte, without a shell
    #[arg(
        value_name = "ARGV",
        trailing_var_arg = true,
        required_unless_present_any = ["text", "hosts", "group"]
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
    /// End the command's tree after so long: TERM, 5 s later KILL. 0 or none: never
    /// [default: none]
    #[arg(long, value_name = "TIME", value_parser = duration::parse_limit)]
    pub(crate) deadline: Option<Duration>,
    /// After the exit, read pipes that background processes hold for so long; 0: not at all
    /// [default: 2s; with -t 0]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) drain: Option<Duration>,
    /// When the command has ended, end what it has left running; else that stays, as with ssh
    #[arg(long)]
    pub(crate) reap: bool,
    /// No stdin: the command reads /dev/null
    #[arg(short = 'n', long)]
    pub(crate) no_stdin: bool,
    /// Give it a terminal: what it writes is one stream, stdout, and what is typed reaches it key by
    /// key
    #[arg(short = 't', long)]
    pub(crate) tty: bool,
    /// With a terminal: the character that begins keys for redial (~? says them), or none
    /// [default: ~]
    #[arg(long, value_name = "CHAR", value_parser = EscapeChar::parse)]
    pub(crate) escape: Option<EscapeChar>,
    /// Write events as JSON to stdout, one a line, in place of the command's output
    #[arg(long)]
    pub(crate) json: bool,
    /// The command speaks this charset: gbk, shift_jis, any label of the Encoding Standard
    #[arg(long, value_name = "LABEL", value_parser = Charset::parse)]
    pub(crate) charset: Option<Charset>,
    /// When the line drops: kill, keep or keep:TIME
    /// [default: kill for local: and unix:, keep:5m for others where the server can keep]
    #[arg(long, value_name = "POLICY")]
    pub(crate) on_drop: Option<String>,
    /// Leave it running and print its name, HOST/JOB: its output is kept on the server (redial ps,
    /// attach, logs, wait, kill, rm). It has no stdin; on a terminal (-t) who attaches with --take types
    #[arg(long)]
    pub(crate) detach: bool,
    /// With --detach: keep so much of its output; then it waits [default: 1GiB]
    #[arg(long, value_name = "SIZE", value_parser = size::parse, requires = "detach")]
    pub(crate) keep_output: Option<u64>,
    /// With --detach: when that is full, block the command, or drop the oldest (tail)
    /// [default: block]
    #[arg(long, value_name = "POLICY", value_parser = ["block", "tail"], requires = "detach")]
    pub(crate) keep_output_policy: Option<String>,
    /// With --detach: forget it so long after its end [default: 7d]
    #[arg(long, value_name = "TIME", value_parser = duration::parse, requires = "detach")]
    pub(crate) keep: Option<Duration>,
    #[command(flatten)]
    pub(crate) fleet: FleetArgs,
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

impl RunArgs {
    /// Where it is to run. What stands in HOST's place and belongs to the command is put there.
    ///
    /// # Errors
    ///
    /// There is no host, or no command.
    pub(crate) fn place(&mut self) -> Result<Where, String> {
        let place = self.fleet.place(self.host.take(), &mut self.argv)?;
        match (&self.text, self.argv.is_empty()) {
            (None, true) => Err(
                "no command: write one behind the host, or text for the remote shell \
                                 behind -c"
                    .to_owned(),
            ),
            (Some(_), false) => Err("a command, and text behind -c too: one of both".to_owned()),
            _ => Ok(place),
        }
    }
}
