//! `redial hosts list --nats`: the hosts that answer in a cluster.

use std::io::{self, Write};

use redial_client::network::auth::PublicKey;
use redial_client::network::{Broker, NatsFound};
use redial_fleet::HostSet;
use serde_json::json;

use super::super::printed::print;
use crate::args::ListArgs;
use crate::exit_code::FAILED;
use crate::report::{self, Harmless};
use crate::settings::{self, File, SettingsError};

/// Runs it; the result is our exit code.
///
/// # Errors
///
/// A set is none, or the cluster's settings cannot be used.
pub(super) fn list(args: &ListArgs, file: &File) -> Result<u8, SettingsError> {
    let broker = settings::cluster(&args.nats, file)?;
    let sets = &args.sets;
    let wanted = match sets.sets.is_empty() && sets.exclude.is_empty() {
        true => None,
        false => Some(super::read(
            sets,
            &redial_fleet::inventory::Inventory::default(),
        )?),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    let found = runtime.block_on(async { Broker::connect(&broker).await?.find().await });
    match found {
        Ok(found) => Ok(print(|out| show(out, &found, wanted.as_ref(), sets.json))),
        Err(error) => {
            report::error(format_args!("{error}"));
            Ok(FAILED)
        }
    }
}

fn show(
    out: &mut impl Write,
    found: &[NatsFound],
    wanted: Option<&HostSet>,
    as_json: bool,
) -> io::Result<()> {
    let is_wanted = |host: &&NatsFound| wanted.is_none_or(|set| set.contains(host.name.as_str()));
    let found: Vec<&NatsFound> = found.iter().filter(is_wanted).collect();
    let width = found.iter().map(|host| host.name.as_str().len()).max();
    let width = width.unwrap_or(0);
    for host in found {
        let key = match PublicKey::from_blob(&host.key) {
            Ok(key) => key.fingerprint(),
            Err(_) => "no key that is taken".to_owned(),
        };
        if as_json {
            let line = json!({
                "host": host.name.as_str(), "target": format!("nats:{}", host.name), "key": key,
                "version": host.version, "up_s": host.up.as_secs(), "tags": host.tags,
            });
            writeln!(out, "{line}")?;
            continue;
        }
        let tags = host
            .tags
            .iter()
            .map(|(key, value)| format!(" {key}={value}"));
        let line = format!(
            "{:width$}  {key}  {}  up {}{}",
            host.name.as_str(),
            host.version,
            humantime::format_duration(host.up),
            tags.collect::<String>()
        );
        writeln!(out, "{}", Harmless(&line))?;
    }
    Ok(())
}
