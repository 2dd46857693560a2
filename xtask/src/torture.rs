//! `cargo xtask torture --minutes N`: lines cut, fronts and clients killed, for as long as is asked
//! for. The test program of the same name does it, built as it is shipped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};

use crate::artifacts::{Executable, Kind};
use crate::cargo;

/// Of the test program (crates/redial/tests/torture/settings.rs).
pub(crate) const SECONDS: &str = "REDIAL_TORTURE_SECONDS";
const SEED: &str = "REDIAL_TORTURE_SEED";
pub(crate) const SCALE: &str = "REDIAL_TORTURE_SCALE";
const TABLE: &str = "REDIAL_TORTURE_TABLE";
/// The one test that lasts as long as is asked for; the others are the numbered checks.
const STORM: &str = "nothing_is_lost_doubled_or_run_twice";

/// What was asked for.
#[derive(Debug, PartialEq)]
struct Settings {
    minutes: f64,
    seed: u64,
    /// The numbered checks too, so large.
    scale: Option<f64>,
}

/// Whether these are for us; else they are for redial-benches.
pub(crate) fn is_asked(arguments: &[String]) -> bool {
    let ours = ["--minutes", "--seed", "--scale"];
    arguments.iter().any(|it| ours.contains(&it.as_str()))
}

/// Builds it, runs it, and prints the tables last.
///
/// # Errors
/// The arguments make no sense, or it cannot be built or started.
pub(crate) fn run(root: &Path, arguments: &[String]) -> anyhow::Result<bool> {
    let settings = parse(arguments)?;
    println!("seed {}", settings.seed);
    let program = build(root)?;
    let name = format!("redial-torture-{}.md", std::process::id());
    let table = std::env::temp_dir().join(name);
    let mut command = Command::new(&program);
    command.current_dir(root).arg("--nocapture");
    if settings.scale.is_none() {
        command.args(["--exact", STORM]);
    }
    let seconds = (settings.minutes * 60.0).ceil() as u64;
    command
        .env(SECONDS, seconds.to_string())
        .env(SEED, settings.seed.to_string())
        .env(TABLE, &table);
    command.envs(settings.scale.map(|scale| (SCALE, scale.to_string())));
    let status = command.status();
    let status = status.with_context(|| format!("cannot start {}", program.display()))?;
    // There is none if it failed before.
    let tables = fs::read_to_string(&table).unwrap_or_default();
    println!("\n{tables}");
    // What is left in a place for temporary files does no harm.
    let _ = fs::remove_file(&table);
    Ok(status.success())
}

fn parse(arguments: &[String]) -> anyhow::Result<Settings> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let mut settings = Settings {
        minutes: 2.0,
        seed: u64::from(now.unwrap_or_default().subsec_nanos()),
        scale: None,
    };
    for pair in arguments.chunks(2) {
        let [name, value] = pair else {
            bail!("{} needs a number", pair.concat());
        };
        let number = || value.parse::<f64>().ok().filter(|it| *it > 0.0);
        let no_number = || format!("{name} {value}: no number above 0");
        match name.as_str() {
            "--minutes" => settings.minutes = number().with_context(no_number)?,
            "--scale" => settings.scale = Some(number().with_context(no_number)?),
            "--seed" => settings.seed = value.parse().with_context(no_number)?,
            _ => bail!("torture has no {name}"),
        }
    }
    Ok(settings)
}

fn build(root: &Path) -> anyhow::Result<PathBuf> {
    let output = cargo(root)
        .args(["test", "--release", "--no-run"])
        .args(["-p", "redial", "--test", "torture"])
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    ensure!(output.status.success(), "cargo test: {}", output.status);
    let messages = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut built = messages.lines().filter_map(Executable::from_message);
    let test = built.find(|it| it.kind == Kind::Test);
    Ok(test.context("cargo made no test program")?.path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn what_is_asked_for_by_minutes_is_ours_and_a_count_is_not() {
        assert!(is_asked(&words("--minutes 30 --seed 7")));
        assert!(!is_asked(&words("--count 20000")) && !is_asked(&[]));
    }

    #[test]
    fn each_number_may_be_given() {
        let settings = parse(&words("--minutes 0.5 --seed 7 --scale 1")).unwrap();
        let expected = Settings {
            minutes: 0.5,
            seed: 7,
            scale: Some(1.0),
        };
        assert_eq!(settings, expected);
        for wrong in ["--minutes", "--minutes -1", "--seed x", "--hours 1"] {
            assert!(parse(&words(wrong)).is_err(), "{wrong}");
        }
    }
}
