//! Steps that nobody has to wait for: they get what the tests leave of the cores.
//!
//! Most of what tests do is to wait for processes. Lints and documentation need cores and nothing
//! else, so they run at the same time, behind everybody.

use std::path::Path;
use std::process::Command;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::failures::Failure;
use crate::report::{Row, Verdict};
use crate::watch::{self, Line};

/// Lines kept of a step that fails; what comes behind them follows from them, mostly.
const LINES: usize = 400;

/// What cargo says of its progress, which is no complaint.
const PROGRESS: [&str; 8] = [
    "Checking",
    "Compiling",
    "Documenting",
    "Generated",
    "Finished",
    "Blocking",
    "Downloading",
    "Downloaded",
];

/// Lowest in its session, and the session lowest among sessions: where the kernel groups tasks by
/// session, niceness counts within one only (sched(7), "The autogroup feature"). Who cannot say so
/// has no such groups.
const BEHIND: &str = "echo 19 2>/dev/null >/proc/self/autogroup; exec nice -n 19 \"$@\"";

/// Steps under way.
pub(crate) struct Beside {
    rows: JoinHandle<Vec<Row>>,
}

impl Beside {
    /// Starts with the first of `steps`; each may take `limit`. Those behind the first that fails are not run.
    pub(crate) fn start(steps: Vec<(&'static str, Command)>, limit: Duration) -> Beside {
        let rows = thread::spawn(move || {
            let mut rows: Vec<Row> = Vec::new();
            for (name, command) in steps {
                rows.push(match rows.iter().any(Row::is_bad) {
                    true => Row::not_run(name, "one before it failed"),
                    false => step(name, &command, limit),
                });
            }
            rows
        });
        Beside { rows }
    }

    /// Waits until all have ended.
    pub(crate) fn into_rows(self) -> Vec<Row> {
        self.rows
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

fn step(name: &'static str, command: &Command, limit: Duration) -> Row {
    let began = Instant::now();
    let mut said = Vec::new();
    let ended = watch::run(name, &mut behind(command), limit, |line| {
        let first = line.split_whitespace().next().unwrap_or_default();
        if said.len() < LINES && !PROGRESS.contains(&first) {
            said.push(line.to_owned());
        }
        Line::Hide
    });
    let complaint = match ended {
        Ok(ended) => ended.complaint(),
        Err(error) => Some(format!("{error:#}")),
    };
    let Some(complaint) = complaint else {
        return Row::plain(name, began.elapsed(), Verdict::Good(String::new()));
    };
    // Whoever watches need not wait for the table.
    eprintln!("xtask: {name}: {complaint}\n{}", said.join("\n"));
    let test = "what it said".to_owned();
    Row {
        failures: vec![Failure { test, said }],
        ..Row::plain(name, began.elapsed(), Verdict::Bad(complaint))
    }
}

/// The same command, behind everybody else, and ended when we end.
fn behind(command: &Command) -> Command {
    let mut behind = Command::new("setpriv");
    behind
        .args(["--pdeathsig", "TERM", "setsid", "sh", "-c", BEHIND, "sh"])
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(command.get_current_dir().unwrap_or(Path::new(".")));
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => behind.env(name, value),
            None => behind.env_remove(name),
        };
    }
    behind
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    fn shell(text: &str) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", text])
            .env("WORD", "from the environment");
        command
    }

    #[test]
    fn the_first_that_fails_ends_them_and_says_what_it_said() {
        let fails = "echo '   Checking a crate' >&2; echo \"error: $WORD\" >&2; exit 3";
        let steps = vec![
            ("good", shell("exit 0")),
            ("bad", shell(fails)),
            ("last", shell("exit 0")),
        ];
        let rows = Beside::start(steps, LIMIT).into_rows();
        assert_eq!(rows[0].verdict, Verdict::Good(String::new()));
        assert_eq!(rows[1].verdict, Verdict::Bad("exit status: 3".to_owned()));
        assert_eq!(rows[1].failures[0].said, ["error: from the environment"]);
        assert!(matches!(rows[2].verdict, Verdict::NotRun(_)));
    }

    #[test]
    fn a_step_is_behind_everybody_else() {
        // A session of its own, whose leader it is, so that the niceness of that is its own too.
        let test = "test $(nice) = 19 && test $(ps -o sid= -p $$) = $$";
        let grouped =
            "&& { test ! -e /proc/self/autogroup || grep -q 'nice 19$' /proc/self/autogroup; }";
        let step = step("sample", &shell(&format!("{test} {grouped}")), LIMIT);
        assert_eq!(step.verdict, Verdict::Good(String::new()));
    }
}
