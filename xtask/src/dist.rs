//! `cargo xtask dist`: what is given to others. A stripped program, a Debian package and an archive
//! with its manual pages, completions and units, a list of what is in it, and checksums.

mod bill;
mod deb;
pub(crate) mod trial;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::artifacts::{Executable, Kind};
use crate::cargo;

/// The program may be so large.
const MAX_BYTES: u64 = 12 * 1024 * 1024;
const SHELLS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/redial"),
    ("zsh", "usr/share/zsh/vendor-completions/_redial"),
    ("fish", "usr/share/fish/vendor_completions.d/redial.fish"),
];
/// Files of the repository, and where they go.
const FILES: [(&str, &str); 17] = [
    ("dist/config.toml", "etc/redial/config.toml"),
    (
        "dist/systemd/system/redial.service",
        "usr/lib/systemd/system/redial.service",
    ),
    (
        "dist/systemd/system/redial.socket",
        "usr/lib/systemd/system/redial.socket",
    ),
    (
        "dist/systemd/user/redial.socket",
        "usr/lib/systemd/user/redial.socket",
    ),
    (
        "dist/systemd/user/redial.service",
        "usr/lib/systemd/user/redial.service",
    ),
    ("README.md", "usr/share/doc/redial/README.md"),
    ("SECURITY.md", "usr/share/doc/redial/SECURITY.md"),
    ("PROTOCOL.md", "usr/share/doc/redial/PROTOCOL.md"),
    ("CHANGELOG.md", "usr/share/doc/redial/CHANGELOG.md"),
    ("LICENSE", "usr/share/doc/redial/copyright"),
    ("docs/keys.md", "usr/share/doc/redial/docs/keys.md"),
    ("docs/audit.md", "usr/share/doc/redial/docs/audit.md"),
    ("docs/systemd.md", "usr/share/doc/redial/docs/systemd.md"),
    ("docs/users.md", "usr/share/doc/redial/docs/users.md"),
    ("docs/limits.md", "usr/share/doc/redial/docs/limits.md"),
    ("docs/metrics.md", "usr/share/doc/redial/docs/metrics.md"),
    ("docs/json.md", "usr/share/doc/redial/docs/json.md"),
];

/// What is made, and where.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) package: PathBuf,
    /// How large the program is, in bytes.
    pub(crate) program_bytes: u64,
}

/// Builds the program as it is shipped, and makes everything in `target/packages`.
///
/// # Errors
/// It cannot be built, or is larger than it may be.
pub(crate) fn run(root: &Path) -> anyhow::Result<bool> {
    let program = build(root)?;
    let out = root.join("target/packages");
    let made = make(root, &program, &out)?;
    let mib = made.program_bytes as f64 / 1_048_576.0;
    ensure!(
        made.program_bytes <= MAX_BYTES,
        "the program has {mib:.1} MiB, at most {} may be",
        MAX_BYTES / 1_048_576
    );
    println!("{}: the program has {mib:.1} MiB", out.display());
    for entry in fs::read_dir(&out)? {
        let entry = entry?;
        println!("  {}", entry.file_name().display());
    }
    Ok(true)
}

/// Makes everything of this program in a directory that is made anew.
///
/// # Errors
/// A tool is missing (binutils, gzip, tar, dpkg), or fails.
pub(crate) fn make(root: &Path, program: &Path, out: &Path) -> anyhow::Result<Made> {
    if out.exists() {
        fs::remove_dir_all(out).with_context(|| format!("cannot remove {}", out.display()))?;
    }
    let tree = out.join("tree");
    let stripped = tree.join("usr/bin/redial");
    place(&stripped)?;
    tool("strip", |it| {
        it.arg("-s").arg("-o").arg(&stripped).arg(program)
    })?;
    fs::set_permissions(&stripped, fs::Permissions::from_mode(0o755))?;
    for (from, to) in FILES {
        let to = tree.join(to);
        place(&to)?;
        fs::copy(root.join(from), &to).with_context(|| format!("cannot copy {from}"))?;
        fs::set_permissions(&to, fs::Permissions::from_mode(0o644))?;
    }
    generated(&stripped, &tree)?;
    let version = env!("CARGO_PKG_VERSION");
    fs::write(out.join("redial.cdx.json"), bill::of(root)?)?;
    let package = deb::build(root, &tree, out, version)?;
    let arch = std::env::consts::ARCH;
    let archive = out.join(format!("redial-{version}-linux-{arch}.tar.gz"));
    tool("tar", |it| {
        it.args(["--owner=0", "--group=0", "--sort=name", "-C"])
            .arg(&tree)
            .arg("-czf")
            .arg(&archive)
            .args(["etc", "usr"])
    })?;
    let program_bytes = fs::metadata(&stripped)?.len();
    fs::remove_dir_all(&tree)?;
    checksums(out)?;
    Ok(Made {
        package,
        program_bytes,
    })
}

/// The program as others get it.
///
/// # Errors
/// It cannot be built.
pub(crate) fn build(root: &Path) -> anyhow::Result<PathBuf> {
    let output = cargo(root)
        .args(["build", "--profile", "dist", "--locked", "-p", "redial"])
        .arg("--message-format=json-render-diagnostics")
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    ensure!(output.status.success(), "cargo build: {}", output.status);
    let messages = String::from_utf8(output.stdout).context("cargo's messages")?;
    let built = messages.lines().filter_map(Executable::from_message);
    let mut programs = built.filter(|it| it.kind == Kind::Program && it.file_name() == "redial");
    Ok(programs.next().context("cargo made no redial")?.path)
}

/// What the program makes of its own command line.
fn generated(program: &Path, tree: &Path) -> anyhow::Result<()> {
    let pages = tree.join("usr/share/man/man1");
    fs::create_dir_all(&pages)?;
    let ran = Command::new(program).arg("manual").arg(&pages).status()?;
    ensure!(ran.success(), "redial manual: {ran}");
    let pages = fs::read_dir(&pages)?.collect::<Result<Vec<_>, _>>()?;
    tool("gzip", |it| {
        it.arg("-9n").args(pages.iter().map(fs::DirEntry::path))
    })?;
    for (shell, to) in SHELLS {
        let ran = Command::new(program).args(["completion", shell]).output()?;
        ensure!(
            ran.status.success(),
            "redial completion {shell}: {}",
            ran.status
        );
        let to = tree.join(to);
        place(&to)?;
        fs::write(to, ran.stdout)?;
    }
    Ok(())
}

fn place(file: &Path) -> anyhow::Result<()> {
    let dir = file.parent().context("a file without a directory")?;
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))
}

/// Of all files, as sha256sum(1) checks them.
fn checksums(out: &Path) -> anyhow::Result<()> {
    let mut names = fs::read_dir(out)?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<Result<Vec<_>, _>>()?;
    names.sort();
    let sums = tool("sha256sum", |it| it.current_dir(out).args(names))?;
    fs::write(out.join("SHA256SUMS"), sums).context("cannot write SHA256SUMS")
}

/// Runs a tool to its end; what it printed.
fn tool(
    name: &str,
    arguments: impl FnOnce(&mut Command) -> &mut Command,
) -> anyhow::Result<Vec<u8>> {
    let mut command = Command::new(name);
    let ran = arguments(&mut command).output();
    let ran = ran.with_context(|| format!("cannot start {name}"))?;
    let said = String::from_utf8_lossy(&ran.stderr);
    ensure!(ran.status.success(), "{name}: {}: {said}", ran.status);
    Ok(ran.stdout)
}
