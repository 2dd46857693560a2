//! The command line of `redial keys`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::network::NetworkArgs;
use crate::duration;

const KEYS_HELP: &str = "\
HOST is as 'redial run' takes it, or as messages and known_hosts have it ([web1]:7334). Your own
keys are those that 'redial run' would try, in their order. Trusted hosts are those of
~/.config/redial/known_hosts ($XDG_CONFIG_HOME/redial/known_hosts). A line that begins with
@revoked there refuses that key for ever; it is written by hand, as for ssh.

Examples:
  redial keys                            own keys, trusted hosts, and this machine's own key
  redial keys show web1                  the keys tried at web1, and what is known of it
  redial keys new                        make ~/.ssh/id_ed25519
  redial keys trust web1                 dial, show the key, ask, remember it
  redial keys trust web1 --host-key SHA256:…   remember it if it is that one
  redial keys forget web1                after its key has changed, and you know why
  redial keys nkey ~/.ssh/id_ed25519     the NKEY that a NATS broker is to let in, for --nats-nkey with that file";

/// Your own keys, and the hosts you trust
#[derive(Debug, Args)]
#[command(after_help = KEYS_HELP)]
pub(crate) struct KeysArgs {
    /// Without one: `show`.
    #[command(subcommand)]
    pub(crate) what: Option<KeysCommand>,
}

/// What about keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Show own keys and trusted hosts, or those of one host; what 'redial keys' alone does
    Show {
        /// A host as 'redial run' takes it
        #[arg(value_name = "HOST")]
        host: Option<String>,
    },
    /// Make a key to log in with
    New(NewArgs),
    /// Remember a host's key
    Trust(TrustArgs),
    /// Show an Ed25519 key as the NKEY of a NATS user, for the broker's configuration
    Nkey {
        /// The key's file, or its .pub
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Forget a host's keys
    Forget {
        /// A host as 'redial run' takes it
        #[arg(value_name = "HOST")]
        host: String,
    },
}

/// `redial keys new`.
#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// Where to [default: ~/.ssh/id_ed25519]; the public half goes to FILE.pub
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// What stands behind the public key (USER@HOST by default)
    #[arg(long, value_name = "TEXT")]
    pub(crate) comment: Option<String>,
    /// Without a passphrase: whoever has the file has the key
    #[arg(long)]
    pub(crate) no_passphrase: bool,
}

/// `redial keys trust`.
#[derive(Debug, Args)]
pub(crate) struct TrustArgs {
    /// A host as 'redial run' takes it
    #[arg(value_name = "HOST")]
    pub(crate) host: String,
    /// Give up connecting after so long [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) connect_timeout: Option<Duration>,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
}
