//! How a server is reached by way of NATS.

use std::collections::BTreeMap;
use std::path::PathBuf;

use redial_client::network::{BrokerOptions, NatsName};

use super::super::SettingsError;
use super::super::file::File;
use super::super::nats::broker;
use crate::args::ServeArgs;

/// How lines come by way of NATS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NatsListen {
    pub(crate) broker: BrokerOptions,
    pub(crate) name: NatsName,
    pub(crate) tags: BTreeMap<String, String>,
    /// The keeper's socket for them.
    pub(crate) door: PathBuf,
}

/// What the keeper says to its agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AgentSettings {
    pub(crate) nats: NatsListen,
    /// The host's public key.
    pub(crate) key: String,
}

/// What the keeper has said to us, if we are its agent.
///
/// # Errors
///
/// Says what is wrong.
pub(super) fn agent(args: &ServeArgs, file: &File) -> Result<Option<AgentSettings>, SettingsError> {
    let (Some(door), Some(key)) = (&args.nats_agent, &args.nats_key) else {
        return Ok(None);
    };
    let nats = nats_listen(args, file, door.clone())?;
    let key = key.clone();
    Ok(Some(AgentSettings { nats, key }))
}

/// Whether hosts are to call us by way of NATS. The door is beside the first socket.
///
/// # Errors
///
/// Says what is wrong.
pub(super) fn listen(
    args: &ServeArgs,
    file: &File,
    sockets: &[PathBuf],
) -> Result<Option<NatsListen>, SettingsError> {
    if args.nats.nats.is_empty() {
        return Ok(None);
    }
    let Some(socket) = sockets.first() else {
        let text = "--nats: add --listen unix:PATH, beside which its door is";
        return Err(text.to_owned().into());
    };
    let mut door = socket.clone().into_os_string();
    door.push(".nats");
    let listen = nats_listen(args, file, door.into())?;
    let usable = listen.broker.check();
    usable.map_err(|error| format!("--nats: {error}"))?;
    Ok(Some(listen))
}

fn tags(all: &[(String, String)]) -> Result<BTreeMap<String, String>, SettingsError> {
    let mut tags = BTreeMap::new();
    for (key, value) in all {
        if let Some(other) = tags.insert(key.clone(), value.clone()) {
            return Err(
                format!("--tag: {key} is {other:?} and {value:?}; a tag has one value").into(),
            );
        }
    }
    Ok(tags)
}

fn nats_listen(args: &ServeArgs, file: &File, door: PathBuf) -> Result<NatsListen, SettingsError> {
    let own = || {
        let system = rustix::system::uname();
        system.nodename().to_string_lossy().into_owned()
    };
    let name = args.name.clone().unwrap_or_else(own);
    let name = name
        .parse()
        .map_err(|error| format!("--name {name:?}: {error}"))?;
    Ok(NatsListen {
        broker: super::nats::broker(&args.nats, &file.nats)?,
        name,
        tags: tags(&args.tag)?,
        door,
    })
}
