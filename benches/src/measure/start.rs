//! What the program itself weighs: its start without any work, and its size.

use std::process::{Command, Stdio};

use anyhow::Context;

use super::timed::{self, Rounds, Timed};
use crate::memory::mib;
use crate::peer::server;
use crate::report::{Goal, Section};

const OURS: &str = "`redial --version`";
const SSH: &str = "`ssh -V`";
const SEED: u64 = 13;
const MOST_BYTES: u64 = 12 << 20;

/// # Errors
/// A program does not say its version.
pub(super) fn measure(quick: bool) -> anyhow::Result<Section> {
    let turns = Rounds {
        warm_up: 5,
        rounds: if quick { 30 } else { 300 },
        in_a_row: 1,
        seed: SEED,
    };
    let program = server::program()?;
    let mut contestants = vec![
        Timed::new(OURS, || says(Command::new(&program).arg("--version"))),
        Timed::new("`true`, the program", || {
            ended(&Command::new("/bin/true").output()?)
        }),
    ];
    let ssh = says(Command::new("ssh").arg("-V"));
    if ssh.is_ok() {
        contestants.push(Timed::new(SSH, || says(Command::new("ssh").arg("-V"))));
    }
    turns.run(&mut contestants)?;
    let median = |name| timed::median(&contestants, name);
    let table = timed::table("ms", &contestants, &[("ssh", median(SSH))]);
    let wanted = "p50 ≤ 1/2 of ssh -V";
    let start = match (median(OURS), median(SSH)) {
        (Some(ours), Some(ssh)) => {
            let ratio = ours / ssh;
            Goal::measured(OURS, wanted, format!("{ratio:.2}"), ratio <= 0.5)
        }
        _ => Goal::skipped(OURS, wanted, "no ssh"),
    };
    Ok(Section {
        plots: Vec::new(),
        title: "The program",
        how: format!(
            "Whole processes that do nothing, started by this one, their output read; {} rounds, order from seed \
             {SEED}. Its size is that of the stripped program that `cargo xtask dist` makes.",
            turns.rounds
        ),
        figures: table.to_string(),
        goals: vec![start, size()?],
    })
}

fn size() -> anyhow::Result<Goal> {
    let (what, wanted) = ("size of the stripped program", "≤ 12 MiB");
    let program = server::program()?;
    let is_dist = program.iter().any(|name| name == "dist");
    if !is_dist {
        let reason = "another build than people get";
        return Ok(Goal::skipped(what, wanted, reason));
    }
    let dir = tempfile::tempdir()?;
    let stripped = dir.path().join("redial");
    // As `cargo xtask dist` does it.
    let mut strip = Command::new("strip");
    let done = strip.arg("-s").arg("-o").arg(&stripped).arg(&program);
    if !done.status().is_ok_and(|status| status.success()) {
        return Ok(Goal::skipped(what, wanted, "no strip (binutils)"));
    }
    let bytes = std::fs::metadata(&stripped)?.len();
    Ok(Goal::measured(
        what,
        wanted,
        mib(bytes),
        bytes <= MOST_BYTES,
    ))
}

/// Says something, and ends well.
fn says(command: &mut Command) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("{:?}", command.get_program()))?;
    let is_silent = output.stdout.is_empty() && output.stderr.is_empty();
    anyhow::ensure!(!is_silent, "{command:?} says nothing");
    ended(&output)
}

fn ended(output: &std::process::Output) -> anyhow::Result<()> {
    anyhow::ensure!(output.status.success(), "{output:?}");
    Ok(())
}
