//! The thread, with files that can and cannot be written.

use std::fs;
use std::path::Path;
use std::sync::mpsc;

use super::super::{Who, login_refused};
use super::*;

fn auditor(file: &Path, best_effort: bool) -> (Auditor, Receiver<Verdict>) {
    let (tell, verdicts) = mpsc::channel();
    let config = AuditConfig {
        to: AuditTo::File(file.to_owned()),
        argv: AuditArgv::Full,
        best_effort,
    };
    let auditor = Auditor::start(config, false, move |verdict| tell.send(verdict).unwrap());
    (auditor.unwrap(), verdicts)
}

fn event(reason: &str) -> Event<'_> {
    login_refused(Who::default(), reason)
}

fn reasons(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let reason = |line: &str| -> String {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["reason"].as_str().unwrap_or("lost").to_owned()
    };
    text.lines().map(reason).collect()
}

#[test]
fn a_start_goes_on_when_its_line_and_all_before_it_are_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("audit");
    let (auditor, verdicts) = auditor(&file, false);
    auditor.note(&event("one"));
    assert!(auditor.start_of(7, &event("two")));
    assert_eq!(verdicts.recv().unwrap(), (7, Ok(())));
    assert_eq!(reasons(&file), ["one", "two"]);
    auditor.must_note(&event("three"));
    auditor.close(Duration::from_secs(20));
    assert!(auditor.is_idle());
    assert_eq!(reasons(&file), ["one", "two", "three"]);
}

#[test]
fn while_it_cannot_be_written_nothing_starts_and_what_happened_is_owed() {
    let dir = tempfile::tempdir().unwrap();
    let (file, away) = (dir.path().join("a/audit"), dir.path().join("b"));
    fs::create_dir(dir.path().join("a")).unwrap();
    let (auditor, verdicts) = auditor(&file, false);
    fs::rename(dir.path().join("a"), &away).unwrap();
    auditor.must_note(&event("one"));
    assert!(auditor.start_of(7, &event("two")));
    let (number, verdict) = verdicts.recv().unwrap();
    assert!(number == 7 && verdict.unwrap_err().contains("audit"));
    assert!(!auditor.is_idle());
    fs::rename(&away, dir.path().join("a")).unwrap();
    assert!(auditor.start_of(8, &event("three")));
    assert_eq!(verdicts.recv().unwrap(), (8, Ok(())));
    // The start that was refused did not happen.
    assert_eq!(reasons(&file), ["one", "three"]);
    assert!(auditor.is_idle());
}

#[test]
fn with_best_effort_starts_go_on_and_are_written_when_they_can_be() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("later/audit");
    let (auditor, verdicts) = auditor(&file, true);
    assert!(auditor.start_of(7, &event("one")));
    assert_eq!(verdicts.recv().unwrap(), (7, Ok(())));
    fs::create_dir(dir.path().join("later")).unwrap();
    assert!(auditor.start_of(8, &event("two")));
    assert_eq!(verdicts.recv().unwrap(), (8, Ok(())));
    assert_eq!(reasons(&file), ["one", "two"]);
}

#[test]
fn a_file_that_cannot_be_opened_is_an_error_at_once() {
    let config = AuditConfig {
        to: AuditTo::File("/nowhere/audit".into()),
        argv: AuditArgv::Full,
        best_effort: false,
    };
    assert!(Auditor::start(config.clone(), false, |_| {}).is_err());
    // A server that goes on with its jobs starts no others.
    let (tell, verdicts) = mpsc::channel();
    let lenient = Auditor::start(config, true, move |verdict| tell.send(verdict).unwrap());
    assert!(lenient.unwrap().start_of(7, &event("one")));
    assert!(verdicts.recv().unwrap().1.is_err());
}

#[test]
fn what_is_owed_is_bounded_and_what_is_lost_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (shared, mut books) = (
        Shared::default(),
        Books::new(AuditTo::File(dir.path().join("a/audit")), true),
    );
    let long = event(&"x".repeat(1_000_000)).to_line();
    let task = || Task::Line(long.clone());
    shared.pending.store(20, Ordering::Relaxed);
    shared
        .waiting_bytes
        .store(20 * long.len(), Ordering::Relaxed);
    books.serve((0..20).map(|_| task()).collect(), &shared, &mut |_| {});
    assert!(books.owed_bytes <= MAX_OWED_BYTES);
    let lost = shared.lost.load(Ordering::Relaxed);
    assert_eq!((lost, books.owed.len() as u64), (4, 16));
    fs::create_dir(dir.path().join("a")).unwrap();
    books.serve(Vec::new(), &shared, &mut |_| {});
    let reasons = reasons(&dir.path().join("a/audit"));
    assert_eq!((reasons.len(), &*reasons[16]), (17, "lost"));
    let counts = [&shared.pending, &shared.waiting_bytes].map(|it| it.load(Ordering::Relaxed));
    assert_eq!(counts, [0, 0]);
}
