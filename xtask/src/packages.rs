//! The Debian packages that tests and benchmarks use, in one place.

use std::process::Command;
use std::time::Duration;

use anyhow::Context;

use crate::report::Verdict;
use crate::watch::{self, Line};

/// openssh: `exec:ssh` and the peer in benchmarks. socat: the other peer.
/// python3: vectors against its struct module. procps, util-linux: what tests
/// run as commands (ps, setsid).
const PACKAGES: [&str; 6] = [
    "openssh-client",
    "openssh-server",
    "procps",
    "python3",
    "socat",
    "util-linux",
];

/// A mirror that does not answer must not hold up the tests for ever.
const APT_LIMIT: Duration = Duration::from_secs(300);

/// Installs what is missing when `root`; otherwise says what is. Only an
/// installation that was tried and failed is bad.
///
/// # Errors
/// When apt-get cannot be started.
pub(crate) fn provide(root: bool) -> anyhow::Result<Verdict> {
    let Some(installed) = installed() else {
        let wanted = PACKAGES.join(" ");
        return Ok(Verdict::NotRun(format!(
            "not Debian; its names for what tests use: {wanted}"
        )));
    };
    let missing = missing(&installed);
    if missing.is_empty() {
        return Ok(Verdict::Good("all there".to_owned()));
    }
    let names = missing.join(" ");
    if !root {
        return Ok(Verdict::NotRun(format!("not root; missing: {names}")));
    }
    let steps = [
        &["update"][..],
        &["install", "-y", "--no-install-recommends"],
    ];
    for (step, extra) in steps.iter().zip([&[][..], &missing]) {
        let mut apt = Command::new("apt-get");
        apt.args(*step)
            .args(extra)
            .env("DEBIAN_FRONTEND", "noninteractive");
        let ended = watch::run("apt-get", &mut apt, APT_LIMIT, |_| Line::Show)
            .context("apt-get, to install what the tests use")?;
        if let Some(complaint) = ended.complaint() {
            return Ok(Verdict::Bad(format!(
                "apt-get {}: {complaint}; missing: {names}",
                step[0]
            )));
        }
    }
    Ok(Verdict::Good(format!("installed {names}")))
}

/// What dpkg says of the packages; nothing where there is no dpkg.
fn installed() -> Option<String> {
    let output = Command::new("dpkg-query")
        .args(["--show", "--showformat=${Package} ${db:Status-Status}\n"])
        .args(PACKAGES)
        .output()
        .ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn missing(installed: &str) -> Vec<&'static str> {
    let there = |package: &str| {
        installed
            .lines()
            .any(|line| line.split_once(' ') == Some((package, "installed")))
    };
    PACKAGES
        .into_iter()
        .filter(|package| !there(package))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_removed_or_unknown_is_missing() {
        let installed = "openssh-client installed\nopenssh-server config-files\n\
                         procps installed\npython3 installed\nutil-linux installed\n";
        assert_eq!(missing(installed), ["openssh-server", "socat"]);
    }
}
