//! Runs that are written down: taken up where they were left, run again, shown.

use std::process::Child;
use std::time::Instant;

use crate::site::{Site, rows, sorted, stdout};
use crate::support::{eventually, finish, silent_address, wait};

/// A command that says on which host it ran, once for each time, and waits until it may end.
fn counting(site: &Site) -> String {
    let dir = site.dir().display();
    format!(
        "echo $REDIAL_JOB >>{dir}/ran; seq 3000; until test -e {dir}/go; do sleep 0.1; done; echo end"
    )
}

fn begun(site: &Site, count: usize) {
    let begun = eventually(|| (site.text("ran").lines().count() >= count).then_some(()));
    assert!(begun.is_some(), "{}", site.text("ran"));
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    wait(&mut child);
}

/// Each job ran once.
fn ran_once(site: &Site, hosts: usize) {
    let ran = site.text("ran");
    let mut jobs = sorted(&ran);
    assert_eq!(jobs.len(), hosts);
    jobs.dedup();
    assert_eq!(jobs.len(), hosts);
}

#[test]
fn a_client_killed_in_the_middle_of_256_hosts_is_taken_up_and_each_has_run_once() {
    let site = Site::of(&["a[1-64]", "b[1-64]", "c[1-64]", "d[1-64]"]);
    let text = counting(&site);
    let set = "a[1-64],b[1-64],c[1-64],d[1-64]";
    let run = site
        .run(set)
        .args(["-f", "150", "--retry", "9", "-b", "--", "sh", "-c", &text]);
    let child = run.spawn();
    begun(&site, 100);
    kill(child);
    std::fs::write(site.file("go"), "").unwrap();
    let ran = site.redial(&["history", "resume", "last"]).ran();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(
        rows(&ran),
        ["256 exited with 0 a[1-64],b[1-64],c[1-64],d[1-64]"]
    );
    ran_once(&site, 256);
    // All bytes, whoever received them: before the death, or after it.
    let lines: String = (1..=3000).map(|line| format!("{line}\n")).collect();
    let whole = format!("---------------\n{set} (256)\n---------------\n{lines}end\n");
    assert!(stdout(&ran) == whole);
    let again = site.redial(&["history", "resume", "last"]).ran();
    assert_eq!(again.code, 125);
    assert!(
        again.stderr.contains("has ended on every host"),
        "{}",
        again.stderr
    );
}

#[test]
fn hosts_that_have_ended_are_not_run_again_and_ends_meanwhile_are_told() {
    let site = Site::of(&["ok[1-2]", "bad", "slow[1-2]"]);
    let dir = site.dir().display();
    let text = format!(
        "echo $ON >>{dir}/ran; case $ON in bad) exit 3;; slow) until test -e {dir}/go; do sleep 0.1; done; exit 4;; esac"
    );
    let child = site
        .run("ok[1-2],bad,slow[1-2]")
        .args(["--", "sh", "-c", &text])
        .spawn();
    begun(&site, 5);
    let ended = || {
        let shown = site.redial(&["history", "show", "--json", "last"]).ran();
        (stdout(&shown).matches("exited with").count() == 3).then_some(())
    };
    eventually(ended).unwrap();
    kill(child);
    let listed = site.redial(&["history", "list"]).ran();
    assert!(
        stdout(&listed).contains("broken off"),
        "{}",
        stdout(&listed)
    );
    std::fs::write(site.file("go"), "").unwrap();
    // They end while nobody is there.
    let idle = || {
        let jobs = site.redial(&["ps", "slow1"]).ran();
        (!stdout(&jobs).contains("running")).then_some(())
    };
    eventually(idle).unwrap();
    let ran = site.redial(&["history", "resume", "last"]).ran();
    let expected = [
        "2 exited with 0 ok[1-2]",
        "1 exited with 3 bad",
        "2 exited with 4 slow[1-2]",
    ];
    assert_eq!(
        (ran.code, rows(&ran)),
        (4, expected.map(str::to_owned).to_vec())
    );
    assert_eq!(site.text("ran").lines().count(), 5);
}

#[test]
fn what_nobody_knows_any_more_is_called_unknown_and_not_run_again() {
    let mut site = Site::of(&["a1", "b1"]);
    let text = counting(&site);
    let child = site.run("a1,b1").args(["--", "sh", "-c", &text]).spawn();
    begun(&site, 2);
    kill(child);
    // Its server ends with all it knew.
    site.begins_again(1);
    std::fs::write(site.file("go"), "").unwrap();
    let ran = site.redial(&["history", "resume", "last"]).ran();
    assert_eq!(ran.code, 125);
    let rows = rows(&ran);
    assert_eq!(rows[0], "1 exited with 0 a1");
    assert!(rows[1].starts_with("1 unknown b1: "), "{rows:?}");
    assert_eq!(site.text("ran").lines().count(), 2);
}

