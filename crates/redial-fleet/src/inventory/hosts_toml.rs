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
    hosts: Vec<(String, Entry)>,
    groups: BTreeMap<String, String>,
}

impl From<File> for Hosts {
    fn from(file: File) -> Self {
        let entry = |table: Table| Entry {
            address: table.address,
            user: table.user,
            port: table.port.filter(|port| *port != 0),
            tags: table.tags,
        };
        let hosts = file.hosts.into_iter();
        Hosts {
            hosts: hosts.map(|(name, table)| (name, entry(table))).collect(),
            groups: file.groups,
        }
    }
}

/// Does both, one beside the other if there is a way.
pub type AtOnce<'a> = &'a dyn Fn(&mut (dyn FnMut() + Send), &mut (dyn FnMut() + Send));

/// Reads it, the halves of a long one `at_once`.
///
/// # Errors
///
/// It is no TOML, has keys that nobody knows, or sets that are none.
pub fn hosts_toml(place: &str, text: &str, at_once: AtOnce<'_>) -> Result<Source, InventoryError> {
    let mut file = match plain::read(text, at_once) {
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
        groups: std::mem::take(&mut file.groups),
        ..Source::default()
    };
    let mut wrong = None;
    // Where it is, for what stays: a copy of ten thousand hosts takes longer than their reading.
    file.hosts.retain(|(name, entry)| {
        // Most are one host, and that is seen faster than read.
        let is_one = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'.';
        if name.bytes().all(is_one) && !name.is_empty() {
            return true;
        }
        let what = match HostSet::parse(name, &NoGroups) {
            Ok(set) if set.len() == 1 && set.contains(name) => return true,
            Ok(_) if entry.address.is_some() => "several hosts cannot have one address".to_owned(),
            Ok(set) => {
                source.sets.push((set, entry.clone()));
                return false;
            }
            Err(error) => error.to_string(),
        };
        wrong.get_or_insert_with(|| format!("[hosts.{name:?}]: {what}"));
        false
    });
    if let Some(what) = wrong {
        return Err(InventoryError {
            place: place.to_owned(),
            line: None,
            what,
        });
    }
    // They are in their order already.
    source.hosts = file.hosts.into_iter().collect();
    Ok(source)
}
