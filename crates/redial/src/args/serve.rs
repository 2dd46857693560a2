//! The command line of `redial serve`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::NatsArgs;
use crate::duration;
use crate::size;

const SERVE_HELP: &str = "\
Without --listen and --stdio it listens on the default socket: redial.sock in /run/redial as
root, else in $XDG_RUNTIME_DIR/redial or /tmp/redial-UID; that directory is made. Only the
same user and root get in. The log says 'listening' once clients are served. SIGTERM and
SIGINT end it: no more starts, jobs get TERM, 5 s later KILL; told a second time, at once. SIGHUP
replaces its program in place, with all jobs, as 'redial upgrade' does.

Jobs that are kept ('redial run --detach') have their output and their record in the state
directory, for this server alone; without one, or where it cannot be written, they are refused.

On the network nobody gets in without a key, and there is no setting to change that: clients
prove an SSH key of an authorized_keys, whose options are obeyed (command=, from=, expiry-time=,
restrict, environment=; a line with an option that is not known lets nobody in). It, and the
directories above it, may be writable by nobody else. Without a single key it does not start. A
key that is removed loses its connections and its jobs within seconds.

With --nats it dials out to a NATS cluster and is called there by its --name, so that it can be reached
where nobody can dial it. The broker is not trusted: inside run the same TLS and the same keys. No port
is opened; the default socket is, for this machine.

With --audit nothing runs that is not written down before. A file may be renamed at any time, and
the next line goes to a new one. What cannot be written of what has happened already is
written later, and what is lost is counted there.

With --record nothing gets a terminal that is not recorded from its first byte on: a file named by
time and job in a directory that is the server's alone, for 'asciinema play' and the like. What is
typed is not in it, but what is shown of it is. One that cannot go on (a full disk, 1 GiB, the quota)
ends its job. docs/audit.md says more.

Environment: REDIAL_STATE_DIR, REDIAL_LOG_FORMAT take the place of the flags; REDIAL_LOG
sets the level (error, warn, info, debug, trace).

Settings file: [nats] creds, nkey, ca (its urls are for clients); [serve] listen, host-key, authorized-keys, state-dir, log-format, audit, audit-argv,
audit-best-effort, record, record-quota, and the limits by their flags' names.

Examples:
  redial serve
  redial serve --listen unix:/run/redial/redial.sock --max-jobs 64 --log-format json
  redial serve --listen 0.0.0.0 --listen '[::]' --listen unix: --audit /var/log/redial/audit
  redial run 'exec:ssh web1 redial serve --stdio' -- uptime";

const LISTEN: &str = "\
Listen on unix:PATH, in a directory that is there and that nobody else can write, or on the network:
ADDRESS[:PORT], [ADDRESS6][:PORT], port 7334 by default. Repeatable";

