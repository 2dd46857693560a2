//! Which hosts there are: text of files in, hosts, groups and tags out.
//!
//! Each [`Source`] has a name, its hosts, and its groups. `@web` asks the first source that has that
//! group, `@source:web` that one; within a group, its own source. `@*` is all hosts of the first source
//! that has any. `@role=web` are the hosts with that tag, of all sources; `@source:role=web` those of one.

mod ansible;
mod clustershell;
mod hosts_toml;
mod ssh_config;

use std::collections::BTreeMap;

use crate::host_set::{Groups, HostSet};

pub use ansible::ansible;
pub use clustershell::clustershell;
pub use hosts_toml::{AtOnce, hosts_toml};
pub use ssh_config::{SshNames, ssh_config};

/// What is known of a host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// The name or address to dial.
    pub address: Option<String>,
    /// The user on the server.
    pub user: Option<String>,
    /// The port.
    pub port: Option<u16>,
    /// What it is for, where it stands.
    pub tags: BTreeMap<String, String>,
}

/// Hosts and groups from one place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Source {
    /// What stands before the colon.
    pub name: String,
    /// For people: the file it is from.
    pub place: String,
    /// Each host by its name.
    pub hosts: BTreeMap<String, Entry>,
    /// Sets of hosts that have something in common, in their order.
    pub sets: Vec<(HostSet, Entry)>,
    /// Only asked where it is named: `@source:…`.
    pub is_apart: bool,
    /// Each group, in the notation of host sets.
    pub groups: BTreeMap<String, String>,
}

/// A file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}{}: {what}", line.map(|line| format!(", line {line}")).unwrap_or_default())]
pub struct InventoryError {
    /// The file.
    pub place: String,
    /// From 1.
    pub line: Option<usize>,
    /// What is wrong, and what to do.
    pub what: String,
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inventory {
    /// In the order in which they are asked.
    pub sources: Vec<Source>,
}

impl Entry {
    /// What this does not say, the other does.
    pub fn or(&mut self, other: &Entry) {
        self.address = self.address.take().or_else(|| other.address.clone());
        self.user = self.user.take().or_else(|| other.user.clone());
        self.port = self.port.or(other.port);
        for (key, value) in &other.tags {
            self.tags
                .entry(key.clone())
                .or_insert_with(|| value.clone());
        }
    }
}

impl Source {
    /// What it knows of a host; nothing, if it does not know it.
    pub fn entry(&self, name: &str) -> Option<Entry> {
        let mut entry = self.hosts.get(name).cloned();
        for (set, common) in &self.sets {
            if set.contains(name) {
                entry.get_or_insert_default().or(common);
            }
        }
        entry
    }

    /// All its hosts that are named one by one or as sets.
    fn named(&self) -> HostSet {
        let mut all: HostSet = self.hosts.keys().collect();
        for (set, _) in &self.sets {
            all.union(set.clone());
        }
        all
    }

    fn all(&self) -> String {
        let mut parts = vec![self.named().to_string()];
        parts.extend(
            self.groups
                .keys()
                .map(|group| format!("@{}:{group}", self.name)),
        );
        parts.retain(|part| !part.is_empty());
        parts.join(",")
    }
}

impl Inventory {
    /// What is known of a host: what the first source says, and what the others add.
    pub fn entry(&self, name: &str) -> Entry {
        let mut entry = Entry::default();
        for known in self.sources.iter().filter_map(|source| source.entry(name)) {
            entry.or(&known);
        }
        entry
    }

    /// Whether there is no source.
    fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    fn source(&self, name: &str) -> Result<&Source, String> {
        let found = self.sources.iter().find(|source| source.name == name);
        found.ok_or_else(|| {
            let names: Vec<&str> = self.sources.iter().map(|source| &*source.name).collect();
            match names.is_empty() {
                true => "there is no inventory; see 'redial hosts --help'".to_owned(),
                false => format!("there is no source {name:?}, only {}", names.join(", ")),
            }
        })
    }

    /// The names of hosts with this tag.
    fn tagged(&self, source: Option<&Source>, key: &str, value: &str) -> HostSet {
        let mut found = HostSet::default();
        let all = self.sources.iter().filter(|it| match source {
            Some(source) => std::ptr::eq(*it, source),
            None => !it.is_apart,
        });
        for source in all {
            for name in source.named().iter() {
                let entry = source.entry(&name).unwrap_or_default();
                if entry.tags.get(key).is_some_and(|known| known == value) {
                    found.insert(&name);
                }
            }
        }
        found
    }
}

impl Groups for Inventory {
    fn group(&self, source: Option<&str>, name: &str) -> Result<String, String> {
        if let Some((key, value)) = name.split_once('=') {
            let source = source.map(|source| self.source(source)).transpose()?;
            let found = self.tagged(source, key, value);
            return match found.is_empty() {
                true => Err(format!("no host has the tag {key}={value}")),
                false => Ok(found.to_string()),
            };
        }
        if let Some(source) = source {
            let source = self.source(source)?;
            let group = source.groups.get(name).cloned();
            return group.ok_or_else(|| format!("there is no such group in {}", source.place));
        }
        let mut groups = self
            .sources
            .iter()
            .filter_map(|source| source.groups.get(name).map(|text| (source, text)));
        match groups.next() {
            // Groups in it are of its source.
            Some((source, _)) => Ok(format!("@{}:{name}", source.name)),
            None if self.is_empty() => {
                Err("there is no inventory; see 'redial hosts --help'".to_owned())
            }
            None => Err("there is no such group; 'redial hosts groups' shows them".to_owned()),
        }
    }

    fn apart(&self, mask: &str) -> Option<&str> {
        let (prefix, _) = mask.split_once(':')?;
        let mut apart = self.sources.iter().filter(|it| it.is_apart);
        apart.find(|it| it.name == prefix).map(|it| &*it.name)
    }

    fn all(&self, source: Option<&str>) -> Result<String, String> {
        if let Some(source) = source {
            return Ok(self.source(source)?.all());
        }
        let mut all = self
            .sources
            .iter()
            .filter(|source| !source.is_apart)
            .map(Source::all)
            .filter(|all| !all.is_empty());
        all.next()
            .ok_or_else(|| "there is no inventory; see 'redial hosts --help'".to_owned())
    }
}

/// Without another thread.
#[cfg(test)]
fn one_by_one(first: &mut (dyn FnMut() + Send), second: &mut (dyn FnMut() + Send)) {
    first();
    second();
}

#[cfg(test)]
mod tests;
