//! `cargo xtask vm`: the package in a machine of its own, with systemd, cgroups and users: what cannot be
//! had, or must not be done, where the tests run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::dist;

/// Packs the program (or builds it first, as it is shipped), boots a guest, and has it tried there.
///
/// # Errors
/// It cannot be built or packed.
pub(crate) fn run(root: &Path, program: Option<&str>) -> anyhow::Result<bool> {
    let out = root.join("target/packages");
    match program {
        Some(program) => drop(dist::make(root, &PathBuf::from(program), &out)?),
        None => ensure!(dist::run(root)?, "there is no package"),
    }
    let payload = root.join("target/vm-payload");
    if payload.exists() {
        fs::remove_dir_all(&payload).context("cannot remove the last payload")?;
    }
    fs::create_dir_all(&payload).context("cannot make a payload")?;
    for entry in fs::read_dir(&out)? {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == "deb") {
            fs::copy(&path, payload.join(path.file_name().unwrap_or_default()))?;
        }
    }
    fs::copy(root.join("xtask/vm/trial.sh"), payload.join("main.sh"))?;
    let status = Command::new("bash")
        .arg(root.join("xtask/vm/boot.sh"))
        .arg(&payload)
        .current_dir(root)
        .status()
        .context("cannot start bash")?;
    Ok(status.success())
}
