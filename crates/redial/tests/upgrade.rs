//! Another program in a server's place: nothing is lost, and one that cannot is not taken.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Child;

use rustix::process::{Pid, Signal, kill_process};
use support::server::{TestServer, front};
use support::{Ran, Redial, binary, eventually, finish, wait};
use tempfile::TempDir;

/// A server whose program is a file of the test's own.
struct Replaceable {
    server: TestServer,
    dir: TempDir,
}

impl Replaceable {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        install(&binary(), &program(&dir));
        let server = TestServer::of(&program(&dir));
        Replaceable { server, dir }
    }

    fn upgrade(&self) -> Ran {
        Redial::bare(["upgrade", &self.server.target()]).ran()
    }

    fn keeper(&self) -> Pid {
        Pid::from_raw(self.server.pid().cast_signed()).unwrap()
    }

    /// The executable that the keeper runs.
    fn inode(&self) -> u64 {
        let file = fs::metadata(format!("/proc/{}/exe", self.server.pid())).unwrap();
        std::os::unix::fs::MetadataExt::ino(&file)
    }
}

fn program(dir: &TempDir) -> PathBuf {
    dir.path().join("redial")
}

/// As a package manager does: beside, and renamed. By another process: what we had open for writing while
/// another test starts something would be busy for a moment (execve(2), ETXTBSY).
fn install(from: &Path, to: &Path) {
    let new = to.with_extension("new");
    let mut install = std::process::Command::new("install");
    install.args(["-m", "755"]).arg(from).arg(&new);
    assert!(install.status().unwrap().success());
    fs::rename(&new, to).unwrap();
}

/// Reads what is printed until there are so many bytes.
fn at_least(child: &mut Child, bytes: usize) -> Vec<u8> {
    let mut seen = vec![0; bytes];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut seen)
        .unwrap();
    seen
}

/// Whether ps(1) and pgrep(1) call a process so.
fn is_called(pid: u32, name: &str) -> bool {
    let called = fs::read_to_string(format!("/proc/{pid}/comm"));
    called.is_ok_and(|it| it.trim_end() == name)
}

#[test]
fn a_server_and_its_front_are_called_redial_before_and_after_an_upgrade() {
    let it = Replaceable::start();
    for _ in 0..2 {
        assert_eq!(it.server.run().args(["-n", "--", "true"]).ran().code, 0);
        let keeper = it.server.pid();
        assert!(is_called(keeper, "redial"));
        // One that has just been started has not said so yet.
        let said = eventually(|| is_called(front(keeper), "redial-front").then_some(()));
        assert!(said.is_some());
        assert_eq!(it.upgrade().code, 0);
    }
}

#[test]
fn jobs_of_every_kind_go_on_through_many_upgrades() {
    let it = Replaceable::start();
    let target = it.server.target();
    // The job waits for it, so it is there before the job.
    let fifo = it.dir.path().join("go");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    let detached = it
        .server
        .run()
        .args([
            "--detach",
            "-c",
            "seq 1 30; read x < go; seq 31 200000; exit 9",
        ])
        .args(["--cwd", it.dir.path().to_str().unwrap()])
        .ran();
    let name = String::from_utf8(detached.stdout).unwrap();
    let began = std::time::Instant::now();
    let text = "seq 1 200000; cat; echo end >&2; exit 4";
    let mut attached = it.server.run().args(["-c", text]).spawn();
    let mut stdin = attached.stdin.take().unwrap();
    let mut seen = at_least(&mut attached, 100);
    for number in 0..8 {
        install(&binary(), &program(&it.dir));
        let upgraded = it.upgrade();
        assert_eq!((upgraded.code, &*upgraded.stderr), (0, ""), "{number}");
        writeln!(stdin, "line {number}").unwrap();
        let ran = it
            .server
            .run()
            .args(["-n", "-c", "echo $REDIAL_JOB; exit 5"])
            .ran();
        assert_eq!((ran.code, &*ran.stderr), (5, ""), "{number}");
    }
    drop(stdin);
    fs::write(&fifo, "\n").unwrap();
    let ran = finish(attached, began);
    seen.extend(ran.stdout);
    let mut expected: String = (1..=200_000).map(|i| format!("{i}\n")).collect();
    expected.extend((0..8).map(|i| format!("line {i}\n")));
    assert!(seen == expected.as_bytes());
    assert_eq!((ran.code, &*ran.stderr), (4, "end\n"));
    let name = name.trim_end();
    assert_eq!(Redial::bare(["wait", name]).ran().code, 9);
    let logs = Redial::bare(["logs", name]).ran();
    let expected: String = (1..=200_000).map(|i| format!("{i}\n")).collect();
    assert!(logs.stdout == expected.as_bytes());
    let jobs = Redial::bare(["ps", "-q", &target]).ran();
    assert_eq!(String::from_utf8(jobs.stdout).unwrap().trim_end(), name);
}

#[test]
fn it_is_the_new_file_that_runs_and_the_same_process() {
    let it = Replaceable::start();
    let (pid, before) = (it.server.pid(), it.inode());
    install(&binary(), &program(&it.dir));
    assert_eq!(it.upgrade().code, 0);
    assert_eq!(it.server.pid(), pid);
    assert_ne!(it.inode(), before);
    install(&binary(), &program(&it.dir));
    let before = it.inode();
    kill_process(it.keeper(), Signal::HUP).unwrap();
    assert!(eventually(|| (it.inode() != before).then_some(())).is_some());
    assert_eq!(it.server.run().args(["-n", "true"]).ran().code, 0);
}

