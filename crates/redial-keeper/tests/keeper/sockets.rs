//! Who may connect, and how often.

use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Duration;

use redial_keeper::keeper::{FrontHandle, KeeperConfig, KeeperError, Limits, run_with};

use crate::harness::Keeper;
use crate::seen::{code, command};

#[test]
fn the_socket_is_for_its_owner_only() {
    let (keeper, mut front) = Keeper::start("");
    let _line = keeper.dial();
    front.connection();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(&keeper.socket()), 0o600);
}

/// A keeper that cannot start, in this very process: it ends before it does anything.
fn refusal(listen: std::path::PathBuf) -> KeeperError {
    let (shutdown, _writer) = std::io::pipe().unwrap();
    let config = KeeperConfig {
        limits: Limits::default(),
        listen: vec![listen],
        network: None,
        users: None,
        key_reader: None,
        stdio: None,
        keep_in: None,
        audit: None,
        record: None,
        passed: Default::default(),
        metrics: None,
        service: None,
        upgrade: None,
        front: Default::default(),
        shutdown: shutdown.into(),
    };
    let mut no_front = || -> std::io::Result<FrontHandle> { unreachable!("it must not serve") };
    run_with(config, &mut no_front).unwrap_err()
}

#[test]
fn a_socket_that_is_served_is_not_taken_and_a_dead_one_is() {
    let (keeper, mut front) = Keeper::start("");
    let _line = keeper.dial();
    front.connection();
    let error = refusal(keeper.socket());
    assert!(
        matches!(error, KeeperError::AlreadyServed { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("already served"));
    // The one that serves has not suffered.
    let _line = keeper.dial();
    let who = front.connection();
    assert_eq!(code(&front.run(who, command(&["true"])).2), Some(0));
}

#[test]
fn a_directory_that_others_may_write_to_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let error = refusal(directory.path().join("socket"));
    assert!(matches!(error, KeeperError::Directory { .. }), "{error}");
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o700)).unwrap();
    let taken = directory.path().join("file");
    std::fs::write(&taken, "not a socket").unwrap();
    let error = refusal(taken.clone());
    assert!(matches!(error, KeeperError::Listen { .. }), "{error}");
    assert_eq!(std::fs::read_to_string(taken).unwrap(), "not a socket");
}

#[test]
fn a_directory_that_does_not_exist_is_not_made() {
    let directory = tempfile::tempdir().unwrap();
    let absent = directory.path().join("absent");
    let error = refusal(absent.join("socket"));
    assert!(matches!(error, KeeperError::NoDirectory { .. }), "{error}");
    assert!(error.to_string().contains("does not exist; make it"));
    assert!(!absent.exists());
}

#[test]
fn connections_beyond_the_limit_are_closed_and_the_others_stay() {
    let (keeper, mut front) = Keeper::start("connections=2");
    // The front gets some more than the limit, to tell them why they cannot stay.
    let lines: Vec<_> = (0..10).map(|_| keeper.dial()).collect();
    let who = front.connection();
    for _ in 1..10 {
        front.connection();
    }
    let mut refused = keeper.dial();
    refused
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    assert_eq!(refused.read(&mut [0]).unwrap(), 0);
    assert_eq!(code(&front.run(who, command(&["true"])).2), Some(0));
    drop(lines);
}
