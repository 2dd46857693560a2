//! What terminals show is recorded where the server is to do so: all of it, or nothing runs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::processes::{mark, none_left};
use crate::support::server::{TestServer, kill_front};
use crate::support::{Redial, eventually};
use crate::{on_terminal, stdout};

/// A server that records, and where.
fn recording() -> (TestServer, TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let casts = dir.path().join("casts");
    let server = TestServer::with(&["--record", casts.to_str().unwrap()]);
    (server, dir, casts)
}

fn files(casts: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(casts).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// The only recording: its first line, and what follows.
fn read(casts: &Path) -> (Value, Vec<(f64, String, String)>) {
    let files = files(casts);
    let [file] = &files[..] else {
        panic!("{files:?}");
    };
    assert_eq!(
        fs::metadata(file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let whole = || {
        let text = fs::read_to_string(file).unwrap();
        text.ends_with('\n').then_some(text)
    };
    // Whoever reads in the middle of a write sees half of it.
    let text = eventually(whole).expect("whole lines");
    let mut lines = text.lines();
    let header = serde_json::from_str(lines.next().unwrap()).unwrap();
    let events = lines.map(|line| serde_json::from_str(line).unwrap());
    (header, events.collect())
}

/// All that was shown.
fn shown(events: &[(f64, String, String)]) -> String {
    let shown = events.iter().filter(|(_, kind, _)| kind == "o");
    shown.map(|(_, _, text)| text.as_str()).collect()
}

/// What was shown so far is in the file soon.
fn soon(casts: &Path, text: &str) {
    let is_there = || shown(&read(casts).1).contains(text).then_some(());
    assert!(eventually(is_there).is_some(), "{text}: {:?}", read(casts));
}

#[test]
fn a_recording_is_what_was_shown_with_its_times_and_sizes() {
    let (server, _dir, casts) = recording();
    // Each half of a character by itself, and what is no text.
    let text = r"printf '\303'; sleep 0.3; printf '\251 \377\n'; read x; seq 1 50000; exit 3";
    let mut terminal = on_terminal(&server.target(), &[], text);
    terminal.sees("\r\n");
    terminal.is_raw();
    terminal.resizes(50, 132);
    soon(&casts, "é");
    let resized = || {
        let (_, events) = read(&casts);
        let resized = events
            .iter()
            .any(|(_, kind, size)| (&**kind, &**size) == ("r", "132x50"));
        resized.then_some(())
    };
    assert!(eventually(resized).is_some());
    terminal.types("go");
    assert_eq!(terminal.ends().0, 3);
    let lines: String = (1..=50_000).map(|line| format!("{line}\r\n")).collect();
    soon(&casts, "50000\r\n");
    let (header, events) = read(&casts);
    assert_eq!(
        (&header["version"], &header["width"], &header["height"]),
        (&2.into(), &80.into(), &24.into())
    );
    assert_eq!(header["env"]["TERM"], "xterm-256color");
    let job = header["title"].as_str().unwrap();
    let name = files(&casts)[0].file_name().unwrap().to_owned();
    assert!(name.to_str().unwrap().ends_with(&format!("-{job}.cast")));
    assert_eq!(shown(&events), format!("é \u{fffd}\r\ngo\r\n{lines}"));
    let times: Vec<f64> = events.iter().map(|(at, ..)| *at).collect();
    assert!(times.is_sorted() && times[0] < 60.0, "{times:?}");
}

#[test]
fn what_is_typed_and_not_shown_is_not_in_it() {
    let (server, _dir, casts) = recording();
    let text = "stty -echo; echo Password:; read x; echo thanks";
    let mut terminal = on_terminal(&server.target(), &[], text);
    terminal.sees("Password:\r\n");
    terminal.is_raw();
    terminal.types("canary-typed");
    assert_eq!(terminal.ends(), (0, "thanks\r\n".to_owned()));
    soon(&casts, "thanks");
    assert!(
        !fs::read_to_string(&files(&casts)[0])
            .unwrap()
            .contains("canary")
    );
}

#[test]
fn only_terminals_are_recorded_and_none_is_given_without() {
    let (server, _dir, casts) = recording();
    assert_eq!(server.run().args(["-n", "--", "true"]).ran().code, 0);
    assert!(files(&casts).is_empty());
    fs::remove_dir(&casts).unwrap();
    fs::write(&casts, "").unwrap();
    let ran = server.run().args(["-tn", "--", "echo", "ran"]).ran();
    assert_eq!((ran.code, stdout(&ran)), (125, ""));
    assert!(
        ran.stderr.contains("cannot record the terminal"),
        "{}",
        ran.stderr
    );
    let ran = server.run().args(["-n", "--", "echo", "ran"]).ran();
    assert_eq!((ran.code, stdout(&ran)), (0, "ran\n"));
    // Nor in one that others may write in, and nothing of what did not start is left.
    fs::remove_file(&casts).unwrap();
    fs::create_dir(&casts).unwrap();
    fs::set_permissions(&casts, fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(server.run().args(["-tn", "--", "true"]).ran().code, 125);
    fs::set_permissions(&casts, fs::Permissions::from_mode(0o700)).unwrap();
    let ran = server.run().args(["-tn", "--", "/nonexistent"]).ran();
    assert_eq!(ran.code, 127);
    assert!(eventually(|| files(&casts).is_empty().then_some(())).is_some());
    assert_eq!(server.run().args(["-tn", "--", "true"]).ran().code, 0);
    assert_eq!(files(&casts).len(), 1);
}

#[test]
fn a_job_whose_recording_cannot_go_on_is_ended() {
    let (server, _dir, casts) = recording();
    let mark = mark();
    let pid = Pid::from_raw(server.pid().cast_signed()).unwrap();
    let most = Rlimit {
        current: Some(1_000_000),
        maximum: Some(1_000_000),
    };
    prlimit(Some(pid), Resource::Fsize, most).unwrap();
    let ran = server.run().args(["-tn", "--", "yes", &mark]).ran();
    // TERM, or HUP of its terminal before that.
    assert!(matches!(ran.code, 129 | 143), "{ran:?}");
    assert!(
        ran.stderr.contains("its terminal cannot be recorded"),
        "{}",
        ran.stderr
    );
    assert!(none_left(&mark));
    let (_, events) = read(&casts);
    assert!(shown(&events).len() > 100_000);
}

#[test]
fn a_recording_goes_on_over_fronts_and_upgrades() {
    let (server, _dir, casts) = recording();
    // A character that is half there when the program is replaced.
    let text = r"stty -echo; printf 'up\n\303'; read x; printf '\251\n'; echo got $x";
    let mut terminal = on_terminal(&server.target(), &[], text);
    terminal.sees("up\r\n");
    terminal.is_raw();
    soon(&casts, "up\r\n");
    kill_front(server.pid());
    // Who comes while there is none is hung up on.
    let is_back = || (server.run().args(["-n", "--", "true"]).ran().code == 0).then_some(());
    assert!(eventually(is_back).is_some());
    for _ in 0..2 {
        let upgraded = Redial::bare(["upgrade", &server.target()]).ran();
        assert_eq!(upgraded.code, 0, "{}", upgraded.stderr);
    }
    terminal.types("on");
    assert_eq!(terminal.ends().0, 0);
    soon(&casts, "got on\r\n");
    assert_eq!(shown(&read(&casts).1), "up\r\né\r\ngot on\r\n");
}

#[test]
fn a_directory_that_others_may_write_in_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let casts = dir.path().join("casts");
    fs::create_dir(&casts).unwrap();
    fs::set_permissions(&casts, fs::Permissions::from_mode(0o777)).unwrap();
    let socket = format!("unix:{}", dir.path().join("r.sock").display());
    let serve = Redial::bare(["serve", "--listen", &socket, "--record"]).args([&casts]);
    let ran = serve.ran();
    assert_eq!(ran.code, 125);
    assert!(
        ran.stderr.contains("others may write in that directory"),
        "{}",
        ran.stderr
    );
}

#[test]
fn what_cannot_be_recorded_is_not_shown_even_by_who_will_not_end() {
    let (server, _dir, casts) = recording();
    let mark = mark();
    let pid = Pid::from_raw(server.pid().cast_signed()).unwrap();
    let most = Rlimit {
        current: Some(1_000_000),
        maximum: Some(1_000_000),
    };
    prlimit(Some(pid), Resource::Fsize, most).unwrap();
    let text = format!(
        "trap '' TERM HUP; yes | head -c 3000000; sleep 1; echo secret; : {mark}; sleep 1000"
    );
    let ran = server.run().args(["-tn", "-c", &text]).ran();
    assert_eq!(ran.code, 137, "{}", ran.stderr);
    assert!(!stdout(&ran).contains("secret"));
    assert!(none_left(&mark));
    assert!(!shown(&read(&casts).1).contains("secret"));
}

#[test]
fn recordings_have_a_quota_and_those_that_are_removed_make_room() {
    let dir = tempfile::tempdir().unwrap();
    let casts = dir.path().join("casts");
    let args = ["--record", casts.to_str().unwrap(), "--record-quota", "1MB"];
    let server = TestServer::with(&args);
    let ran = server.run().args(["-tn", "--", "yes"]).ran();
    // TERM, or HUP of its terminal before that.
    assert!(matches!(ran.code, 129 | 143), "{ran:?}");
    let used: u64 = files(&casts)
        .iter()
        .map(|file| fs::metadata(file).unwrap().len())
        .sum();
    assert!((100_000..=1_000_000).contains(&used), "{used}");
    // What there is counts for another server, too.
    drop(server);
    fs::write(casts.join("20260101T000000Z-7-x.cast"), vec![b'x'; 999_990]).unwrap();
    let server = TestServer::with(&args);
    let ran = server.run().args(["-tn", "--", "true"]).ran();
    assert_eq!(ran.code, 125, "{}", ran.stderr);
    drop(server);
    files(&casts)
        .iter()
        .for_each(|file| fs::remove_file(file).unwrap());
    let server = TestServer::with(&args);
    assert_eq!(server.run().args(["-tn", "--", "true"]).ran().code, 0);
}

#[test]
fn a_recording_that_was_moved_away_goes_on_in_a_new_file_behind_an_upgrade() {
    let (server, _dir, casts) = recording();
    let text = "stty -echo; echo up; while read x; do echo got $x; done";
    let mut terminal = on_terminal(&server.target(), &[], text);
    terminal.sees("up\r\n");
    terminal.is_raw();
    soon(&casts, "up\r\n");
    let file = files(&casts).remove(0);
    fs::rename(&file, casts.join("moved")).unwrap();
    terminal.types("one");
    terminal.sees("got one\r\n");
    let upgraded = Redial::bare(["upgrade", &server.target()]).ran();
    assert_eq!(upgraded.code, 0, "{}", upgraded.stderr);
    terminal.types("two");
    terminal.sees("got two\r\n");
    terminal.presses(b"\x04");
    assert_eq!(terminal.ends().0, 0);
    let moved = fs::read_to_string(casts.join("moved")).unwrap();
    assert!(moved.contains("got one") && !moved.contains("got two"));
    fs::remove_file(casts.join("moved")).unwrap();
    soon(&casts, "got two\r\n");
    assert_eq!(read(&casts).0["width"], 80);
}

#[test]
fn terminals_that_never_stop_showing_hold_up_no_upgrade() {
    let (server, _dir, casts) = recording();
    let flood = "stty raw; exec cat /dev/zero";
    let keep = ["--keep-output-policy", "tail", "--keep-output", "1MiB"];
    for _ in 0..2 {
        let run = server.run().args(["--detach", "-t"]).args(keep);
        let ran = run.args(["-c", flood]).ran();
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    }
    let upgraded = Redial::bare(["upgrade", &server.target()]).ran();
    assert_eq!(upgraded.code, 0, "{}", upgraded.stderr);
    let bytes = |files: &[PathBuf]| -> u64 {
        let sizes = files.iter().map(|file| fs::metadata(file).unwrap().len());
        sizes.sum()
    };
    let before = bytes(&files(&casts));
    let goes_on = || (bytes(&files(&casts)) > before).then_some(());
    assert!(eventually(goes_on).is_some());
}
