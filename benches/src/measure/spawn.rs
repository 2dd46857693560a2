//! What a start costs with many descriptors and much memory: the keeper's own
//! benchmark, run and quoted.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;

use crate::report::{Goal, Section};

/// Where `cargo xtask bench` says it has built that benchmark.
const VARIABLE: &str = "REDIAL_SPAWN_BENCH";
const WHAT: &str = "CPU of a start, 16,000 descriptors or 1 GiB resident";
/// Flat: the noise of this measurement stays below.
const FLAT: f64 = 1.25;
const WANTED: &str = "≤ 1.25 × a bare process";

/// # Errors
/// The benchmark failed.
pub(super) fn measure(quick: bool) -> anyhow::Result<Section> {
    let section = |figures, goal| Section {
        plots: Vec::new(),
        title: "What a start costs",
        how: "The keeper's `crates/redial-keeper/benches/spawn.rs`, in its own words: the spawner \
              in a process that has much open or much memory, and std's `Command` beside it."
            .to_owned(),
        figures,
        goals: vec![goal],
    };
    let program = std::env::var_os(VARIABLE).map(PathBuf::from);
    let Some(program) = program.filter(|_| !quick) else {
        let reason = match quick {
            true => "it takes half a minute, which a quick run has not".to_owned(),
            false => format!("{VARIABLE} is not set; cargo xtask bench does"),
        };
        let figures = format!("skipped: {reason}\n");
        return Ok(section(figures, Goal::skipped(WHAT, WANTED, &reason)));
    };
    let output = Command::new(&program).arg("--bench").output();
    let output = output.with_context(|| program.display().to_string())?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(
        output.status.success(),
        "{}: {complaint}",
        program.display()
    );
    let worst = worst_ratio(&text).with_context(|| format!("no ratios in: {text}"))?;
    let measured = format!("{worst:.2} at worst");
    let goal = Goal::measured(WHAT, WANTED, measured, worst <= FLAT);
    Ok(section(format!("```text\n{text}\n```\n"), goal))
}

/// The largest ratio of CPU time to that with nothing open, the third of a row's
/// five figures.
fn worst_ratio(text: &str) -> Option<f64> {
    let ratio = |line: &str| {
        let figures: Vec<f64> = line
            .split_whitespace()
            .rev()
            .map_while(|word| word.parse().ok())
            .collect();
        figures.get(2).copied().filter(|_| figures.len() >= 5)
    };
    text.lines().filter_map(ratio).reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_ratio_of_all_rows_is_found() {
        let text = "\
/bin/true: µs per start and wait, three pipes; 15 × 40
                          wall       CPU     ratio  std wall   std CPU
nothing else open          900       800      1.00       950       850
1,000 descriptors          910       810      1.01      1950      1850
skipped: 16,000 descriptors (the limit is 1024)
1 GiB resident             990       880      1.10       950       850";
        assert_eq!(worst_ratio(text), Some(1.10));
        assert_eq!(worst_ratio("nothing"), None);
    }
}
