//! The command line of `redial serve`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::duration;

const SERVE_HELP: &str = "\
Without --listen and --stdio it listens on the default socket: redial.sock in /run/redial as
root, else in $XDG_RUNTIME_DIR/redial or /tmp/redial-UID; that directory is made. Only the
same user and root get in. The log says 'listening' once clients are served. SIGTERM and SIGINT end it: no more starts, jobs get TERM, 5 s later KILL.

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
    /// Listen on unix:PATH, in a directory that is there and yours alone (0700);
    /// repeatable. The network comes later
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
