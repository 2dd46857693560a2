//! The package tried: installed into a directory of its own, looked at, and taken out again.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use super::tool;
use crate::report::Verdict;

/// What must be there, and be executable if it is a program.
const WANTED: [&str; 9] = [
    "usr/bin/redial",
    "etc/redial/config.toml",
    "usr/lib/systemd/system/redial.service",
    "usr/lib/systemd/user/redial.service",
    "usr/share/man/man1/redial.1.gz",
    "usr/share/man/man1/redial-run.1.gz",
    "usr/share/bash-completion/completions/redial",
    "usr/share/doc/redial/copyright",
    "usr/share/doc/redial/docs/keys.md",
];

/// Packs this program, installs it below a directory, runs it from there, and purges it.
///
/// # Errors
/// Something of that fails.
pub(crate) fn run(root: &Path, program: &Path) -> anyhow::Result<Verdict> {
    if Command::new("dpkg").arg("--version").output().is_err() {
        return Ok(Verdict::NotRun("there is no dpkg".to_owned()));
    }
    let dir = std::env::temp_dir().join(format!("redial-xtask-{}-dist", std::process::id()));
    let done = try_in(root, program, &dir);
    // What is left in a place for temporary files does no harm.
    let _ = fs::remove_dir_all(&dir);
    done
}

fn try_in(root: &Path, program: &Path, dir: &Path) -> anyhow::Result<Verdict> {
    let made = super::make(root, program, &dir.join("out"))?;
    let target = dir.join("root");
    let state = target.join("var/lib/dpkg");
    for part in ["info", "updates"] {
        fs::create_dir_all(state.join(part)).context("cannot make dpkg's state")?;
    }
    for file in ["status", "available"] {
        fs::write(state.join(file), "")?;
    }
    let dpkg = |arguments: &[&str]| {
        tool("dpkg", |it| {
            let root = format!("--root={}", target.display());
            // What it depends on is in no directory of ours.
            it.args([&*root, "--force-depends", "--force-not-root"])
                // Its scripts see that this is no machine, and do nothing.
                .args(["--force-script-chrootless"])
                .arg("--log=/dev/null")
                .args(arguments)
        })
    };
    dpkg(&["-i", &made.package.display().to_string()])?;
    for file in WANTED {
        ensure!(target.join(file).is_file(), "the package has no {file}");
    }
    let version = tool(&target.join("usr/bin/redial").display().to_string(), |it| {
        it.arg("--version")
    })?;
    let expected = format!("redial {}\n", env!("CARGO_PKG_VERSION"));
    ensure!(
        version == expected.as_bytes(),
        "redial --version: {version:?}"
    );
    tool("sha256sum", |it| {
        it.current_dir(dir.join("out")).args(["-c", "SHA256SUMS"])
    })?;
    dpkg(&["--purge", "redial"])?;
    for left in ["usr", "etc"].map(|it| target.join(it)) {
        ensure!(!left.exists(), "{} is left behind", left.display());
    }
    Ok(Verdict::Good("installed, run, purged".to_owned()))
}
