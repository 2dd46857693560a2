//! `redial demo drop`: what it shows of a line that is cut and a server that is killed, and that
//! it leaves nothing behind.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Child;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::processes::{self, Process};
use support::{Ran, Redial, eventually, finish};
use tempfile::TempDir;
use unicode_width::UnicodeWidthStr;

/// Small enough for a slow machine.
const SMALL: [&str; 4] = ["--size", "4MB", "--rate", "1GB"];
/// It goes on for 40 s if it is not ended; the first cut comes early.
const LONG: [&str; 6] = ["--size", "1GB", "--rate", "25MB", "--seed", "647"];

/// A place of its own for what the demo makes, and a look at what it leaves there.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Place(tempfile::tempdir().unwrap())
    }

    fn demo(&self, args: &[&str]) -> Redial {
        let mut redial = Redial::bare(["demo", "drop"]).args(args);
        for name in ["LC_ALL", "LC_MESSAGES", "LANG", "NO_COLOR"] {
            redial = redial.env(name, "");
        }
        redial.env("TERM", "xterm").env("TMPDIR", self.0.path())
    }

    /// Runs it to its end, at which all must hold and nothing be left.
    fn ran(&self, redial: Redial) -> String {
        let Ran {
            code,
            stdout,
            stderr,
            ..
        } = redial.ran();
        let stdout = String::from_utf8(stdout).unwrap();
        assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
        self.is_empty();
        stdout
    }

    #[track_caller]
    fn is_empty(&self) {
        let left: Vec<_> = fs::read_dir(self.0.path()).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
        let none = eventually(|| self.processes().is_empty().then_some(()));
        assert!(none.is_some(), "{:?}", self.processes());
    }

    /// The servers that listen there, and the jobs of this program.
    fn processes(&self) -> Vec<Process> {
        let place = self.0.path().to_str().unwrap();
        let all = processes::all().into_iter();
        all.filter(|process| process.arguments.contains(place) && process.state != 'Z')
            .collect()
    }
}

/// A job's process, told by the seed.
fn job_lives(seed: &str) -> bool {
    let mark = format!("drop-job --seed {seed} ");
    let mut all = processes::all().into_iter();
    all.any(|process| process.arguments.contains(&mark) && process.state != 'Z')
}