/// Serve commands on this machine
#[derive(Debug, Args)]
#[command(after_help = SERVE_HELP)]
pub(crate) struct ServeArgs {
    /// Where to listen.
    #[arg(long, value_name = "ADDR", help = LISTEN)]
    pub(crate) listen: Vec<OsString>,
    /// The key that says who this server is, made if it is not there [default: host_key in the
    /// state directory; if there is none, sshd's Ed25519 key if it can be read; else a new one]
    #[arg(long, value_name = "FILE")]
    pub(crate) host_key: Option<PathBuf>,
    /// Public keys that may log in over the network; repeatable [default:
    /// ~/.config/redial/authorized_keys, then ~/.ssh/authorized_keys]
    #[arg(long, value_name = "FILE")]
    pub(crate) authorized_keys: Vec<PathBuf>,
    /// Carry the protocol between stdin and stdout and this user's server (the one on the
    /// default socket, or on --listen), which is started if there is none
    #[arg(long)]
    pub(crate) stdio: bool,
    /// With --stdio: serve the one client directly, and end with it
    #[arg(long, requires = "stdio", conflicts_with = "listen")]
    pub(crate) private: bool,
    /// Where the host key and kept jobs are [default: /var/lib/redial as root, else $XDG_STATE_HOME/redial or
    /// ~/.local/state/redial]
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
    /// Output of all kept jobs together [default: 8GiB]
    #[arg(long, value_name = "SIZE", value_parser = size::parse, help_heading = "Limits")]
    pub(crate) keep_quota: Option<u64>,
    /// A client's handshake must be over after this [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = duration::parse, help_heading = "Limits")]
    pub(crate) handshake_timeout: Option<Duration>,
    /// Write a JSON line for each login, command and outcome to the end of FILE, or to the systemd
    /// journal (--audit journald)
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "stdio",
        help_heading = "Audit"
    )]
    pub(crate) audit: Option<PathBuf>,
    /// How commands stand in it: full, or hash (their program, and a SHA-256 of the arguments)
    /// [default: full]
    #[arg(long, value_name = "FORM", help_heading = "Audit")]
    pub(crate) audit_argv: Option<AuditForm>,
    /// Run commands though they cannot be written down
    #[arg(long, help_heading = "Audit")]
    pub(crate) audit_best_effort: bool,
    /// Record what terminals show in DIR, a file each (asciicast v2). It is made if it is not there
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with = "stdio",
        help_heading = "Audit"
    )]
    pub(crate) record: Option<PathBuf>,
    /// Bytes of all recordings there; then terminals are not given, or end [default: 8GiB]
    #[arg(long, value_name = "SIZE", value_parser = size::parse, help_heading = "Audit")]
    pub(crate) record_quota: Option<u64>,
    /// Tell a monitor (Prometheus) what there is, on a loopback ADDRESS:PORT or unix:PATH
    #[arg(long, value_name = "ADDR", conflicts_with = "stdio")]
    pub(crate) metrics: Option<OsString>,
    /// Serve all users of this machine, as root: each logs in with their own keys, and their
    /// commands run as them
    #[arg(long, conflicts_with = "stdio", help_heading = "Many users")]
    pub(crate) multi_user: bool,
    /// The user that the process is which talks to the network; nobody else's, and without a login
    /// [default: redial]
    #[arg(long, value_name = "NAME", help_heading = "Many users")]
    pub(crate) front_user: Option<String>,
    /// Let root in too, and run commands as root
    #[arg(long, help_heading = "Many users")]
    pub(crate) allow_root: bool,
    #[command(flatten)]
    pub(crate) nats: NatsArgs,
    /// Answer to this name in the NATS cluster [default: the machine's]
    #[arg(long, value_name = "NAME", requires = "nats", help_heading = "NATS")]
    pub(crate) name: Option<String>,
    /// Tell this of the host to who asks the cluster for hosts, as role=web; repeatable
    #[arg(long, value_name = "KEY=VALUE", value_parser = tag, help_heading = "NATS")]
    pub(crate) tag: Vec<(String, String)>,
    /// The agent process, which the keeper starts: where its door is
    #[arg(long, value_name = "SOCKET", hide = true, requires_all = ["nats_key", "name"])]
    pub(crate) nats_agent: Option<PathBuf>,
    /// The host key that the agent tells
    #[arg(long, value_name = "KEY", hide = true)]
    pub(crate) nats_key: Option<String>,
    /// The front process, which the keeper starts
    #[arg(long, hide = true)]
    pub(crate) front: bool,
}

/// `role=web`.
fn tag(text: &str) -> Result<(String, String), String> {
    // Else a set of hosts could not name it: nats:@role=web.
    let odd = |c: char| c.is_whitespace() || c.is_control() || ",!&^@[]*?".contains(c);
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() && text.len() <= 256 && !text.contains(odd) => {
            Ok((key.to_owned(), value.to_owned()))
        }
        _ => Err(
            "a tag is KEY=VALUE, at most 256 bytes, without blanks and any of ,!&^@[]*?".to_owned(),
        ),
    }
}

/// How the audit has commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AuditForm {
    /// As they were asked for.
    Full,
    /// A checksum of their arguments.
    Hash,
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
