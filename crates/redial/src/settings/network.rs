//! How to reach hosts on the network, from all sources.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use redial_client::{HostOverrides, NetworkOptions, NewHost, Target};
use redial_fleet::inventory::Inventory;
use redial_keeper::account::Account;
use serde::Deserialize;

use super::SettingsError;
use super::file::File;
use super::inventory;
use crate::args::NetworkArgs;
use crate::asking::Terminal;

/// `[host.NAME]`: NAME is the host as it is typed, without user and port.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct HostTable {
    address: Option<String>,
    user: Option<String>,
    port: Option<u16>,
    identity: Vec<PathBuf>,
    proxy_jump: Option<String>,
    proxy_command: Option<String>,
}

/// Options for this target; those of a host in the file are for that host.
pub(super) fn network(
    args: &NetworkArgs,
    target: &Target,
    file: &File,
) -> Result<NetworkOptions, SettingsError> {
    let inventory = match target {
        Target::Network(_) => inventory::own()?,
        _ => Inventory::default(),
    };
    Network::new(args, file, inventory)?.of(target)
}

/// How to reach hosts, whichever it is.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    base: NetworkOptions,
    user: Option<String>,
    tables: BTreeMap<String, HostTable>,
    inventory: Inventory,
}

impl Network {
    pub(super) fn new(
        args: &NetworkArgs,
        file: &File,
        inventory: Inventory,
    ) -> Result<Self, SettingsError> {
        let mut base = NetworkOptions::default()
            .local_user(local_user())
            .bind(args.bind)
            .new_host(new_host(args))
            .interaction(Arc::new(Terminal))
            .nats(super::nats::broker(&args.nats, &file.nats)?);
        for path in &args.identity {
            let path = std::path::absolute(path)
                .map_err(|error| format!("--identity {}: {error}", path.display()))?;
            base = base.identity(path);
        }
        Ok(Network {
            base,
            user: args.user.clone(),
            tables: file.host.clone(),
            inventory,
        })
    }

    /// For many hosts at once: a person is asked for a passphrase once, and about no host.
    pub(super) fn together(mut self) -> Self {
        if self.base.new_host == NewHost::Ask {
            self.base = self.base.new_host(NewHost::Refuse);
        }
        self.base = self.base.together();
        self
    }

    /// Options for this target. What the inventory says of it counts where the file says nothing.
    pub(crate) fn of(&self, target: &Target) -> Result<NetworkOptions, SettingsError> {
        let options = as_user(self.base.clone(), self.user.as_deref(), target)?;
        let Target::Network(host) = target else {
            return Ok(options);
        };
        let none = HostTable::default();
        let table = self.tables.get(&host.host).unwrap_or(&none);
        let identities = table
            .identity
            .iter()
            .map(|path| expand(path, &options.home));
        let identities = identities.collect();
        let known = self.inventory.entry(&host.host);
        Ok(options.overrides(HostOverrides {
            address: table.address.clone().or(known.address),
            user: table.user.clone().or(known.user),
            port: table.port.or(known.port),
            identities,
            proxy_jump: table.proxy_jump.clone(),
            proxy_command: table.proxy_command.clone(),
        }))
    }
}

/// `--user`, where there is somebody to be.
fn as_user(
    options: NetworkOptions,
    user: Option<&str>,
    target: &Target,
) -> Result<NetworkOptions, SettingsError> {
    let Some(user) = user else {
        return Ok(options);
    };
    let wrong = |why: &str| {
        Err(SettingsError(format!(
            "--user {}: {why}",
            user.escape_debug()
        )))
    };
    match target {
        Target::Network(host) if host.user.as_deref().is_some_and(|typed| typed != user) => {
            wrong("the host names another one")
        }
        Target::Network(_) => Ok(options.user(Some(user.to_owned()))),
        Target::Unix(_) => match Account::find_name(user.as_bytes()) {
            Ok(Some(account)) => {
                let own = rustix::process::geteuid();
                let other = account.uid != own.as_raw();
                if other && !own.is_root() {
                    return wrong("only root may be another user on a Unix socket");
                }
                Ok(options.as_uid(other.then_some(account.uid)))
            }
            Ok(None) => wrong("there is no such user"),
            Err(error) => wrong(&error.to_string()),
        },
        Target::Local | Target::Exec(_) => {
            wrong("it is for hosts on the network and unix: sockets; this one knows who you are")
        }
    }
}

/// Who runs this program, as ssh finds it out: by uid, whatever the environment says.
fn local_user() -> Option<String> {
    let account = Account::own().ok()?;
    String::from_utf8(account.name).ok()
}

fn new_host(args: &NetworkArgs) -> NewHost {
    match &args.host_key {
        Some(pin) => NewHost::Pinned(pin.clone()),
        None if args.accept_new => NewHost::Accept,
        None => NewHost::Ask,
    }
}

/// `~/` in the settings file is the home directory.
fn expand(path: &std::path::Path, home: &Option<PathBuf>) -> PathBuf {
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}
