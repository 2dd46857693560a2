//! The second pass with scripts in the place of test harnesses.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::*;

#[test]
fn a_user_is_read_from_passwd() {
    let passwd = "root:x:0:0:root:/root:/bin/bash\n\
                  redial-test:x:1001:1002:tests:/nowhere:/bin/sh\n";
    let expected = User {
        uid: 1001,
        gid: 1002,
        shell: "/bin/sh".to_owned(),
    };
    assert_eq!(User::parse(passwd, "redial-test"), Some(expected));
    assert_eq!(User::parse(passwd, "redial"), None);
}

#[test]
fn a_harness_runs_as_the_user_with_its_own_home_and_its_skips_are_read() {
    let script = "[ $(id -un) = redial-test ] && [ $(id -G) = $(id -g) ] || exit 1
        [ -O \"$HOME\" ] && [ -w \"$TMPDIR\" ] && [ \"$($REDIAL_BIN)\" = redial ] || exit 2
        echo 'cancel_is_exact: no cgroup here' >> $REDIAL_SKIPS
        echo 'test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out'";
    let name = "a_harness_runs_as_the_user_with_its_own_home_and_its_skips_are_read";
    let Some(outcome) = pass(name, script) else {
        return;
    };
    assert_eq!(outcome.complaints, [""; 0]);
    assert_eq!((outcome.tally.passed, outcome.tally.skipped), (2, 1));
    assert_eq!(outcome.skips[0].name, "cancel_is_exact");
}

#[test]
fn a_harness_that_dies_is_a_failure() {
    let Some(outcome) = pass("a_harness_that_dies_is_a_failure", "exit 101") else {
        return;
    };
    assert_eq!(outcome.tally.failed, 1);
    assert_eq!(outcome.complaints, ["harness-1: exit status: 101"]);
}

#[test]
fn what_a_harness_leaves_running_is_named_and_ended() {
    let script = "setsid sleep 600 >/dev/null 2>&1 </dev/null &";
    let name = "what_a_harness_leaves_running_is_named_and_ended";
    let Some(outcome) = pass(name, script) else {
        return;
    };
    assert_eq!(outcome.complaints.len(), 1, "{:?}", outcome.complaints);
    assert!(outcome.complaints[0].starts_with("a test left sleep running"));
}

/// Runs a pass whose one harness is a script; nothing where it cannot be run.
fn pass(test: &str, script: &str) -> Option<Outcome> {
    let user = User::find().unwrap();
    if !rustix::process::geteuid().is_root() || user.is_none() {
        skip(test, "needs root, and the user of an earlier second pass");
        return None;
    }
    let dir = std::env::temp_dir().join(format!("redial-{test}-{}", std::process::id()));
    fs::create_dir(&dir).unwrap();
    let program = |kind, name: &str, text: &str| {
        let path = dir.join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        Executable {
            crate_dir: PathBuf::from("/nowhere/redial-net"),
            path,
            kind,
        }
    };
    let executables = [
        program(Kind::Test, "harness-1", script),
        program(Kind::Program, "redial", "echo redial"),
    ];
    let outcome = run(&executables);
    fs::remove_dir_all(&dir).unwrap();
    Some(outcome.unwrap())
}

/// Says that a test cannot run here, as CONTRIBUTING.md has it.
fn skip(test: &str, reason: &str) {
    use std::io::Write;
    eprintln!("skipped: {test}: {reason}");
    if let Some(path) = std::env::var_os(SKIPS_VARIABLE) {
        let mut file = File::options().append(true).open(path).unwrap();
        writeln!(file, "{test}: {reason}").unwrap();
    }
}
