//! `redial hosts`: sets of hosts, spelled out, folded and counted; and what inventories say.

mod cluster;

use std::io::{self, BufRead, Read, Write};

use redial_fleet::HostSet;
use redial_fleet::inventory::{Entry, Inventory};
use serde_json::json;

use super::printed::print;
use crate::args::{HostsArgs, HostsCommand, SetArgs};
use crate::report::Harmless;
use crate::settings::{self, File, SettingsError};

/// Of stdin: a million names of 64 bytes.
const STDIN_MAX_BYTES: u64 = 64 << 20;

/// Runs it; the result is our exit code.
///
/// # Errors
///
/// A set is none, or an inventory cannot be used.
pub(crate) fn hosts(args: &HostsArgs, file: &File) -> Result<u8, SettingsError> {
    if let HostsCommand::List(list) = &args.what
        && (!list.nats.nats.is_empty() || is_of_cluster(&list.sets))
    {
        return cluster::list(list, file);
    }
    let mut inventory = settings::inventory(true)?;
    // Read before anything is printed: a set that is none has no output.
    let set = match &args.what {
        HostsCommand::Groups(_) => HostSet::default(),
        HostsCommand::List(sets) if sets.sets.is_empty() => read(&everything(sets), &inventory)?,
        HostsCommand::List(sets)
        | HostsCommand::Expand(sets)
        | HostsCommand::Fold(sets)
        | HostsCommand::Count(sets) => {
            let mut sets = sets.clone();
            let texts = [&mut sets.sets, &mut sets.exclude];
            settings::with_cluster(texts, &mut inventory, &sets.nats, file)?;
            read(&sets, &inventory)?
        }
    };
    Ok(print(|out| match &args.what {
        HostsCommand::List(args) => list(out, &set, &inventory, args.json),
        HostsCommand::Groups(args) => groups(out, &inventory, args.json),
        HostsCommand::Expand(sets) if sets.json => {
            writeln!(out, "{}", json!(set.iter().collect::<Vec<_>>()))
        }
        HostsCommand::Expand(_) => set.iter().try_for_each(|name| writeln!(out, "{name}")),
        HostsCommand::Fold(sets) if sets.json => writeln!(out, "{}", json!(set.to_string())),
        HostsCommand::Fold(_) => writeln!(out, "{set}"),
        HostsCommand::Count(_) => writeln!(out, "{}", set.len()),
    }))
}

/// Nothing else is asked for: then the cluster says more than a name.
fn is_of_cluster(sets: &[String]) -> bool {
    !sets.is_empty()
        && sets
            .iter()
            .all(|set| set.starts_with("nats:@") || set.starts_with("nats:*"))
}

fn everything(args: &SetArgs) -> SetArgs {
    SetArgs {
        sets: vec!["@*".to_owned()],
        ..args.clone()
    }
}

fn list(
    out: &mut impl Write,
    set: &HostSet,
    inventory: &Inventory,
    as_json: bool,
) -> io::Result<()> {
    let width = set.iter().map(|name| name.len()).max().unwrap_or(0);
    for name in set.iter() {
        let entry = inventory.entry(&name);
        if as_json {
            let Entry {
                address,
                user,
                port,
                tags,
            } = entry;
            let line =
                json!({"host": name, "address": address, "user": user, "port": port, "tags": tags});
            writeln!(out, "{line}")?;
            continue;
        }
        let mut known = Vec::new();
        known.extend(entry.address.map(|address| format!("address={address}")));
        known.extend(entry.user.map(|user| format!("user={user}")));
        known.extend(entry.port.map(|port| format!("port={port}")));
        known.extend(
            entry
                .tags
                .iter()
                .map(|(key, value)| format!("{key}={value}")),
        );
        let line = format!("{name:width$}  {}", known.join(" "));
        writeln!(out, "{}", Harmless(line.trim_end()))?;
    }
    Ok(())
}

fn groups(out: &mut impl Write, inventory: &Inventory, as_json: bool) -> io::Result<()> {
    for source in &inventory.sources {
        for group in source.groups.keys() {
            let name = format!("@{}:{group}", source.name);
            // One that cannot be read is shown with the reason, and the others all the same.
            let (set, count, error) = match HostSet::parse(&name, inventory) {
                Ok(set) => (set.to_string(), set.len(), None),
                Err(error) => (String::new(), 0, Some(error.to_string())),
            };
            match (as_json, &error) {
                (true, _) => {
                    let line = json!({
                        "source": source.name, "group": group, "hosts": set, "count": count,
                        "error": error,
                    });
                    writeln!(out, "{line}")
                }
                (false, None) => writeln!(out, "{name}  {count}  {set}"),
                (false, Some(error)) => writeln!(out, "{name}  {}", Harmless(error)),
            }?;
        }
    }
    Ok(())
}

/// All of them together.
fn read(args: &SetArgs, inventory: &Inventory) -> Result<HostSet, SettingsError> {
    let mut all = HostSet::default();
    for text in &args.sets {
        add(&mut all, text, inventory)?;
    }
    if args.sets.is_empty() {
        read_stdin(&mut all, inventory)?;
    }
    for text in &args.exclude {
        let less = HostSet::parse(text, inventory).map_err(|error| error.to_string())?;
        settings::check_excluded(&all, &less)?;
        all.difference(&less);
    }
    Ok(all)
}

fn read_stdin(all: &mut HostSet, inventory: &Inventory) -> Result<(), String> {
    let mut stdin = io::BufReader::new(io::stdin().take(STDIN_MAX_BYTES));
    let (mut line, mut number) = (String::new(), 0);
    loop {
        line.clear();
        number += 1;
        match stdin.read_line(&mut line) {
            Ok(0) if stdin.get_ref().limit() == 0 => {
                return Err(format!("stdin has more than {STDIN_MAX_BYTES} bytes"));
            }
            Ok(0) => return Ok(()),
            Ok(_) => {
                add(all, &line, inventory).map_err(|reason| format!("line {number}: {reason}"))?;
            }
            Err(error) => return Err(format!("cannot read stdin: {error}")),
        }
    }
}

fn add(all: &mut HostSet, text: &str, inventory: &Inventory) -> Result<(), String> {
    let more = HostSet::parse(text, inventory).map_err(|error| error.to_string())?;
    all.union(more);
    match all.len() {
        ..=redial_fleet::MAX_HOSTS => Ok(()),
        _ => Err("more than 1,000,000 hosts".to_owned()),
    }
}
