//! redial's own: `hosts.toml`.
//!
//! ```toml
//! [hosts.web1]                # a host, or a set of them: [hosts."web[02-20]"]
//! address = "10.0.0.1"        # of one host only
//! user = "deploy"
//! port = 7334
//! tags = { role = "web", rack = "4" }
//!
//! [groups]
//! web = "web[01-20]"
//! prod = "@web,@db!web07"
//! ```

mod plain;

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Entry, InventoryError, Source};
use crate::host_set::{HostSet, NoGroups};

#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    hosts: BTreeMap<String, Table>,
    #[serde(default)]
    groups: BTreeMap<String, String>,
}

#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    address: Option<String>,
    user: Option<String>,
    port: Option<u16>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

/// The same in the order of their names. Most files are in it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Hosts {
    hosts: Vec<(String, Table)>,
    groups: BTreeMap<String, String>,
}

impl From<File> for Hosts {
    fn from(file: File) -> Self {
        Hosts {
            hosts: file.hosts.into_iter().collect(),
            groups: file.groups,
        }
    }
}

/// Reads it.
///
/// # Errors
///
/// It is no TOML, has keys that nobody knows, or sets that are none.
pub fn hosts_toml(place: &str, text: &str) -> Result<Source, InventoryError> {
    let file = match plain::read(text) {
        Some(file) => file,
        None => toml::from_str::<File>(text)
            .map(Hosts::from)
            .map_err(|error| {
                let before = error.span().and_then(|span| text.get(..span.start));
                InventoryError {
                    place: place.to_owned(),
                    line: before.map(|before| before.matches('\n').count() + 1),
                    what: error.message().replace('\n', " "),
                }
            })?,
    };
    let mut source = Source {
        name: "redial".to_owned(),
        place: place.to_owned(),
        groups: file.groups,
        ..Source::default()
    };
    let mut hosts = Vec::with_capacity(file.hosts.len());
    for (name, table) in file.hosts {
        let wrong = |what: String| InventoryError {
            place: place.to_owned(),
            line: None,
            what: format!("[hosts.{name:?}]: {what}"),
        };
        let entry = Entry {
            address: table.address,
            user: table.user,
            port: table.port.filter(|port| *port != 0),
            tags: table.tags,
        };
        // Most are one host, and that is seen faster than read.
        let is_one = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'.';
        if name.bytes().all(is_one) && !name.is_empty() {
            hosts.push((name, entry));
            continue;
        }
        let set = HostSet::parse(&name, &NoGroups).map_err(|error| wrong(error.to_string()))?;
        if set.len() == 1 && set.contains(&name) {
            hosts.push((name, entry));
            continue;
        }
        if entry.address.is_some() {
            return Err(wrong("several hosts cannot have one address".to_owned()));
        }
        source.sets.push((set, entry));
    }
    // They are in their order already.
    source.hosts = hosts.into_iter().collect();
    Ok(source)
}
