//! Batches, too many failures, trying again, deadlines and interrupts.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::site::{Site, rows, sorted};
use crate::support::{eventually, finish, said, silent_address, wait};

/// Counts how many run at once, the most of it in a file.
const CROWD: &str = r#"
    cd "$DIR"; exec 9>lock
    enter() { flock 9; echo x >>in; n=$(( $(wc -l <in) - $(cat out 2>/dev/null | wc -l) )); echo $n >>most; flock -u 9; }
    leave() { flock 9; echo x >>out; flock -u 9; }
    enter; sleep 0.2; leave
"#;

fn crowd(site: &Site) -> String {
    CROWD.replace("$DIR", site.dir().to_str().unwrap())
}

fn most(site: &Site) -> u32 {
    let most = site.text("most");
    most.lines()
        .map(|line| line.parse().unwrap())
        .max()
        .unwrap()
}

#[test]
fn no_more_than_the_fan_out_run_at_once() {
    let site = Site::of(&["a[1-12]"]);
    let ran = site.ran("a[1-12]", &["-f", "3"], &crowd(&site));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(most(&site), 3);
}

#[test]
fn a_batch_begins_when_the_one_before_has_ended() {
    let site = Site::of(&["a[1-10]"]);
    let text = format!(
        "date +%s.%N >>{0}/at; {1}",
        site.dir().display(),
        crowd(&site)
    );
    let ran = site.ran("a[1-10]", &["--rolling", "40%", "--pause", "300ms"], &text);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(most(&site) <= 4);
    let mut times: Vec<f64> = site
        .text("at")
        .lines()
        .map(|at| at.parse().unwrap())
        .collect();
    times.sort_by(f64::total_cmp);
    for batch in [4, 8] {
        // The command's 0.2 s, and the pause.
        assert!(times[batch] - times[batch - 1] > 0.3, "{times:?}");
    }
}

#[test]
fn too_many_failures_begin_no_other_and_let_the_running_end() {
    let site = Site::of(&["bad[1-3]", "ok[1-9]"]);
    let ran_file = site.file("ran");
    let text = format!("echo $ON >>{}; test $ON = ok", ran_file.display());
    let ran = site.ran(
        "bad[1-3],ok[1-9]",
        &["--rolling", "4", "--max-fail", "3"],
        &text,
    );
    assert_eq!(ran.code, 1);
    let expected = [
        "1 exited with 0 ok1",
        "3 exited with 1 bad[1-3]",
        "8 not begun ok[2-9]",
    ];
    assert_eq!(rows(&ran), expected);
    assert_eq!(sorted(&site.text("ran")), ["bad", "bad", "bad", "ok"]);
    assert!(ran.stderr.contains("--max-fail"), "{}", ran.stderr);
}

#[test]
fn a_host_that_comes_up_is_reached_by_trying_again() {
    let mut site = Site::of(&["a1", "b1"]);
    assert_eq!(site.ran("a1,b1", &[], "true").code, 0);
    let count = format!("echo $ON >>{}", site.file("ran").display());
    // It is down, and comes up while it is tried again.
    let down = site.take(1).down();
    let child = site
        .run("a1,b1")
        .args(["--retry", "5", "-v", "--", "sh", "-c", &count])
        .spawn();
    let again = eventually(|| (site.text("ran").contains('a')).then_some(()));
    assert!(again.is_some());
    site.put(1, down.up());
    let ran = finish(child, Instant::now());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("b1: tried again: "), "{}", ran.stderr);
    assert_eq!(sorted(&site.text("ran")), ["a", "b"]);
    // Whoever goes on with such a run knows that nothing started there until then.
    let runs = std::fs::read_dir(site.home().join(".local/state/redial/runs")).unwrap();
    let journals = runs.map(|run| {
        let journal = run.unwrap().path().join("journal");
        std::fs::read_to_string(journal).unwrap()
    });
    let said = journals.filter(|it| it.contains("{\"not-started\":{\"host\":1}}"));
    assert_eq!(said.count(), 1);
}

#[test]
fn what_ran_is_never_tried_again() {
    let site = Site::of(&["a1"]);
    let count = format!("echo x >>{}; exit 1", site.file("ran").display());
    let ran = site.ran("a[1-1]", &["--retry", "3"], &count);
    assert_eq!((ran.code, &*site.text("ran")), (1, "x\n"));
    let (_held, address) = silent_address();
    site.know("gone", address.rsplit_once(':').unwrap().1.parse().unwrap());
    let began = Instant::now();
    let ran = site.ran("gone,a1", &["--retry", "1", "-v"], "true");
    assert_eq!(
        ran.stderr.matches("gone: tried again").count(),
        1,
        "{}",
        ran.stderr
    );
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert_eq!(ran.code, 125);
}

#[test]
fn the_total_deadline_ends_what_runs_and_begins_no_other() {
    let site = Site::of(&["a[1-4]"]);
    let ran = site.ran(
        "a[1-4]",
        &["-f", "2", "--total-deadline", "1s"],
        "exec sleep 1000",
    );
    assert_eq!(ran.code, 124, "{}", ran.stderr);
    assert_eq!(
        rows(&ran),
        ["2 total deadline a[1-2]", "2 not begun a[3-4]"]
    );
}

fn signal(child: &std::process::Child, signal: Signal) {
    let pid = Pid::from_raw(child.id().cast_signed()).unwrap();
    kill_process(pid, signal).unwrap();
}

