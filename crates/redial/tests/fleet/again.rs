//! Runs that are run again, and what of them is written down.

use crate::resume::{begun, kill};
use crate::site::{Site, rows, stdout};
use crate::support::silent_address;

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

#[test]
fn variables_are_those_of_the_time() {
    let site = Site::of(&["a[1-2]"]);
    let ran = site
        .run("a[1-2]")
        .args(["--env", "FOO", "-b", "--", "sh", "-c", "echo $FOO"]);
    assert!(stdout(&ran.env("FOO", "first").ran()).ends_with("first\n"));
    let ran = site
        .redial(&["history", "rerun", "last"])
        .env("FOO", "second")
        .ran();
    assert!(stdout(&ran).ends_with("first\n"), "{}", ran.stderr);
}

#[test]
fn jobs_that_were_left_running_are_not_advised_to_be_run_again() {
    let site = Site::of(&["a[1-2]"]);
    assert_eq!(site.ran("a[1-2]", &["--detach"], "true").code, 0);
    let ran = site.redial(&["history", "resume", "last"]).ran();
    assert_eq!(ran.code, 125);
    assert!(
        ran.stderr.contains("redial attach HOST/JOB"),
        "{}",
        ran.stderr
    );
}
