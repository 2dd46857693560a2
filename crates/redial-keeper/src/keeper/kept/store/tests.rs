//! Records that are whole, torn, foreign or of jobs that ran.

use super::super::record::tests::record;
use super::*;

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("jobs"), Duration::ZERO).unwrap();
    (dir, store)
}

#[test]
fn what_was_written_is_there_when_it_is_opened_again() {
    let (dir, store) = store();
    for number in 0..20 {
        store.create_log(&[number; 16]).unwrap();
        store.write(&record(number, true)).unwrap();
    }
    store.remove(&[3; 16]).unwrap();
    drop(store);
    let store = Store::open(&dir.path().join("jobs"), Duration::ZERO).unwrap();
    let mut records = store.load(&HashSet::new(), &mut |_, _| {}).unwrap();
    records.sort_by_key(|record| record.job);
    let expected: Vec<Record> = (0..20)
        .filter(|number| *number != 3)
        .map(|number| record(number, true))
        .collect();
    assert_eq!(records, expected);
}

#[test]
fn what_had_not_ended_is_unknown_and_stays_so() {
    let (_dir, store) = store();
    store.write(&record(1, false)).unwrap();
    let first = store.load(&HashSet::new(), &mut |_, _| {}).unwrap();
    let end = first[0].end.as_ref().unwrap();
    assert_eq!(end.outcome.status, Status::Unknown);
    assert_eq!(store.load(&HashSet::new(), &mut |_, _| {}).unwrap(), first);
}

#[test]
fn torn_and_foreign_files_are_set_aside_and_their_output_stays() {
    let (_dir, store) = store();
    store.write(&record(1, true)).unwrap();
    for (number, bytes) in [(2, &b"redial job 1\n"[..]), (3, b"hello")] {
        fs::write(store.path(&[number; 16], "job"), bytes).unwrap();
        store.create_log(&[number; 16]).unwrap();
    }
    // A record under another job's name.
    fs::copy(store.path(&[1; 16], "job"), store.path(&[4; 16], "job")).unwrap();
    store.create_log(&[5; 16]).unwrap();
    assert_eq!(
        store.load(&HashSet::new(), &mut |_, _| {}).unwrap().len(),
        1
    );
    for number in [2, 3] {
        assert!(store.path(&[number; 16], "aside").exists());
        assert!(store.path(&[number; 16], "log").exists());
    }
    assert!(store.path(&[4; 16], "aside").exists());
    assert!(!store.path(&[5; 16], "log").exists(), "nobody's");
    assert_eq!(
        store.load(&HashSet::new(), &mut |_, _| {}).unwrap().len(),
        1
    );
}

#[test]
fn what_runs_on_in_another_program_is_neither_ended_nor_loaded() {
    let (_dir, store) = store();
    store.write(&record(1, false)).unwrap();
    store.create_log(&[1; 16]).unwrap();
    let running = HashSet::from([[1; 16]]);
    assert!(store.load(&running, &mut |_, _| {}).unwrap().is_empty());
    assert!(store.path(&[1; 16], "log").exists());
    let bytes = fs::read(store.path(&[1; 16], "job")).unwrap();
    assert_eq!(Record::from_bytes(&bytes).unwrap().end, None);
}

#[test]
fn one_directory_is_one_servers() {
    let (dir, _store) = store();
    let error = Store::open(&dir.path().join("jobs"), Duration::ZERO).unwrap_err();
    assert!(error.to_string().contains("another server"), "{error}");
}
