//! The command line of `redial doctor`.

use std::ffi::OsString;
use std::time::Duration;

use clap::Args;

use super::network::{HOSTS, NetworkArgs};
use crate::duration;

const DOCTOR_HELP: &str = "\
Goes the way of 'redial run' step by step, and says of each step 'ok', or 'wrong' with what is
wrong and what to do; '-' is what could not be tried, though nothing says that it would fail.
What depends on a step that is wrong is not tried. Nothing is recorded and nobody is asked: a
key with a passphrase is tried only through an agent.

It runs date, true and head on HOST. If your key's line there names a command of its own
(command=), that runs instead, once.

Exit code: 0 if nothing is wrong, else 125.

--json: one object a line: step, ok (true; false: wrong; null: not tried), detail, advice (or
null), ms (how long it took, or null). Steps, each at most once but for key: settings, resolve,
connect, front, tls, host key, key, login, protocol, clock, spawn, latency, throughput.

Examples:
  redial doctor ada@web1
  redial doctor 'exec:ssh web1 redial serve --stdio'
  redial doctor web1 --json | jq -r 'select(.ok == false) | .advice'";

/// What works between here and a host, and what does not, step by step
#[derive(Debug, Args)]
#[command(after_help = format!("{HOSTS}\n\n{DOCTOR_HELP}"))]
pub(crate) struct DoctorArgs {
    /// Where: a host on the network, local:, unix:, unix:PATH or exec:COMMAND
    #[arg(value_name = "HOST")]
    pub(crate) host: OsString,
    /// Write each step as a JSON object, one a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Give up connecting after so long [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) connect_timeout: Option<Duration>,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
}
