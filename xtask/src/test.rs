//! `cargo xtask test`: everything that must hold before a change goes in.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::artifacts::{Executable, Kind};
use crate::beside::Beside;
use crate::failures::{Failure, Failures};
use crate::report::{Report, Row, Verdict};
use crate::tally::{self, SKIPS_VARIABLE, Skip, Tally};
use crate::watch::{self, Line};
use crate::{cargo, dist, ordinary, packages, supply};

/// Time that one test harness, or one crate's doctests, may take.
pub(crate) const TEST_LIMIT: Duration = Duration::from_secs(600);
/// Time that one cargo step may take, building from nothing on a slow machine.
const BUILD_LIMIT: Duration = Duration::from_secs(1200);
/// One set of features for lints, docs and tests, so that nothing is built twice:
/// all that has tests.
const FEATURES: [&str; 2] = ["--features", "redial-frame/codec"];

const PACKAGES: &str = "Debian packages";
const USER: &str = "ordinary user";
const SOURCES: &str = "licences and sources";
const DENY: &str = "cargo deny";
const FORMAT: &str = "format";
const BUILD: &str = "build";
const PACKAGE: &str = "package";
const FIRST_PASS: &str = "tests";
const AFTER_FAILURE: &str = "an earlier step failed";
const SECOND_PASS: &str = "tests as an ordinary user";

/// Runs all steps and prints the table; says whether all went well.
pub(crate) fn run(root: &Path) -> bool {
    let mut report = Report::default();
    steps(root, &mut report);
    println!("\n{report}");
    report.is_good()
}

/// The first step that fails before the tests ends the run; a failed test does
/// not keep the second pass from running.
fn steps(root: &Path, report: &mut Report) {
    let is_root = rustix::process::geteuid().is_root();
    report.push(step(PACKAGES, || {
        Ok((packages::provide(is_root), Counted::default()))
    }));
    if is_root {
        report.push(step(USER, || {
            Ok((ordinary::prepare()?, Counted::default()))
        }));
    }
    report.push(step(SOURCES, || {
        Ok((supply::sources(root)?, Counted::default()))
    }));
    report.push(step(DENY, || Ok((supply::deny(root)?, Counted::default()))));
    let mut executables = Vec::new();
    step_if_good(report, FORMAT, || format(root));
    step_if_good(report, BUILD, || build(root, &mut executables));
    step_if_good(report, PACKAGE, || {
        Ok((package(root, &executables)?, Counted::default()))
    });
    if !report.is_good() {
        report.push(Row::not_run(FIRST_PASS, AFTER_FAILURE));
        report.push(Row::not_run(SECOND_PASS, AFTER_FAILURE));
        for (name, _) in lints_and_docs(root) {
            report.push(Row::not_run(name, AFTER_FAILURE));
        }
        return;
    }
    let mut beside = None;
    report.push(step(FIRST_PASS, || first_pass(root, &mut beside)));
    report.push(match is_root {
        true => step(SECOND_PASS, || second_pass(&executables)),
        false => Row::not_run(SECOND_PASS, "not needed, this user is one"),
    });
    // A first pass without a single harness has not begun them.
    let beside = beside.unwrap_or_else(|| begin_lints_and_docs(root));
    for row in beside.into_rows() {
        report.push(row);
    }
}

/// What a step of tests counted; nothing for the others.
#[derive(Default)]
struct Counted {
    tally: Option<Tally>,
    skips: Vec<Skip>,
    failures: Vec<Failure>,
}

/// Does one step if all before it went well.
fn step_if_good(
    report: &mut Report,
    name: &'static str,
    work: impl FnOnce() -> anyhow::Result<(Verdict, Counted)>,
) {
    report.push(match report.is_good() {
        true => step(name, work),
        false => Row::not_run(name, AFTER_FAILURE),
    });
}

/// Does one step. That it could not even be tried is a failure of it too.
fn step(name: &'static str, work: impl FnOnce() -> anyhow::Result<(Verdict, Counted)>) -> Row {
    println!("== {name}");
    let began = Instant::now();
    let done = work();
    let (verdict, counted) =
        done.unwrap_or_else(|error| (Verdict::Bad(format!("{error:#}")), Counted::default()));
    Row {
        tally: counted.tally,
        skips: counted.skips,
        failures: counted.failures,
        ..Row::plain(name, began.elapsed(), verdict)
    }
}

fn format(root: &Path) -> anyhow::Result<(Verdict, Counted)> {
    let mut command = cargo(root);
    command.args(["fmt", "--all", "--check"]);
    let ended = watch::run(FORMAT, &mut command, BUILD_LIMIT, |_| Line::Show)?;
    Ok((verdict(ended.complaint()), Counted::default()))
}

fn begin_lints_and_docs(root: &Path) -> Beside {
    Beside::start(lints_and_docs(root), BUILD_LIMIT)
}

