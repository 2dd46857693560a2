//! How hosts end, each in its own way, and what comes of it all.

use crate::site::{Site, rows, sorted, stdout};
use crate::support::silent_address;

#[test]
fn the_table_says_what_each_host_came_to_and_the_worst_is_the_exit_code() {
    let site = Site::of(&["ok[1-2]", "bad", "dies", "slow"]);
    let text = "case $ON in bad) exit 3;; dies) kill -9 $$;; slow) exec sleep 1000;; esac";
    let ran = site.ran("ok[1-2],bad,dies,slow", &["--deadline", "1s"], text);
    assert_eq!(ran.code, 137);
    let expected = [
        "2 exited with 0 ok[1-2]",
        "1 deadline slow",
        "1 exited with 3 bad",
        "1 killed by KILL dies",
    ];
    assert_eq!(rows(&ran), expected);
}

#[test]
fn a_host_that_is_not_reached_makes_it_125_and_is_named_with_the_reason() {
    let site = Site::of(&["ok"]);
    let (_held, address) = silent_address();
    let port = address.rsplit_once(':').unwrap().1.parse().unwrap();
    site.know("gone[1-2]", port);
    let ran = site.ran("ok,gone[1-2],nowhere.invalid", &[], "exit 7");
    assert_eq!(ran.code, 125);
    let expected = [
        "1 exited with 7 ok",
        "2 unreached gone[1-2]: Connection refused",
        "1 unreached nowhere.invalid: no address of that name",
    ];
    assert_eq!(rows(&ran), expected);
    assert!(
        ran.stderr.contains("redial history resume "),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_host_whose_key_has_changed_is_not_talked_to() {
    let mut site = Site::of(&["a[1-2]"]);
    assert_eq!(site.ran("a[1-2]", &[], "true").code, 0);
    std::fs::remove_file(site.server(0).host_key_file()).unwrap();
    site.begins_again(0);
    let ran = site.ran(
        "a[1-2]",
        &[],
        &format!("echo x >{}", site.file("ran").display()),
    );
    assert_eq!(rows(&ran), ["2 unreached a[1-2]: ITS KEY HAS CHANGED"]);
    assert_eq!((ran.code, &*site.text("ran")), (125, ""));
}

#[test]
fn hosts_that_are_not_known_are_not_asked_about_one_by_one() {
    let site = Site::of(&["a[1-2]"]);
    let ran = site.redial(&["run", "a[1-2]", "--", "true"]).ran();
    let row = "2 unreached a[1-2]: its key is not known (redial keys trust, or --accept-new)";
    assert_eq!((ran.code, rows(&ran)), (125, vec![row.to_owned()]));
}

#[test]
fn what_is_for_one_host_only_is_said_to_be() {
    let site = Site::of(&["a1"]);
    for (args, needle) in [
        (&["-t"][..], "a terminal is for one host"),
        (&["-x", "a*"], "no host is left"),
        (&["--pause", "1s"], "--rolling"),
        (&["--rolling", "0"], "a number of hosts"),
        (&["--output", "heap"], "prefix"),
    ] {
        let ran = site.run("a[1-1]").args(args).args(["--", "true"]).ran();
        assert_eq!(ran.code, 125, "{args:?}");
        assert!(ran.stderr.contains(needle), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn a_line_that_drops_is_dialled_again_on_each_host() {
    let mut site = Site::of(&["a[1-2]", "b"]);
    let wait = format!(
        "echo begun; until test -e {}; do sleep 0.05; done; echo $ON done",
        site.file("go").display()
    );
    let child = site.run("a[1-2],b").args(["--", "sh", "-c", &wait]).spawn();
    let begun = std::time::Instant::now();
    let mut fronts = 0;
    for at in 0..2 {
        let running = || {
            let jobs = site
                .redial(&["ps", "-q", if at == 0 { "a1" } else { "b" }])
                .ran();
            (!jobs.stdout.is_empty()).then_some(())
        };
        crate::support::eventually(running).unwrap();
        crate::support::server::kill_front(site.server(at).pid());
        fronts += 1;
    }
    assert_eq!(fronts, 2);
    std::fs::write(site.file("go"), "").unwrap();
    let ran = crate::support::finish(child, begun);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let lines = [
        "a1: a done",
        "a1: begun",
        "a2: a done",
        "a2: begun",
        "b: b done",
        "b: begun",
    ];
    assert_eq!(sorted(&stdout(&ran)), lines);
    site.ends(1);
}

#[test]
fn a_host_that_vanishes_is_unknown_and_the_others_go_on() {
    let mut site = Site::of(&["a[1-2]", "b1"]);
    let text = format!(
        "echo $ON >>{0}/begun; until test -e {0}/go; do sleep 0.05; done; echo done",
        site.dir().display()
    );
    let run = site
        .run("a[1-2],b1")
        .args(["--redial", "1s", "--", "sh", "-c", &text]);
    let child = run.spawn();
    let begun = || (site.text("begun").lines().count() == 3).then_some(());
    crate::support::eventually(begun).unwrap();
    // With its keeper and all.
    site.take(1).vanishes();
    std::fs::write(site.file("go"), "").unwrap();
    let ran = crate::support::finish(child, std::time::Instant::now());
    let rows = rows(&ran);
    assert_eq!((ran.code, &*rows[0]), (125, "2 exited with 0 a[1-2]"));
    assert!(rows[1].starts_with("1 unknown b1: "), "{rows:?}");
}

#[test]
fn a_host_that_hangs_before_it_answers_is_given_up_in_time() {
    let site = Site::of(&["a1"]);
    // It accepts, and says nothing.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    site.know("deaf", deaf.local_addr().unwrap().port());
    let ran = site.ran("a1,deaf", &["--connect-timeout", "1s"], "true");
    assert_eq!(ran.code, 125);
    assert_eq!(rows(&ran)[0], "1 exited with 0 a1");
    assert!(
        rows(&ran)[1].starts_with("1 unreached deaf: no answer"),
        "{}",
        ran.stderr
    );
}