#[test]
fn a_program_that_cannot_read_the_state_is_not_taken_and_all_goes_on() {
    let it = Replaceable::start();
    let began = std::time::Instant::now();
    let mut running = it.server.run().args(["-c", "echo up; cat"]).spawn();
    let seen = at_least(&mut running, 3);
    let before = it.inode();
    let text = it.dir.path().join("text");
    fs::write(&text, "no program at all").unwrap();
    for (other, reason) in [
        (
            Path::new("/bin/false"),
            "cannot read the state (exit status: 1)",
        ),
        (&text, "cannot be run"),
    ] {
        install(other, &program(&it.dir));
        let refused = it.upgrade();
        assert_eq!(refused.code, 125, "{other:?}");
        let said = &refused.stderr;
        assert!(
            said.contains("the old program stays") && said.contains(reason),
            "{said}"
        );
        assert_eq!(it.inode(), before);
    }
    fs::remove_file(program(&it.dir)).unwrap();
    assert!(it.upgrade().stderr.contains("No such file"), "named");
    running.stdin.take().unwrap().write_all(b"down\n").unwrap();
    let ran = finish(running, began);
    assert_eq!((ran.code, &*ran.stderr), (0, ""));
    assert_eq!([seen, ran.stdout].concat(), b"up\ndown\n");
}

#[test]
fn a_command_started_after_an_upgrade_sees_three_descriptors_and_no_signal_blocked() {
    let it = Replaceable::start();
    let look = "ls /proc/self/fd; grep -E 'Sig(Blk|Ign)' /proc/self/status; env | grep -c KEEPER";
    let before = it.server.run().args(["-n", "-c", look]).ran();
    assert_eq!(it.upgrade().code, 0);
    let after = it.server.run().args(["-n", "-c", look]).ran();
    assert_eq!(after.stdout, before.stdout);
    assert!(String::from_utf8(after.stdout).unwrap().ends_with("0\n"));
}

#[test]
fn the_keeper_goes_last_when_memory_runs_out_and_its_children_do_not() {
    let it = Replaceable::start();
    let own = fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    // It takes more than to be root (CAP_SYS_RESOURCE), which containers mostly do not have.
    let tried = "echo -999 > /proc/self/oom_score_adj";
    let tried = std::process::Command::new("sh")
        .args(["-c", tried])
        .output();
    let may_protect = tried.unwrap().status.success();
    if !may_protect {
        support::skip("that the keeper goes last: oom_score_adj cannot be lowered here");
    }
    let of = |pid: u32| fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
    for _ in 0..3 {
        let ran = it
            .server
            .run()
            .args(["-n", "-c", "cat /proc/self/oom_score_adj"])
            .ran();
        assert_eq!(String::from_utf8(ran.stdout).unwrap(), own);
        let front = support::processes::descendants(it.server.pid());
        let front = front.iter().find(|it| it.arguments.contains("--front"));
        assert_eq!(of(front.unwrap().pid), own);
        if may_protect {
            assert_eq!(of(it.server.pid()), "-999\n");
        }
        assert_eq!(it.upgrade().code, 0);
    }
}

#[test]
fn a_private_server_is_not_upgraded() {
    let refused = Redial::bare(["upgrade", "local:"]).ran();
    assert_eq!(refused.code, 125);
    assert!(
        refused.stderr.contains("cannot be upgraded"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_deadline_and_a_drop_policy_hold_through_an_upgrade() {
    let it = Replaceable::start();
    let mut timed = it
        .server
        .run()
        .args(["-n", "--deadline", "2s", "-c", "echo up; sleep 600"])
        .spawn();
    at_least(&mut timed, 3);
    let mut dropped = it
        .server
        .run()
        .args(["-n", "--on-drop", "keep:1s", "-c", "echo up; sleep 600"])
        .spawn();
    at_least(&mut dropped, 3);
    dropped.kill().unwrap();
    wait(&mut dropped);
    assert_eq!(it.upgrade().code, 0);
    assert_eq!(wait(&mut timed), 124);
    let target = it.server.target();
    let none = eventually(|| {
        let jobs = Redial::bare(["ps", "--json", &target]).ran();
        let text = String::from_utf8(jobs.stdout).unwrap();
        (!text.contains("\"running\"")).then_some(())
    });
    assert!(none.is_some());
}

#[test]
fn a_program_that_was_moved_out_of_the_way_makes_room_for_the_new_one() {
    let it = Replaceable::start();
    let old = it.dir.path().join("redial.old");
    fs::rename(program(&it.dir), &old).unwrap();
    let refused = it.upgrade();
    assert_eq!(refused.code, 125);
    assert!(
        refused.stderr.contains("No such file"),
        "{}",
        refused.stderr
    );
    install(&binary(), &program(&it.dir));
    let before = it.inode();
    let upgraded = it.upgrade();
    assert_eq!(upgraded.code, 0, "{}", upgraded.stderr);
    assert_ne!(it.inode(), before);
    let runs = fs::read_link(format!("/proc/{}/exe", it.server.pid())).unwrap();
    assert_eq!(runs, program(&it.dir));
}
