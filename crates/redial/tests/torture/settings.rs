//! What may be asked of a run, by environment variables.

use std::io::Write;
use std::str::FromStr;
use std::time::Duration;

/// How long the storm takes, in seconds.
const SECONDS: &str = "REDIAL_TORTURE_SECONDS";
const SECONDS_USUALLY: u64 = 20;
/// Decides all that is random.
const SEED: &str = "REDIAL_TORTURE_SEED";
/// How large the numbered checks are; 1 is what was asked for.
const SCALE: &str = "REDIAL_TORTURE_SCALE";
const SCALE_USUALLY: f64 = 0.03;
/// A file to which the tables are appended, as Markdown.
const TABLE: &str = "REDIAL_TORTURE_TABLE";

pub(crate) fn storm_time() -> Duration {
    Duration::from_secs(variable(SECONDS, SECONDS_USUALLY))
}

pub(crate) fn seed() -> u64 {
    variable(SEED, 1)
}

/// A number of a numbered check: as asked for, and as it is run here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) asked: u64,
    pub(crate) run: u64,
}

/// At least 1.
pub(crate) fn scaled(asked: u64) -> Size {
    let run = asked as f64 * variable(SCALE, SCALE_USUALLY);
    Size {
        asked,
        run: (run.round() as u64).max(1),
    }
}

fn variable<T: FromStr>(name: &str, usually: T) -> T {
    let Some(text) = std::env::var_os(name) else {
        return usually;
    };
    let number = text.to_str().and_then(|text| text.parse().ok());
    number.unwrap_or_else(|| panic!("{name}={text:?} is no number"))
}

/// Shows a table, past what the harness keeps of a test that passes, and adds it to the file.
pub(crate) fn publish(table: &str) {
    // Nobody may be there to read it.
    let _ = writeln!(std::io::stderr(), "\n{table}");
    if let Some(path) = std::env::var_os(TABLE) {
        let mut options = std::fs::File::options();
        let mut file = options.append(true).create(true).open(path).unwrap();
        writeln!(file, "{table}").unwrap();
    }
}
