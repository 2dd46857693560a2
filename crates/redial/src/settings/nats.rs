//! Where the NATS cluster is and who we are there, from all sources.

use std::path::{Path, PathBuf};

use redial_client::network::BrokerOptions;
use serde::Deserialize;

use super::SettingsError;
use super::file::File;
use crate::args::NatsArgs;

/// `[nats]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct NatsTable {
    urls: Vec<String>,
    creds: Option<PathBuf>,
    nkey: Option<PathBuf>,
    ca: Option<PathBuf>,
}

/// Where the cluster is, for who asks it.
///
/// # Errors
///
/// A file's name cannot be made absolute.
pub(crate) fn cluster(args: &NatsArgs, file: &File) -> Result<BrokerOptions, SettingsError> {
    broker(args, &file.nats)
}

/// The flags go before the file; who we are comes from one of them, not from both.
///
/// # Errors
///
/// A file's name cannot be made absolute.
pub(super) fn broker(args: &NatsArgs, file: &NatsTable) -> Result<BrokerOptions, SettingsError> {
    let absolute = |path: &Option<PathBuf>| {
        let path = path.as_deref().map(|path: &Path| {
            std::path::absolute(path).map_err(|error| format!("{}: {error}", path.display()))
        });
        path.transpose()
    };
    let is_said = args.nats_creds.is_some() || args.nats_nkey.is_some();
    let (credentials, nkey) = match is_said {
        true => (&args.nats_creds, &args.nats_nkey),
        false => (&file.creds, &file.nkey),
    };
    Ok(BrokerOptions {
        urls: match args.nats.is_empty() {
            true => file.urls.clone(),
            false => args.nats.clone(),
        },
        credentials: absolute(credentials)?,
        nkey: absolute(nkey)?,
        ca: absolute(if args.nats_ca.is_some() {
            &args.nats_ca
        } else {
            &file.ca
        })?,
    })
}