fn events(text: &str) -> Vec<Value> {
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn interrupt(child: &Child) {
    kill_process(Pid::from_child(child), Signal::INT).unwrap();
}

#[test]
fn json_tells_each_cut_each_kill_and_that_every_byte_arrived_once() {
    let place = Place::new();
    let events = events(&place.ran(place.demo(&SMALL).args(["--json", "--seed", "7"])));
    let (first, last) = (&events[0], events.last().unwrap());
    for (field, value) in [
        ("seed", 7),
        ("bytes", 4_000_000),
        ("cuts", 10),
        ("kills", 2),
    ] {
        assert_eq!(
            (&first["event"], &first[field]),
            (&"start".into(), &value.into())
        );
    }
    let status = format!("exited with {}", first["status"]);
    for (field, value) in [
        ("event", Value::from("verdict")),
        ("bytes", 4_000_000.into()),
        ("missing", 0.into()),
        ("doubled", 0.into()),
        ("wrong", 0.into()),
        ("cuts", 10.into()),
        ("kills", 2.into()),
        ("outcome", status.into()),
        ("checksum_equal", true.into()),
        ("holds", true.into()),
    ] {
        assert_eq!(last[field], value, "{last}");
    }
    let numbers = |name: &str| -> Vec<u64> {
        let of = events.iter().filter(|event| event["event"] == name);
        of.map(|event| event["number"].as_u64().unwrap()).collect()
    };
    assert_eq!(numbers("cut"), (1..=10).collect::<Vec<u64>>());
    assert_eq!(numbers("kill"), [1, 2]);
    let (mut down, mut longest) = (None, 0);
    for event in &events[1..events.len() - 1] {
        if event["event"] == "back" {
            assert_eq!(down.take(), Some(&event["offset"]), "{event}");
            longest = longest.max(event["pause_ms"].as_u64().unwrap());
        } else {
            down = Some(&event["offset"]);
        }
    }
    assert_eq!((down, &last["longest_pause_ms"]), (None, &longest.into()));
}

#[test]
fn into_a_pipe_it_writes_a_line_per_event_and_nothing_that_steers_a_terminal() {
    let place = Place::new();
    let text = place.ran(place.demo(&SMALL));
    assert!(!text.contains(['\x1b', '\r', '━']), "{text}");
    assert!(text.lines().all(|line| line.width() <= 80), "{text}");
    let count = |what: &str| text.lines().filter(|line| line.starts_with(what)).count();
    assert_eq!(
        (count("  cut "), count("  front killed at")),
        (10, 2),
        "{text}"
    );
    for row in ["  bytes  ", "  bytes missing ", "  checksum "] {
        assert_eq!(count(row), 1, "{row} in {text}");
    }
    assert!(text.ends_with("\n  Every byte arrived once, in its place. Nothing was lost.\n"));
}

/// What is left of a line without what differs from run to run.
fn words_of(line: &str) -> String {
    let has_digit = |word: &&str| word.contains(|c: char| c.is_ascii_digit());
    let words = line.split_whitespace().filter(|word| !has_digit(word));
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn the_picture_in_the_readme_has_the_words_of_this_version() {
    let picture = include_str!("../../../docs/demo-drop.svg");
    let drawn: Vec<String> = picture
        .split("<text ")
        .skip(1)
        .map(|row| {
            // Text is what stands behind the end of a tag.
            let row = row.split("</text>").next().unwrap();
            let parts = row.split('<').filter_map(|part| part.split_once('>'));
            words_of(&parts.map(|(_, text)| text).collect::<Vec<_>>().join(" "))
        })
        .collect();
    let place = Place::new();
    // A seed in whose checksum there are digits.
    let text = place.ran(place.demo(&SMALL).args(["--seed", "7"]));
    for line in text.lines() {
        let words = words_of(line);
        let is_drawn = words.is_empty() || drawn.contains(&words);
        assert!(is_drawn, "{line:?}: run `cargo xtask picture`");
    }
}

#[test]
fn it_speaks_chinese_where_the_environment_does_or_when_asked() {
    let place = Place::new();
    for redial in [
        place.demo(&SMALL).args(["--lang", "zh"]),
        place.demo(&SMALL).env("LANG", "zh_CN.UTF-8"),
    ] {
        let text = place.ran(redial);
        assert!(
            text.contains("第 10 次切断") && text.contains("一点没丢"),
            "{text}"
        );
        assert!(text.lines().all(|line| line.width() <= 80), "{text}");
    }
}

#[test]
fn a_terminal_sees_a_bar_and_colours_unless_it_wants_none() {
    let place = Place::new();
    let shown = |redial: Redial| {
        let (code, shown) = redial.on_terminal().ends();
        assert_eq!(code, 0, "{shown}");
        shown
    };
    let coloured = shown(place.demo(&SMALL));
    assert!(coloured.contains("\r\x1b[K  \x1b[32m━"), "{coloured:?}");
    assert!(
        coloured.contains("\x1b[31m  front killed at"),
        "{coloured:?}"
    );
    let plain = shown(place.demo(&SMALL).env("NO_COLOR", "1"));
    assert!(
        plain.contains("\r\x1b[K  ━") && plain.contains("100 %"),
        "{plain:?}"
    );
    let steered = plain.replace("\r\x1b[K", "");
    assert!(!steered.contains('\x1b'), "{steered:?}");
    let dumb = shown(place.demo(&SMALL).env("TERM", "dumb"));
    assert!(!dumb.contains('\x1b'), "{dumb:?}");
    place.is_empty();
}

#[test]
fn ctrl_c_ends_the_server_and_the_job_too() {
    let place = Place::new();
    let mut child = place.demo(&LONG).args(["--json"]).spawn();
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let back = |line: &String| line.contains("\"event\":\"back\"");
    assert!(lines.map_while(Result::ok).any(|line| back(&line)));
    assert!(!place.processes().is_empty() && job_lives(LONG[5]));
    interrupt(&child);
    let ran = finish(child, Instant::now());
    assert_eq!((ran.code, ran.stderr.as_str()), (130, ""));
    place.is_empty();
    assert!(eventually(|| (!job_lives(LONG[5])).then_some(())).is_some());
}

#[test]
fn ctrl_c_on_a_terminal_leaves_the_prompt_a_line_of_its_own() {
    let place = Place::new();
    let mut terminal = place.demo(&LONG).env("NO_COLOR", "1").on_terminal();
    terminal.sees("─");
    terminal.types("\x03");
    let (code, shown) = terminal.ends();
    assert_eq!(code, 130);
    assert!(shown.ends_with("\r\n"), "{shown:?}");
    place.is_empty();
}

#[test]
fn a_reader_that_has_seen_enough_ends_it_without_a_word() {
    let place = Place::new();
    let mut child = place.demo(&LONG).spawn();
    drop(child.stdout.take());
    assert_eq!(support::wait(&mut child), 141);
    assert_eq!(support::said(&mut child), "");
    place.is_empty();
}

#[test]
fn what_cannot_be_run_is_125_with_the_reason() {
    let place = Place::new();
    let ran = place.demo(&SMALL).env("TMPDIR", "/nowhere").ran();
    let said = "redial: demo drop: cannot make a temporary directory: No such file";
    assert!(ran.code == 125 && ran.stderr.starts_with(said), "{ran:?}");
    // Longer than the name of a Unix socket may be.
    let deep = place.0.path().join("d".repeat(100));
    fs::create_dir(&deep).unwrap();
    let ran = place.demo(&SMALL).env("TMPDIR", &deep).ran();
    let said = "redial: demo drop: the server did not come up: ";
    assert!(ran.code == 125 && ran.stderr.starts_with(said), "{ran:?}");
    fs::remove_dir(deep).unwrap();
    place.is_empty();
    let ran = place.demo(&["--size", "1MB"]).ran();
    assert!(ran.code == 125 && ran.stderr.contains("4MB"), "{ran:?}");
}

#[test]
fn the_job_is_a_function_of_its_seed_and_no_command_for_people() {
    let job = |seed: &str| {
        let args = ["demo", "drop-job", "--seed", seed, "--size", "100001"];
        let ran = Redial::bare(args).ran();
        assert_eq!(ran.stdout.len(), 100_001);
        (ran.code, ran.stdout)
    };
    assert_eq!(job("7"), job("7"));
    assert_ne!(job("7").1, job("8").1);
    let help = Redial::bare(["demo", "--help"]).ran();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(
        help.contains("drop") && !help.contains("drop-job"),
        "{help}"
    );
}
