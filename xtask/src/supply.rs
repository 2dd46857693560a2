//! What the house takes from others: licences and sources, and what is known against it.
//!
//! `cargo deny` knows most, where it is installed; where it is not, that is said. Licences and
//! sources are looked at here in any case, by the same deny.toml, so that no machine is without.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::cargo;
use crate::report::Verdict;
use crate::watch::{self, Line};

/// Reading its database may need the network, which may not answer.
const DENY_LIMIT: Duration = Duration::from_secs(120);
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Each crate that is built in comes from crates.io, under a licence that deny.toml allows.
///
/// # Errors
/// cargo's list or deny.toml cannot be read.
pub(crate) fn sources(root: &Path) -> anyhow::Result<Verdict> {
    let allowed = allowed(root)?;
    let mut command = cargo(root);
    command.args(["metadata", "--format-version", "1", "--locked"]);
    let output = command.output().context("cargo metadata")?;
    if !output.status.success() {
        bail!(
            "cargo metadata: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    let mut complaints = Vec::new();
    let mut others = 0;
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        // Ours have no source.
        let Some(source) = package["source"].as_str() else {
            continue;
        };
        others += 1;
        if source != REGISTRY {
            complaints.push(format!("{name} comes from {source}"));
        }
        let license = package["license"].as_str().unwrap_or("no licence");
        if !is_allowed(license, &allowed) {
            complaints.push(format!("{name} is under {license}"));
        }
    }
    Ok(if complaints.is_empty() {
        Verdict::Good(format!("{others} crates of others"))
    } else {
        Verdict::Bad(complaints.join("; "))
    })
}

fn allowed(root: &Path) -> anyhow::Result<BTreeSet<String>> {
    let text = std::fs::read_to_string(root.join("deny.toml")).context("deny.toml")?;
    let table: toml::Table = text.parse().context("deny.toml")?;
    let list = table.get("licenses").and_then(|it| it.get("allow"));
    let list = list
        .and_then(toml::Value::as_array)
        .context("no licenses.allow")?;
    Ok(list
        .iter()
        .filter_map(|it| it.as_str().map(str::to_owned))
        .collect())
}

/// Whether an SPDX expression can be met by what is allowed. `/` is what OR was before.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = &words[..];
    any(&mut rest, allowed) && rest.is_empty()
}

fn any(rest: &mut &[&str], allowed: &BTreeSet<String>) -> bool {
    let mut good = all(rest, allowed);
    while let ["OR", after @ ..] = rest {
        *rest = after;
        good |= all(rest, allowed);
    }
    good
}

fn all(rest: &mut &[&str], allowed: &BTreeSet<String>) -> bool {
    let mut good = one(rest, allowed);
    while let ["AND", after @ ..] = rest {
        *rest = after;
        good &= one(rest, allowed);
    }
    good
}

fn one(rest: &mut &[&str], allowed: &BTreeSet<String>) -> bool {
    match rest {
        ["(", after @ ..] => {
            *rest = after;
            let good = any(rest, allowed);
            match rest {
                [")", after @ ..] => {
                    *rest = after;
                    good
                }
                _ => false,
            }
        }
        [name, "WITH", exception, after @ ..] => {
            *rest = after;
            allowed.contains(&format!("{name} WITH {exception}"))
        }
        [name, after @ ..] => {
            *rest = after;
            allowed.contains(*name)
        }
        [] => false,
    }
}

/// `cargo deny check`: bans, licences, sources, and advisories where their database can be had.
///
/// # Errors
/// It cannot be started.
pub(crate) fn deny(root: &Path) -> anyhow::Result<Verdict> {
    let installed = Command::new("cargo-deny").arg("--version").output();
    if !installed.is_ok_and(|output| output.status.success()) {
        let text = "cargo-deny is not installed (cargo install cargo-deny): no advisories checked";
        return Ok(Verdict::NotRun(text.to_owned()));
    }
    let check = |what: &[&str], show: &mut dyn FnMut(&str)| {
        let mut command = cargo(root);
        command.args(["deny", "check"]).args(what);
        watch::run("cargo deny", &mut command, DENY_LIMIT, |line| {
            show(line);
            Line::Show
        })
    };
    let ended = check(&["bans", "licenses", "sources"], &mut |_| {})?;
    if let Some(complaint) = ended.complaint() {
        return Ok(Verdict::Bad(complaint));
    }
    let mut unreachable = false;
    let ended = check(&["advisories"], &mut |line| {
        unreachable |= line.contains("failed to fetch") || line.contains("failed to load advisory");
    })?;
    Ok(match ended.complaint() {
        None => Verdict::Good("with advisories".to_owned()),
        Some(_) if unreachable => {
            Verdict::NotRun("advisories: their database cannot be reached".to_owned())
        }
        Some(complaint) => Verdict::Bad(complaint),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_met_when_one_way_through_it_is_allowed() {
        let allowed: BTreeSet<String> = ["MIT", "Apache-2.0"].map(str::to_owned).into();
        for good in [
            "MIT",
            "MIT OR GPL-3.0",
            "GPL-3.0/MIT",
            "(MIT OR GPL-3.0) AND Apache-2.0",
            "MIT AND (GPL-3.0 OR (Apache-2.0))",
        ] {
            assert!(is_allowed(good, &allowed), "{good}");
        }
        for bad in [
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "(MIT OR Apache-2.0",
            "MIT MIT",
            "",
            "Apache-2.0 WITH LLVM-exception",
        ] {
            assert!(!is_allowed(bad, &allowed), "{bad}");
        }
    }
}
