//! Runs on disk: names, rights, and what a death in the middle leaves.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::record::{Ending, Kind, Settled};

fn header() -> Header {
    Header {
        version: VERSION,
        id: String::new(),
        began: 1_800_000_000_123,
        argv: vec![b"redial".to_vec().into()],
        directory: b"/".to_vec().into(),
        settled: Settled::default(),
        first_job: "x".to_owned(),
        hosts: vec!["a".to_owned()],
    }
}

fn create(history: &History) -> (Run, String) {
    let mut header = header();
    let run = history.create(&mut header, Some(b"in")).unwrap();
    (run, header.id)
}

#[test]
fn a_run_is_named_by_its_time_and_two_of_one_moment_have_two_names() {
    let dir = tempfile::tempdir().unwrap();
    let history = History::new(dir.path().join("runs"));
    let ids = [(), ()].map(|()| create(&history).1);
    assert_eq!(ids, ["20270115-080000.123", "20270115-080000.124"]);
    assert_eq!(history.ids().unwrap(), ids);
    assert_eq!(history.find("last").unwrap(), ids[1]);
    assert_eq!(history.find(".123").unwrap(), ids[0]);
    let several = history.find("20270115").unwrap_err().to_string();
    assert!(several.contains("2 runs"), "{several}");
    assert!(history.find("x").is_err() && history.find("").is_err());
}

#[test]
fn only_its_user_can_read_it() {
    let dir = tempfile::tempdir().unwrap();
    let history = History::new(dir.path().join("runs"));
    let (_run, id) = create(&history);
    let run = dir.path().join("runs").join(id);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&dir.path().join("runs")), mode(&run)), (0o700, 0o700));
    for name in [HEADER, JOURNAL, STDIN] {
        assert_eq!(mode(&run.join(name)), 0o600, "{name}");
    }
}

#[test]
fn one_process_drives_it_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let history = History::new(dir.path());
    let (run, id) = create(&history);
    assert!(history.is_driven(&id));
    assert!(matches!(history.open(&id), Err(HistoryError::Busy(_))));
    drop(run);
    assert!(!history.is_driven(&id));
    history.open(&id).unwrap();
}

#[test]
fn what_a_client_was_writing_when_it_died_does_not_spoil_what_follows() {
    let dir = tempfile::tempdir().unwrap();
    let history = History::new(dir.path());
    let (run, id) = create(&history);
    run.sent(0, [1; 16]).unwrap();
    run.lines().file.write_all(b"{\"ended\":{\"ho").unwrap();
    drop(run);
    let run = history.open(&id).unwrap();
    run.mend().unwrap();
    let ending = Ending {
        kind: Kind::Done,
        how: "exited with 0".to_owned(),
        why: String::new(),
        code: 0,
    };
    run.note(&Line::Ended {
        host: 0,
        ending,
        outputs: None,
    })
    .unwrap();
    assert_eq!(history.record(&id).unwrap().kind(0), Kind::Done);
    assert_eq!(history.stdin(&id).unwrap(), b"in");
}

#[test]
fn a_form_that_is_not_known_is_not_guessed_at() {
    let dir = tempfile::tempdir().unwrap();
    let history = History::new(dir.path());
    let (_run, id) = create(&history);
    assert_eq!(history.header(&id).unwrap().id, id);
    let path = dir.path().join(&id).join(HEADER);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"version\":1", "\"version\":2")).unwrap();
    let error = history.header(&id).unwrap_err().to_string();
    assert!(error.contains("version 2"), "{error}");
}
