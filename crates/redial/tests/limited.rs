//! `run --memory --cpu --pids --nice`: the kernel keeps them, or nothing runs.

mod support;

use support::server::TestServer;
use support::{Ran, skip};

/// None, and a word, where the server has no cgroup to limit jobs by; then nothing may have run.
fn limited(server: &TestServer, limits: &[&str], script: &str) -> Option<Ran> {
    let file = server.kept().with_file_name("ran");
    let script = format!("echo > {}; {script}", file.display());
    let ran = server.run().args(limits).args(["-n", "-c", &script]).ran();
    let there = std::fs::remove_file(&file).is_ok();
    if ran.stderr.contains("this server cannot limit") {
        assert_eq!((ran.code, there), (125, false), "{}", ran.stderr);
        skip(&format!(
            "{limits:?}: no controller of cgroup v2 is to be had here"
        ));
        return None;
    }
    assert!(there, "{}", ran.stderr);
    Some(ran)
}

fn text(ran: &Ran) -> String {
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

#[test]
fn a_fork_bomb_meets_its_limit_and_its_neighbours_do_not_notice() {
    let server = TestServer::start();
    let bomb = "i=0; while [ $i -lt 300 ]; do sleep 1000 & i=$((i+1)); done 2>/dev/null";
    let Some(_) = limited(&server, &["--pids", "50", "--reap", "--drain", "0"], bomb) else {
        return;
    };
    assert_eq!(
        server.run().args(["--", "echo", "here"]).ran().stdout,
        b"here\n"
    );
}

#[test]
fn who_takes_more_memory_than_it_may_is_ended_and_the_outcome_says_so() {
    let server = TestServer::start();
    let Some(ran) = limited(&server, &["--memory", "64M", "--json"], "tail /dev/zero") else {
        return;
    };
    assert_eq!(ran.code, 137, "{}", ran.stderr);
    assert!(ran.stderr.contains("out of memory"), "{}", ran.stderr);
    let last = text(&ran).lines().last().unwrap().to_owned();
    let outcome: serde_json::Value = serde_json::from_str(&last).unwrap();
    assert_eq!(
        (&outcome["cause"], &outcome["error"]),
        (&"oom".into(), &serde_json::Value::Null)
    );
    assert_eq!(server.run().args(["--", "true"]).ran().code, 0);
}

#[test]
fn cores_are_shared_out_by_the_kernel() {
    let server = TestServer::start();
    let look = "cat $(sed -n s,^0::,/sys/fs/cgroup,p /proc/self/cgroup)/cpu.max";
    if let Some(ran) = limited(&server, &["--cpu", "0.25"], look) {
        assert_eq!(text(&ran), "25000 100000\n");
    }
}

#[test]
fn niceness_needs_no_cgroup() {
    let server = TestServer::start();
    let ran = server.run().args(["--nice", "7", "--", "nice"]).ran();
    assert_eq!((ran.code, text(&ran).trim()), (0, "7"), "{}", ran.stderr);
}

#[test]
fn limits_that_are_none_are_told_at_once() {
    for (args, says) in [
        (["--memory", "0"], "without memory"),
        (["--memory", "much"], "no size"),
        (["--cpu", "0.001"], "no number of cores"),
        (["--pids", "0"], "pids"),
        (["--nice", "20"], "nice"),
        (["--nice", "-1"], "nice"),
    ] {
        let ran = support::Redial::run("local:")
            .args(args)
            .args(["--", "true"])
            .ran();
        assert_eq!(ran.code, 125, "{args:?}");
        assert!(ran.stderr.contains(says), "{}", ran.stderr);
    }
}
