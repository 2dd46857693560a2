//! Flags about the NATS cluster that hosts are called through.

use std::path::PathBuf;

use clap::Args;

/// Of who calls, and of who is called.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "NATS")]
pub(crate) struct NatsArgs {
    /// A broker of the cluster, as nats://host:4222 or tls://host:4222; repeatable, or several with
    /// commas between
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    pub(crate) nats: Vec<String>,
    /// Who we are there: a file of 'nsc generate creds'
    #[arg(long, value_name = "FILE", conflicts_with = "nats_nkey")]
    pub(crate) nats_creds: Option<PathBuf>,
    /// Who we are there: a file with the seed of an NKEY, or an Ed25519 key of ssh's without a passphrase
    /// ('redial keys nkey' shows what the broker is to know of it)
    #[arg(long, value_name = "FILE")]
    pub(crate) nats_nkey: Option<PathBuf>,
    /// Certificates of authorities that vouch for brokers, instead of the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) nats_ca: Option<PathBuf>,
}