#[test]
fn hosts_that_were_not_reached_are_reached_by_resume() {
    let mut site = Site::of(&["a1", "b1"]);
    let down = site.take(1).down();
    let count = format!("echo $ON >>{}", site.file("ran").display());
    let ran = site.ran("a1,b1", &[], &count);
    assert_eq!((ran.code, &*site.text("ran")), (125, "a\n"));
    site.put(1, down.up());
    let ran = site.redial(&["history", "resume", "last"]).ran();
    assert_eq!(
        (ran.code, rows(&ran)),
        (0, vec!["2 exited with 0 a1,b1".to_owned()])
    );
    assert_eq!(sorted(&site.text("ran")), ["a", "b"]);
}

#[test]
fn a_run_is_run_again_on_all_hosts_or_on_those_that_failed_or_were_not_done() {
    let site = Site::of(&["ok[1-2]", "bad"]);
    let (_held, address) = silent_address();
    site.know("gone", address.rsplit_once(':').unwrap().1.parse().unwrap());
    let text = format!("echo $ON >>{}; test $ON = ok", site.file("ran").display());
    assert_eq!(site.ran("ok[1-2],bad,gone", &[], &text).code, 125);
    let first = stdout(&site.redial(&["history", "list", "--json"]).ran());
    let first: serde_json::Value = serde_json::from_str(first.trim()).unwrap();
    let id = first["run"].as_str().unwrap();
    assert_eq!(
        (
            first["states"]["done"].as_u64(),
            first["states"]["unreached"].as_u64()
        ),
        (Some(2), Some(1))
    );
    for (flags, expected) in [
        (&["--failed"][..], &["1 exited with 1 bad"][..]),
        (&["--not-done"], &["1 unreached gone: Connection refused"]),
        (
            &["--failed", "--not-done"],
            &[
                "1 exited with 1 bad",
                "1 unreached gone: Connection refused",
            ],
        ),
        (
            &[],
            &[
                "2 exited with 0 ok[1-2]",
                "1 exited with 1 bad",
                "1 unreached gone: Connection refused",
            ],
        ),
    ] {
        let args = [&["history", "rerun"], flags, &[id]].concat();
        assert_eq!(rows(&site.redial(&args).ran()), expected, "{flags:?}");
    }
    let runs = stdout(&site.redial(&["history", "list"]).ran());
    assert_eq!(runs.lines().count(), 5);
}

#[test]
fn a_run_that_goes_on_is_shown_and_not_taken_from_its_client() {
    let site = Site::of(&["a[1-2]"]);
    let text = counting(&site);
    let child = site.run("a[1-2]").args(["--", "sh", "-c", &text]).spawn();
    begun(&site, 2);
    let ran = site.redial(&["history", "resume", "last"]).ran();
    assert_eq!(ran.code, 125);
    assert!(
        ran.stderr.contains("goes on in another process"),
        "{}",
        ran.stderr
    );
    let shown = stdout(&site.redial(&["history", "show", "last"]).ran());
    assert!(
        shown.contains("state    goes on in another process"),
        "{shown}"
    );
    assert!(
        shown.contains("sent, and not heard of since  a[1-2]"),
        "{shown}"
    );
    std::fs::write(site.file("go"), "").unwrap();
    assert_eq!(finish(child, Instant::now()).code, 0);
    let shown = stdout(&site.redial(&["history", "show", "last"]).ran());
    assert!(
        shown.contains("ended with exit code 0") && shown.contains("2  exited with 0  a[1-2]"),
        "{shown}"
    );
}

#[test]
fn stdin_and_settings_of_the_time_are_those_of_a_run_that_is_taken_up() {
    let site = Site::of(&["a[1-2]"]);
    let dir = site.dir().display().to_string();
    let text = format!("cat >{dir}/$REDIAL_JOB.in; echo x >>{dir}/ran; exec sleep 1000");
    let run = site
        .run("a[1-2]")
        .args(["-f", "1", "--stdin-all", "--", "sh", "-c", &text]);
    let child = run.env("REDIAL_DEADLINE", "2s").input("for all\n").begun();
    begun(&site, 1);
    kill(child);
    let ran = site.redial(&["history", "resume", "last"]).ran();
    assert_eq!(
        (ran.code, rows(&ran)),
        (124, vec!["2 deadline a[1-2]".to_owned()])
    );
    let inputs = std::fs::read_dir(site.dir()).unwrap().flatten();
    let inputs = inputs.filter(|entry| entry.path().extension().is_some_and(|it| it == "in"));
    let inputs: Vec<String> = inputs
        .map(|entry| std::fs::read_to_string(entry.path()).unwrap())
        .collect();
    assert_eq!(inputs, ["for all\n", "for all\n"]);
}

#[test]
fn a_run_that_cannot_be_written_down_runs_all_the_same() {
    let site = Site::of(&["a1"]);
    std::fs::write(site.home().join(".local"), "in the way").unwrap();
    let ran = site.ran("a[1-1]", &["-b"], "echo x");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("there will be no history of this run"),
        "{}",
        ran.stderr
    );
    assert!(stdout(&ran).ends_with("x\n"));
}
