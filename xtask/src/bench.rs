//! `cargo xtask bench` and `cargo xtask torture`: builds what is measured, optimised,
//! and lets redial-benches measure it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;

use crate::artifacts::{Executable, Kind};
use crate::cargo;
use crate::dist;
use crate::packages;
use crate::report::Verdict;

/// Tells redial-benches where the keeper's own benchmark is.
const SPAWN_BENCH_VARIABLE: &str = "REDIAL_SPAWN_BENCH";

/// Tells it which program is measured, if not the one beside it.
const PROGRAM_VARIABLE: &str = "REDIAL_BENCH_PROGRAM";

/// Builds all in one go, so that nothing is built twice with other features, then
/// runs redial-benches with these arguments, its output and input ours.
///
/// # Errors
/// It cannot be built or started.
pub(crate) fn run(root: &Path, mode: &[&str], arguments: &[String]) -> anyhow::Result<bool> {
    let is_quick = arguments.iter().any(|argument| argument == "--quick");
    let mut program = None;
    if mode.is_empty() {
        say_what_is_missing();
        if !is_quick {
            // It takes long, and is what people run.
            program = Some(dist::build(root)?);
        }
    }
    let built = build(root)?;
    let find = |name: &str, kind| {
        let mut fitting = built.iter().filter(|e| e.kind == kind);
        let found = fitting.find(|e| e.file_name() == name || e.crate_name() == name);
        found.map(|executable| executable.path.clone())
    };
    let benches = find("redial-benches", Kind::Program).context("cargo made no redial-benches")?;
    let spawn: Option<PathBuf> = find("redial-keeper", Kind::Test);
    let mut command = Command::new(&benches);
    command.current_dir(root).args(mode).args(arguments);
    command.envs(spawn.map(|path| (SPAWN_BENCH_VARIABLE, path)));
    command.envs(program.map(|path| (PROGRAM_VARIABLE, path)));
    let status = command.status();
    let status = status.with_context(|| format!("cannot start {}", benches.display()))?;
    Ok(status.success())
}

/// Peers are installed where that can be done; what is missing is a skipped line of the table.
fn say_what_is_missing() {
    let is_root = rustix::process::geteuid().is_root();
    match packages::provide_peers(is_root) {
        Verdict::Good(_) => {}
        Verdict::Bad(text) | Verdict::NotRun(text) => eprintln!("xtask bench: peers: {text}"),
    }
}

fn build(root: &Path) -> anyhow::Result<Vec<Executable>> {
    let output = cargo(root)
        .args(["build", "--release", "--bins", "--bench", "spawn"])
        .args([
            "-p",
            "redial",
            "-p",
            "redial-benches",
            "-p",
            "redial-floor",
            "-p",
            "redial-keeper",
        ])
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    anyhow::ensure!(output.status.success(), "cargo build: {}", output.status);
    let messages = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(messages
        .lines()
        .filter_map(Executable::from_message)
        .collect())
}
