//! What `redial keys` and `redial doctor` have to know of a host.

use std::ffi::OsStr;
use std::time::Duration;

use redial_client::{ConnectOptions, HostTarget, Target};

use super::SettingsError;
use super::file::File;
use super::jobs::connect_timeout;
use super::network::network;
use crate::args::NetworkArgs;

/// A host on the network, and how it is reached.
///
/// # Errors
///
/// It is no such host, or a setting is wrong.
pub(crate) fn host_settings(
    host: &str,
    timeout: Option<Duration>,
    args: &NetworkArgs,
    file: &File,
) -> Result<(HostTarget, ConnectOptions), SettingsError> {
    let (target, options) = target_settings(OsStr::new(host), timeout, args, file)?;
    match target {
        Target::Network(host) => Ok((host, options)),
        other => {
            Err(format!("{other}: only hosts on the network ([user@]host[:port]) have keys").into())
        }
    }
}

/// Any host, and how it is reached.
///
/// # Errors
///
/// It is none, or a setting is wrong.
pub(crate) fn target_settings(
    host: &OsStr,
    timeout: Option<Duration>,
    args: &NetworkArgs,
    file: &File,
) -> Result<(Target, ConnectOptions), SettingsError> {
    let target = Target::parse(host).map_err(|error| error.to_string())?;
    let options = ConnectOptions::default()
        .connect_timeout(connect_timeout(timeout, file)?)
        .network(network(args, &target, file)?)
        .redial(None)
        // This very program, even if its file was replaced in the meantime.
        .local_program("/proc/self/exe");
    Ok((target, options))
}
