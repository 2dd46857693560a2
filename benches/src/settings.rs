//! What was asked for: arguments read into settings.

use crate::framing::Work;
use crate::measure::Measure;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
redial-benches [NAME…] [--quick] [--write]   measures and prints Markdown
redial-benches torture [--count N]                   many commands, then looks for leaks; then 10,000
                                             half-open connections (ulimit -n 13000)

  --quick        fewer rounds: to see that it works, not to quote
  --write        puts the result into docs/performance.md, between its markers, with plots and
                 JSON in docs/performance/; all of it, or fleet, frame or nats (docs/scale.md),
                 which have markers of their own
  NAME           some of, instead of all: latency, cold, far, rate, handshake, bulk, tls, idle, stalled, spawn, start, dropped,
                 kept, fleet, nats, frame
  --count N      commands, 200000 if not said

The program `redial` is the one beside this. `cargo xtask bench` and `cargo xtask
torture` build both, and pass these arguments on.";

/// One of the things this program does.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Chore {
    Help,
    Bench(BenchSettings),
    Torture(TortureSettings),
    /// What `frame` measures, alone: callgrind runs this.
    Framing {
        rounds: usize,
        work: Work,
    },
}

/// How to measure.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BenchSettings {
    pub(crate) quick: bool,
    pub(crate) write: bool,
    pub(crate) measures: Vec<Measure>,
}

impl BenchSettings {
    /// These too, named with commas between.
    fn add(&mut self, names: &str) -> Result<(), String> {
        for name in names.split(',') {
            self.measures.push(Measure::named(name)?);
        }
        Ok(())
    }
}

/// How much to torture.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TortureSettings {
    pub(crate) count: usize,
}

/// Reads the arguments behind the program's name.
///
/// # Errors
/// Says which argument cannot be read.
pub(crate) fn read(arguments: &[String]) -> Result<Chore, String> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["help" | "--help" | "-h"] => Ok(Chore::Help),
        ["torture", rest @ ..] => torture(rest).map(Chore::Torture),
        ["framing", rounds, work @ ..] => Ok(Chore::Framing {
            rounds: rounds.parse().map_err(|_| format!("`{rounds}`"))?,
            work: Work::read(work)?,
        }),
        rest => bench(rest).map(Chore::Bench),
    }
}

fn bench(words: &[&str]) -> Result<BenchSettings, String> {
    let mut settings = BenchSettings {
        quick: false,
        write: false,
        measures: Vec::new(),
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--quick" => settings.quick = true,
            "--write" => settings.write = true,
            "--only" => {
                let names = words.next().ok_or("--only needs a name")?;
                settings.add(names)?;
            }
            other if other.starts_with('-') => return Err(format!("no option `{other}`")),
            names => settings.add(names)?,
        }
    }
    if settings.measures.is_empty() {
        settings.measures = Measure::ALL.to_vec();
    }
    let is_whole = match settings.measures[..] {
        [one] => [Measure::Frame, Measure::Fleet, Measure::Nats].contains(&one),
        _ => settings.measures == Measure::ALL,
    };
    if settings.write && !is_whole {
        let text = "--write takes the whole table, without a name, or frame, fleet or nats";
        return Err(text.to_owned());
    }
    Ok(settings)
}

fn torture(words: &[&str]) -> Result<TortureSettings, String> {
    match words {
        [] => Ok(TortureSettings { count: 200_000 }),
        ["--count", count] => match count.parse() {
            Ok(count @ 100..) => Ok(TortureSettings { count }),
            _ => Err(format!("`{count}` is no number of at least 100")),
        },
        [other, ..] => Err(format!("no option `{other}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Chore, String> {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        super::read(&words)
    }

    #[test]
    fn everything_is_measured_unless_said_otherwise() {
        let Ok(Chore::Bench(settings)) = read("--quick") else {
            panic!("a bench");
        };
        assert!(settings.quick && !settings.write);
        assert_eq!(settings.measures, Measure::ALL);
        let Ok(Chore::Bench(settings)) = read("--only rate,idle") else {
            panic!("a bench");
        };
        assert_eq!(settings.measures, [Measure::Rate, Measure::Idle]);
        let Ok(Chore::Bench(settings)) = read("rate idle --quick") else {
            panic!("a bench");
        };
        assert_eq!(settings.measures, [Measure::Rate, Measure::Idle]);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (text, word) in [
            ("--fast", "--fast"),
            ("--only speed", "speed"),
            ("--only", "--only"),
            ("--write --only rate", "--write"),
            ("torture --count many", "many"),
            ("torture now", "now"),
            ("speed", "speed"),
        ] {
            let complaint = read(text).unwrap_err();
            assert!(complaint.contains(word), "{complaint}");
        }
    }

    #[test]
    fn torture_runs_200_000_commands_unless_said_otherwise() {
        let count = |text| match read(text) {
            Ok(Chore::Torture(settings)) => settings.count,
            other => panic!("{other:?}"),
        };
        assert_eq!(count("torture"), 200_000);
        assert_eq!(count("torture --count 20000"), 20_000);
    }
}
