//! The Debian packages that tests and benchmarks use, in one place.

use std::process::Command;
use std::time::Duration;

use crate::report::Verdict;
use crate::watch::{self, Line};

/// clustershell: what host sets are compared with. iproute2: hosts of tests are network namespaces.
/// nats-server: the broker that lines go through. openssh: `exec:ssh`, and the peer in tests and
/// benchmarks. socat: the other peer.
/// openssl: a TLS peer with certificates. passwd: useradd, for the ordinary user.
/// python3: vectors against its struct module; its jsonschema: docs/run.schema.json.
/// procps, util-linux: what tests run as commands (ps, setsid). valgrind: instructions in benchmarks.
const PACKAGES: [&str; 13] = [
    "clustershell",
    "iproute2",
    "nats-server",
    "openssh-client",
    "openssh-server",
    "openssl",
    "passwd",
    "procps",
    "python3",
    "python3-jsonschema",
    "socat",
    "util-linux",
    "valgrind",
];

/// Peers of benchmarks, which no test needs.
const PEERS: [&str; 5] = [
    "ansible-core",
    "dropbear-bin",
    "pdsh",
    "pssh",
    "python3-asyncssh",
];

/// A mirror that does not answer must not hold up the tests for ever.
const APT_LIMIT: Duration = Duration::from_secs(300);

/// Installs what is missing when `root`; otherwise, and when that fails (no
/// network), says what is: the tests that need it then skip and say so.
pub(crate) fn provide(root: bool) -> Verdict {
    provide_all(root, &PACKAGES)
}

/// The same for benchmarks: peers that cannot be installed are skipped lines there.
pub(crate) fn provide_peers(root: bool) -> Verdict {
    provide_all(root, &[&PACKAGES[..], &PEERS].concat())
}

fn provide_all(root: bool, packages: &[&'static str]) -> Verdict {
    let Some(installed) = installed(packages) else {
        let wanted = packages.join(" ");
        return Verdict::NotRun(format!("no Debian; its names for what is used: {wanted}"));
    };
    let missing = missing(packages, &installed);
    let names = missing.join(" ");
    if missing.is_empty() {
        return Verdict::Good("all there".to_owned());
    }
    if !root {
        return Verdict::NotRun(format!("not root; missing: {names}"));
    }
    match install(&missing) {
        Ok(None) => Verdict::Good(format!("installed {names}")),
        Ok(Some(complaint)) => Verdict::NotRun(format!("{complaint}; missing: {names}")),
        Err(error) => Verdict::NotRun(format!("{error:#}; missing: {names}")),
    }
}

/// Says what went wrong, if anything.
fn install(packages: &[&str]) -> anyhow::Result<Option<String>> {
    let install = ["install", "-y", "--no-install-recommends"];
    for arguments in [&["update"][..], &[&install, packages].concat()] {
        let mut apt = Command::new("apt-get");
        apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        let ended = watch::run("apt-get", &mut apt, APT_LIMIT, |_| Line::Show)?;
        if let Some(complaint) = ended.complaint() {
            return Ok(Some(format!("apt-get {}: {complaint}", arguments[0])));
        }
    }
    Ok(None)
}

/// What dpkg says of the packages; nothing where there is no dpkg.
fn installed(packages: &[&str]) -> Option<String> {
    let output = Command::new("dpkg-query")
        .args(["--show", "--showformat=${Package} ${db:Status-Status}\n"])
        .args(packages)
        .output()
        .ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn missing(packages: &[&'static str], installed: &str) -> Vec<&'static str> {
    let there = |package: &str| {
        installed
            .lines()
            .any(|line| line.split_once(' ') == Some((package, "installed")))
    };
    let mut missing = packages.to_vec();
    missing.retain(|package| !there(package));
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_removed_or_unknown_is_missing() {
        let installed = "clustershell installed\niproute2 installed\nnats-server installed\n\
                         openssh-client installed\nopenssh-server config-files\nopenssl installed\n\
                         passwd installed\nprocps installed\npython3 installed\n\
                         python3-jsonschema installed\nutil-linux installed\nvalgrind installed\n";
        assert_eq!(missing(&PACKAGES, installed), ["openssh-server", "socat"]);
    }
}
