//! Where the NATS cluster is and who we are there, from all sources; and the hosts that are in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use redial_client::network::{Broker, BrokerError, BrokerOptions, NatsFound};
use redial_fleet::HostSet;
use redial_fleet::inventory::{Entry, Inventory, Source};
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

/// The source of groups that are the hosts of a cluster.
const SOURCE: &str = "nats";
/// Between the operands of a set.
const SEPARATORS: &str = ",!&^";
/// Before the name of a host of the cluster.
const HOST: &str = "nats:";
/// How they are written, and what that is among other groups: as long, so that an error shows the place.
const GROUP: &str = "nats:@";
const OF_SOURCE: &str = "@nats:";

/// A cluster is asked who is there, once.
///
/// # Errors
///
/// [`BrokerError`], or there is no runtime.
pub(crate) fn discover(options: &BrokerOptions) -> Result<Vec<NatsFound>, SettingsError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    let found: Result<_, BrokerError> =
        runtime.block_on(async { Broker::connect(options).await?.find().await });
    Ok(found.map_err(|error| error.to_string())?)
}

/// Sets in which groups or patterns are of the cluster (`nats:@role=web`, `nats:@*`, `nats:web*`) as groups of a source, which the
/// inventory has from now on. The cluster is asked only if there is such a group.
///
/// # Errors
///
/// The cluster cannot be asked.
pub(crate) fn with_cluster(
    texts: [&mut Vec<String>; 2],
    inventory: &mut Inventory,
    args: &NatsArgs,
    file: &File,
) -> Result<(), SettingsError> {
    let texts = texts.into_iter().flatten();
    if texts.fold(false, |any, text| of_source(text) | any) {
        let found = discover(&cluster(args, file)?)?;
        inventory.sources.push(source(&found, HOST));
    }
    Ok(())
}

/// The hosts of a cluster as a source of groups, their names with this before them.
pub(crate) fn source(found: &[NatsFound], prefix: &str) -> Source {
    let hosts = found.iter().map(|host| {
        let entry = Entry {
            tags: host.tags.clone(),
            ..Entry::default()
        };
        (format!("{prefix}{}", host.name), entry)
    });
    Source {
        name: SOURCE.to_owned(),
        place: "the NATS cluster".to_owned(),
        hosts: hosts.collect::<BTreeMap<_, _>>(),
        // What they say of themselves is not proven: they are not among others of ours.
        is_apart: !prefix.is_empty(),
        ..Source::default()
    }
}

/// True if there is one.
fn of_source(text: &mut String) -> bool {
    let mut is_there = false;
    for word in [GROUP, OF_SOURCE] {
        let mut from = 0;
        while let Some(at) = text[from..].find(word).map(|at| from + at) {
            let before = text[..at].chars().next_back();
            // Within a word it is a part of that: `ada@nats:web1`.
            if before.is_none_or(|c| c.is_whitespace() || SEPARATORS.contains(c)) {
                text.replace_range(at..at + word.len(), OF_SOURCE);
                is_there = true;
            }
            from = at + word.len();
        }
    }
    let mut words = text.split(|c: char| c.is_whitespace() || SEPARATORS.contains(c));
    is_there || words.any(|word| word.starts_with(HOST) && word.contains(['*', '?']))
}

/// A name that is meant to be excluded has to be one: that of a host of the cluster has `nats:` before it.
///
/// # Errors
///
/// It is none, and one with that is.
pub(crate) fn check_excluded(all: &HostSet, less: &HostSet) -> Result<(), SettingsError> {
    let missed = less
        .iter()
        .find(|name| !all.contains(name) && all.contains(&format!("{HOST}{name}")));
    match missed {
        Some(name) => Err(format!(
            "-x {name} excludes nothing: that host is written {HOST}{name} here"
        )
        .into()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_the_cluster_are_groups_of_a_source() {
        for (text, read) in [
            ("nats:@role=web", "@nats:role=web"),
            ("web1,nats:@*!nats:@role=db", "web1,@nats:*!@nats:role=db"),
            ("a nats:@x=y&@all", "a @nats:x=y&@all"),
            ("@nats:role=web", "@nats:role=web"),
        ] {
            let mut text = text.to_owned();
            assert!(of_source(&mut text), "{text}");
            assert_eq!(text, read);
        }
        for text in ["nats:*", "web1,nats:web?", "a!nats:web[1-9]*"] {
            let mut same = text.to_owned();
            assert!(of_source(&mut same), "{text}");
            assert_eq!(same, text);
        }
        for text in [
            "nats:web[1-2]",
            "web*,nats:a",
            "anats:@x",
            "@all",
            "ada@nats:web[1-2]",
            "",
        ] {
            let mut same = text.to_owned();
            assert!(!of_source(&mut same), "{text}");
            assert_eq!(same, text);
        }
    }
}