#[test]
fn the_first_interrupt_is_the_commands_and_begins_no_other() {
    let site = Site::of(&["a[1-4]"]);
    let text = format!(
        "trap 'exit 5' INT; echo x >>{}; while :; do sleep 0.05; done",
        site.file("begun").display()
    );
    let child = site
        .run("a[1-4]")
        .args(["-f", "2", "--", "sh", "-c", &text])
        .spawn();
    eventually(|| (site.text("begun").lines().count() == 2).then_some(())).unwrap();
    signal(&child, Signal::INT);
    let ran = finish(child, Instant::now());
    assert_eq!(rows(&ran), ["2 exited with 5 a[1-2]", "2 not begun a[3-4]"]);
    assert_eq!(ran.code, 130, "{}", ran.stderr);
}

#[test]
fn the_second_ends_their_trees_and_the_third_leaves() {
    let site = Site::of(&["a[1-2]"]);
    let text = format!(
        "trap '' INT; echo x >>{}; while :; do sleep 0.05; done",
        site.file("begun").display()
    );
    let begin = || {
        let _ = fs::remove_file(site.file("begun"));
        let child = site
            .run("a[1-2]")
            .args(["--on-drop", "keep:1m", "--", "sh", "-c", &text])
            .spawn();
        eventually(|| (site.text("begun").lines().count() == 2).then_some(())).unwrap();
        child
    };
    let child = begin();
    signal(&child, Signal::TERM);
    let ran = finish(child, Instant::now());
    assert_eq!(
        (ran.code, rows(&ran)),
        (143, vec!["2 cancelled a[1-2]".to_owned()])
    );
    // Of three that come at once, the first two may be one.
    let text = text.replace("trap '' INT", "trap '' INT TERM");
    let _ = fs::remove_file(site.file("begun"));
    let mut child = site
        .run("a[1-2]")
        .args(["--on-drop", "keep:1m", "--", "sh", "-c", &text])
        .spawn();
    eventually(|| (site.text("begun").lines().count() == 2).then_some(())).unwrap();
    let left = eventually(|| {
        signal(&child, Signal::TERM);
        child.try_wait().unwrap()
    });
    assert_eq!(left.unwrap().code(), Some(143));
    let said = said(&mut child);
    assert!(
        said.contains("2  left  a[1-2]") && said.contains("redial history resume"),
        "{said}"
    );
    let _ = wait(&mut child);
}

#[test]
fn a_host_that_does_not_answer_does_not_hold_up_the_end() {
    let site = Site::of(&["a1", "b1"]);
    let text = format!("echo x >>{}; exec sleep 1000", site.file("begun").display());
    let run = site
        .run("a1,b1")
        .args(["--total-deadline", "2s", "--", "sh", "-c", &text]);
    let child = run.spawn();
    eventually(|| (site.text("begun").lines().count() == 2).then_some(())).unwrap();
    let stopped = site.server(1).stopped();
    let ran = finish(child, Instant::now());
    drop(stopped);
    assert_eq!(ran.code, 125, "{}", ran.stderr);
    assert_eq!(
        rows(&ran),
        ["1 total deadline a1", "1 left b1: it may still run"]
    );
}

#[test]
fn a_host_that_waits_to_be_tried_again_at_the_end_keeps_its_reason() {
    let site = Site::of(&["a1"]);
    let (_held, address) = silent_address();
    site.know("gone", address.rsplit_once(':').unwrap().1.parse().unwrap());
    let ran = site.ran(
        "a1,gone",
        &["--retry", "9", "--total-deadline", "2s"],
        "true",
    );
    assert_eq!(
        rows(&ran),
        ["1 exited with 0 a1", "1 unreached gone: Connection refused"]
    );
}

#[test]
fn who_does_not_read_does_not_keep_the_run_from_its_end() {
    let site = Site::of(&["a[1-2]"]);
    // Its stdout is a pipe that nobody reads.
    let run = site
        .run("a[1-2]")
        .args(["--total-deadline", "1s", "--", "yes"]);
    let mut child = run.spawn();
    let err = child.stderr.take().unwrap();
    let said = std::io::BufReader::new(err);
    let ending = std::io::BufRead::lines(said)
        .find(|line| line.as_ref().unwrap().contains("ending what runs"));
    assert!(ending.is_some());
    let ended = eventually(|| {
        signal(&child, Signal::TERM);
        child.try_wait().unwrap()
    });
    assert!(ended.is_some());
}

#[test]
fn json_has_an_outcome_for_each_host_that_was_left() {
    let site = Site::of(&["a[1-2]"]);
    let text = format!(
        "trap '' INT TERM; echo x >>{}; while :; do sleep 0.05; done",
        site.file("begun").display()
    );
    let run = site.run("a[1-2]").args([
        "--json",
        "-f",
        "1",
        "--on-drop",
        "keep:1m",
        "--",
        "sh",
        "-c",
        &text,
    ]);
    let mut child = run.spawn();
    eventually(|| (site.text("begun").lines().count() == 1).then_some(())).unwrap();
    eventually(|| {
        signal(&child, Signal::TERM);
        child.try_wait().unwrap()
    })
    .unwrap();
    let ran = finish(child, Instant::now());
    let text = crate::site::stdout(&ran);
    let outcomes: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("\"event\":\"outcome\""))
        .collect();
    assert_eq!(outcomes.len(), 2, "{text}");
    assert!(
        text.contains("\"kind\":\"left\"") && text.contains("\"kind\":\"not-begun\""),
        "{text}"
    );
}