/// What needs nothing but cores, and goes on beside the tests.
fn lints_and_docs(root: &Path) -> Vec<(&'static str, Command)> {
    let command = |arguments: &[&str]| {
        let mut command = cargo(root);
        command.args(arguments);
        command
    };
    let strict = ["--", "-D", "warnings"];
    let lints = |arguments: &[&str]| command(&[&["clippy"], arguments, &strict].concat());
    let workspace = [&["--workspace", "--all-targets"][..], &FEATURES].concat();
    let mut docs = command(&["doc", "--no-deps", "--workspace"]);
    docs.args(FEATURES);
    docs.env("RUSTDOCFLAGS", "-D warnings");
    vec![
        ("lints", lints(&workspace)),
        (
            "lints, redial-frame by default",
            lints(&["-p", "redial-frame"]),
        ),
        (
            "lints, redial-frame without std",
            lints(&["-p", "redial-frame", "--no-default-features"]),
        ),
        (
            "lints, redial-auth by default",
            lints(&["-p", "redial-auth", "--all-targets"]),
        ),
        ("docs", docs),
    ]
}

/// Builds all tests and lists them.
fn build(root: &Path, built: &mut Vec<Executable>) -> anyhow::Result<(Verdict, Counted)> {
    let mut command = cargo(root);
    command
        .args(["test", "--workspace", "--no-run"])
        .args(FEATURES)
        .arg("--message-format=json-render-diagnostics");
    let ended = watch::run(BUILD, &mut command, BUILD_LIMIT, |line| {
        if !line.starts_with('{') {
            return Line::Show;
        }
        built.extend(Executable::from_message(line));
        Line::Hide
    })?;
    Ok((verdict(ended.complaint()), Counted::default()))
}

/// The package that is given to others, tried with the program that tests use.
fn package(root: &Path, executables: &[Executable]) -> anyhow::Result<Verdict> {
    let mut programs = executables.iter().filter(|it| it.kind == Kind::Program);
    let program = programs.find(|it| it.file_name() == "redial");
    dist::trial::run(root, &program.context("no redial was built")?.path)
}

/// How many tests of a harness run at once, said to it.
pub(crate) const THREADS: &str = "RUST_TEST_THREADS";

/// Most of what tests do is to wait for processes, so that twice as many as there are cores keep them busy.
pub(crate) fn threads() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (2 * cores).to_string()
}

/// Plain `cargo test`, doctests included, as whoever we are. Lints and docs begin with its first
/// harness: by then cargo has let go of its lock on what it built, for which another cargo would wait.
fn first_pass(root: &Path, beside: &mut Option<Beside>) -> anyhow::Result<(Verdict, Counted)> {
    let skips = Scratch::new("skips")?;
    let mut command = cargo(root);
    command
        .args(["test", "--workspace", "--no-fail-fast"])
        .args(FEATURES)
        .env("RUST_BACKTRACE", "1")
        .env(THREADS, threads())
        .env(SKIPS_VARIABLE, &skips.path);
    let mut tally = Tally::default();
    let mut failures = Failures::default();
    let ended = watch::run(FIRST_PASS, &mut command, TEST_LIMIT, |line| {
        failures.line(line);
        tally += Tally::from_line(line).unwrap_or_default();
        // cargo says this before each harness, and each gets its own time.
        match line.contains("Running ") || line.contains("Doc-tests ") {
            true => {
                beside.get_or_insert_with(|| begin_lints_and_docs(root));
                Line::Restart
            }
            false => Line::Show,
        }
    })?;
    let skips = tally::read_skips(&skips.path);
    tally.skip(&skips);
    let counted = Counted {
        tally: Some(tally),
        skips,
        failures: failures.into_found(),
    };
    Ok((verdict(ended.complaint()), counted))
}

fn second_pass(executables: &[Executable]) -> anyhow::Result<(Verdict, Counted)> {
    let outcome = ordinary::run(executables)?;
    let complaints = outcome.complaints.join("; ");
    let counted = Counted {
        tally: Some(outcome.tally),
        skips: outcome.skips,
        failures: outcome.failures,
    };
    Ok((
        verdict((!complaints.is_empty()).then_some(complaints)),
        counted,
    ))
}

fn verdict(complaint: Option<String>) -> Verdict {
    match complaint {
        None => Verdict::Good(String::new()),
        Some(complaint) => Verdict::Bad(complaint),
    }
}

/// A file of ours in the place for temporary files, removed on drop.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn new(name: &str) -> anyhow::Result<Scratch> {
        let path = std::env::temp_dir().join(format!("redial-xtask-{}-{name}", std::process::id()));
        fs::File::create_new(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Scratch { path })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left in a place for temporary files does no harm.
        let _ = fs::remove_file(&self.path);
    }
}
