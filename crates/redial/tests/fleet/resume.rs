//! Runs that are written down: taken up where they were left, run again, shown.

use std::process::Child;
use std::time::Instant;

use crate::site::{Site, rows, sorted, stdout};
use crate::support::{eventually, finish, wait};

/// A command that says on which host it ran, once for each time, and waits until it may end.
fn counting(site: &Site) -> String {
    let dir = site.dir().display();
    format!(
        "echo $REDIAL_JOB >>{dir}/ran; seq 3000; until test -e {dir}/go; do sleep 0.1; done; echo end"
    )
}

pub(crate) fn begun(site: &Site, count: usize) {
    let begun = eventually(|| (site.text("ran").lines().count() >= count).then_some(()));
    assert!(begun.is_some(), "{}", site.text("ran"));
}

pub(crate) fn kill(mut child: Child) {
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
fn a_resume_that_does_not_get_there_takes_nothing_back() {
    let mut site = Site::of(&["a1", "b1"]);
    let text = counting(&site);
    let child = site.run("a1,b1").args(["--", "sh", "-c", &text]).spawn();
    begun(&site, 2);
    kill(child);
    std::fs::write(site.file("go"), "").unwrap();
    let down = site.take(1).down();
    let ran = site.redial(&["history", "resume", "last"]).ran();
    let row = "1 unknown b1: not reached again: Connection refused";
    assert_eq!((ran.code, &*rows(&ran)[1]), (125, row));
    let shown = stdout(&site.redial(&["history", "show", "last"]).ran());
    assert!(
        shown.contains("unknown        b1: not reached again"),
        "{shown}"
    );
    // It has forgotten all of it: whether it ran, nobody knows.
    site.put(1, down.up());
    for _ in 0..2 {
        let ran = site.redial(&["history", "resume", "last"]).ran();
        assert!(
            rows(&ran)[1].starts_with("1 unknown b1: "),
            "{}",
            ran.stderr
        );
    }
    assert_eq!(site.text("ran").lines().count(), 2);
}

/// The last lines of the journal are not written, as if the client had died before.
fn forget_lines(site: &Site, of: &[&str]) {
    let runs = site.home().join(".local/state/redial/runs");
    let run = std::fs::read_dir(runs)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let journal = run.join("journal");
    let text = std::fs::read_to_string(&journal).unwrap();
    let kept = text
        .lines()
        .filter(|line| !of.iter().any(|start| line.starts_with(start)));
    let kept: Vec<&str> = kept.collect();
    std::fs::write(&journal, kept.join("\n") + "\n").unwrap();
}

#[test]
fn an_end_that_was_not_written_down_is_asked_for_again() {
    for (mode, output) in [
        ("prefix", "echo out"),
        ("quiet", "true"),
        ("group", "true"),
        ("fold", "true"),
    ] {
        let site = Site::of(&["a[1-2]"]);
        let text = format!("echo x >>{}; {output}; exit 3", site.file("ran").display());
        assert_eq!(site.ran("a[1-2]", &["--output", mode], &text).code, 3);
        forget_lines(&site, &["{\"ended\"", "{\"over\""]);
        let ran = site.redial(&["history", "resume", "last"]).ran();
        assert_eq!(
            (ran.code, rows(&ran)),
            (3, vec!["2 exited with 3 a[1-2]".to_owned()]),
            "{mode}"
        );
        assert_eq!(site.text("ran").lines().count(), 2, "{mode}");
        assert_eq!(site.redial(&["history", "resume", "last"]).ran().code, 125);
    }
}

#[test]
fn what_was_collected_and_not_shown_is_shown_by_who_takes_it_up() {
    for mode in ["group", "fold"] {
        let site = Site::of(&["a[1-4]"]);
        let text = format!("echo x >>{}; seq 30000", site.file("ran").display());
        // Nobody reads it: what has ended is not shown.
        let child = site
            .run("a[1-4]")
            .args(["--output", mode, "--", "sh", "-c", &text])
            .spawn();
        begun(&site, 4);
        let ended = || {
            let shown = site.redial(&["history", "show", "--json", "last"]).ran();
            (stdout(&shown).matches("exited with").count() == 4).then_some(())
        };
        eventually(ended).unwrap();
        kill(child);
        let ran = site.redial(&["history", "resume", "last"]).ran();
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let lines = if mode == "group" { 4 * 30_003 } else { 30_003 };
        assert_eq!(stdout(&ran).lines().count(), lines, "{mode}");
        assert_eq!(site.text("ran").lines().count(), 4);
    }
}

#[test]
fn files_of_another_run_are_gone_before_anything_is_sent() {
    let site = Site::of(&["a[1-4]"]);
    site.know("gone", 1);
    let dir = site.file("out");
    let dir = dir.to_str().unwrap();
    let old = site.ran(
        "a[1-4],gone",
        &["--output-dir", dir],
        "yes old | head -n 3000",
    );
    assert_eq!(old.code, 125);
    std::fs::write(site.file("out/gone.out"), "old").unwrap();
    // Its server answers nothing: the client dies before anything runs.
    let stopped = site.server(0).stopped();
    let new = "yes new | head -n 20";
    let run = site
        .run("a[1-4],gone")
        .args(["--output-dir", dir, "--", "sh", "-c", new]);
    let child = run.spawn();
    eventually(|| {
        (site.text("out/gone.out").is_empty() && site.text("out/a4.out").is_empty()).then_some(())
    })
    .unwrap();
    kill(child);
    drop(stopped);
    let ran = site.redial(&["history", "resume", "last"]).ran();
    assert_eq!(rows(&ran)[0], "4 exited with 0 a[1-4]");
    for host in 1..=4 {
        assert_eq!(site.text(&format!("out/a{host}.out")), "new\n".repeat(20));
    }
}

#[test]
fn hosts_that_come_up_one_after_the_other_are_all_shown_once() {
    for mode in ["fold", "group"] {
        let mut site = Site::of(&["a1", "b1", "c1"]);
        let downs = [site.take(1).down(), site.take(2).down()];
        let ran = site.ran("a1,b1,c1", &["--output", mode], "echo from $ON");
        assert_eq!(ran.code, 125);
        let mut shown = stdout(&ran);
        for (at, down) in [1, 2].into_iter().zip(downs) {
            site.put(at, down.up());
            let ran = site.redial(&["history", "resume", "last"]).ran();
            shown = match mode {
                "group" => shown + &stdout(&ran),
                _ => stdout(&ran),
            };
        }
        for host in ["a", "b", "c"] {
            let whole = format!("---------------\n{host}1\n---------------\nfrom {host}\n");
            assert_eq!(shown.matches(&whole).count(), 1, "{mode}: {shown}");
        }
    }
}
