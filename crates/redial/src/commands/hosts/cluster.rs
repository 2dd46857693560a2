//! `redial hosts list --nats`: the hosts that answer in a cluster.

use std::io::{self, Write};

use redial_client::network::NatsFound;
use redial_client::network::auth::PublicKey;
use redial_fleet::HostSet;
use redial_fleet::inventory::Inventory;
use serde_json::json;

use super::super::printed::print;
use crate::args::SetArgs;
use crate::report::Harmless;
use crate::settings::{self, File, SettingsError};

/// Runs it; the result is our exit code.
///
/// # Errors
///
/// A set is none, or the cluster cannot be asked.
pub(super) fn list(args: &SetArgs, file: &File) -> Result<u8, SettingsError> {
    let mut args = args.clone();
    let found = settings::discover(&settings::cluster(&args.nats, file)?)?;
    // There are no other hosts here: a name alone will do.
    for text in [&mut args.sets, &mut args.exclude].into_iter().flatten() {
        *text = text.replace("nats:", "");
    }
    let inventory = Inventory {
        sources: vec![settings::cluster_source(&found, "")],
    };
    if args.sets.is_empty() && !found.is_empty() {
        args.sets.push("@*".to_owned());
    }
    let wanted = match args.sets.is_empty() {
        true => HostSet::default(),
        false => super::read(&args, &inventory)?,
    };
    Ok(print(|out| show(out, &found, &wanted, args.json)))
}

fn show(
    out: &mut impl Write,
    found: &[NatsFound],
    wanted: &HostSet,
    as_json: bool,
) -> io::Result<()> {
    let is_wanted = |host: &&NatsFound| wanted.contains(host.name.as_str());
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
