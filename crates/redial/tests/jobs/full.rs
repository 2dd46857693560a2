//! A state directory that is full: jobs are told, the server stays up, nothing earlier is harmed.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::server::{TestServer, dir_for_socket};
use crate::support::{eventually, skip};
use crate::{BOTH, detached, printed, redial};

/// A server in a mount namespace of its own, with 16 MiB for its state.
fn small() -> Option<TestServer> {
    let dir = dir_for_socket();
    let state = dir.path().join("state");
    fs::create_dir(&state).unwrap();
    let mut tried = Command::new("unshare");
    tried
        .args(["-m", "mount", "-t", "tmpfs", "none"])
        .arg(&state);
    if !tried.status().is_ok_and(|status| status.success()) {
        skip("jobs on a full disk: no file system of our own can be mounted here");
        return None;
    }
    let mount = "mount -t tmpfs -o size=16m,mode=700 none \"$0\" && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", mount]).arg(&state);
    Some(TestServer::inside(command, dir, &state))
}

fn fill(server: &TestServer, state: &Path) -> u64 {
    // The server's own view of the directory: it is mounted for it alone.
    let root = format!("/proc/{}/root{}", server.pid(), state.display());
    let file = Path::new(&root).join("fill");
    let bytes = vec![0; 1 << 20];
    let mut file = fs::File::create(file).unwrap();
    let mut filled = 0;
    while let Ok(some @ 1..) = std::io::Write::write(&mut file, &bytes) {
        filled += some as u64;
    }
    filled
}

#[test]
fn a_full_disk_harms_nothing_that_was_there_and_stops_only_who_needs_it() {
    let Some(server) = small() else { return };
    let state = server.state();
    let early = detached(&server, &["-c", BOTH]);
    assert_eq!(redial(&["wait", &early]).code, 3);
    let go = server.socket().with_file_name("go");
    let text = format!(
        "seq 1 100000; while ! [ -e {} ]; do sleep 0.01; done; seq 100001 900000; exit 4",
        go.display()
    );
    let running = detached(&server, &["-c", &text]);
    let ends = detached(&server, &["-c", "read x < /dev/null; sleep 1; exit 6"]);
    assert!(fill(&server, &state) > 0);
    fs::write(&go, "").unwrap();
    let told = eventually(|| {
        let jobs = printed(&["ps", "--json", &server.target()]);
        jobs.contains("No space left on device").then_some(())
    });
    assert!(told.is_some(), "the job that waits for the disk says so");
    // An outcome has its place all the same.
    assert_eq!(redial(&["wait", &ends]).code, 6);
    let refused = server.run().args(["--detach", "true"]).ran();
    assert_eq!(refused.code, 125);
    assert!(
        refused.stderr.contains("cannot be kept"),
        "{}",
        refused.stderr
    );
    assert_eq!(server.run().args(["-n", "-c", "exit 5"]).ran().code, 5);
    assert_eq!(
        redial(&["logs", &early]).stdout,
        b"out 1\nout 2\nout 3\nout 4\n"
    );
    let root = format!("/proc/{}/root{}", server.pid(), state.display());
    fs::remove_file(Path::new(&root).join("fill")).unwrap();
    assert_eq!(redial(&["wait", &running]).code, 4);
    let expected: String = (1..=900_000).map(|i| format!("{i}\n")).collect();
    let logs = redial(&["logs", &running]);
    assert!(logs.stdout == expected.as_bytes());
}

#[test]
fn a_log_that_cannot_be_written_is_no_reason_to_end() {
    let dir = dir_for_socket();
    let state = dir.path().join("state");
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$@\" 2>/dev/full", "sh"]);
    command.env("REDIAL_LOG", "debug");
    let server = TestServer::inside(command, dir, &state);
    for _ in 0..3 {
        let ran = server.run().args(["-n", "-c", "exit 5"]).ran();
        assert_eq!((ran.code, &*ran.stderr), (5, ""));
    }
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_and_no_death() {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let server = TestServer::start();
    let limit = Rlimit {
        current: Some(300_000),
        maximum: None,
    };
    let keeper = Pid::from_raw(server.pid().cast_signed());
    prlimit(keeper, Resource::Fsize, limit).unwrap();
    let job = detached(&server, &["-c", "head -c 5000000 /dev/zero; exit 3"]);
    let told = eventually(|| {
        let jobs = printed(&["ps", "--json", &server.target()]);
        jobs.contains("File too large").then_some(())
    });
    assert!(told.is_some());
    assert_eq!(server.run().args(["-n", "-c", "exit 5"]).ran().code, 5);
    assert_eq!(redial(&["rm", "-f", &job]).code, 0);
}

#[test]
fn a_disk_that_takes_nothing_does_not_keep_the_server_from_its_end() {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let mut server = TestServer::start();
    let job = detached(&server, &["-c", "echo up; exec sleep 1000"]);
    let up = eventually(|| (redial(&["logs", &job]).stdout == b"up\n").then_some(()));
    assert!(up.is_some());
    let limit = Rlimit {
        current: Some(0),
        maximum: None,
    };
    let keeper = Pid::from_raw(server.pid().cast_signed());
    prlimit(keeper, Resource::Fsize, limit).unwrap();
    // It dies of TERM, and that cannot be written down.
    assert_eq!(server.stop(), 0);
}
