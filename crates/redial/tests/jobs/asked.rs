//! ps, wait, kill, rm: names, answers, refusals.

use crate::support::server::TestServer;
use crate::{BOTH, detached, printed, redial};

#[test]
fn a_few_letters_name_a_job_as_long_as_no_other_begins_with_them() {
    let server = TestServer::start();
    let first = detached(&server, &["-c", BOTH]);
    let (host, name) = first.rsplit_once('/').unwrap();
    assert_eq!(name.len(), 26);
    for letters in [26, 10, 1] {
        let short = format!("{host}/{}", &name[..letters]);
        assert_eq!(redial(&["wait", &short]).code, 3, "{short}");
    }
    let mut others = Vec::new();
    // Names begin with one of eight letters.
    while others.len() < 12 {
        others.push(detached(&server, &["true"]));
    }
    let same =
        |other: &&String| other.as_bytes()[host.len() + 1] == first.as_bytes()[host.len() + 1];
    if others.iter().any(|other| same(&other)) {
        let ran = redial(&["wait", &format!("{host}/{}", &name[..1])]);
        assert_eq!(ran.code, 125);
        assert!(
            ran.stderr.contains("jobs that begin with"),
            "{}",
            ran.stderr
        );
    }
    let none = redial(&["logs", &format!("{host}/zzzzz")]);
    assert_eq!(none.code, 125);
    assert!(none.stderr.contains("has no job zzzzz"), "{}", none.stderr);
}

#[test]
fn the_list_says_what_each_job_is() {
    let server = TestServer::start();
    let ended = detached(&server, &["--", "sh", "-c", "echo hi; exit 3", "a b"]);
    assert_eq!(redial(&["wait", &ended]).code, 3);
    let running = detached(&server, &["sleep", "600"]);
    let table = printed(&["ps", &server.target()]);
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| {
            line.split("  ")
                .filter(|it| !it.is_empty())
                .map(str::trim)
                .collect()
        })
        .collect();
    assert_eq!(
        rows[0],
        ["JOB", "STATE", "SINCE", "OUT/ERR", "USER", "COMMAND"]
    );
    assert_eq!(rows[1][1], "exit 3");
    assert_eq!(
        (rows[1][3], rows[1][5]),
        ("3/0", "sh -c 'echo hi; exit 3' 'a b'")
    );
    assert_eq!((rows[2][1], rows[2][5]), ("running", "sleep 600"));
    let json = printed(&["ps", "--json", &server.target()]);
    let jobs: Vec<serde_json::Value> = json
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(jobs[0]["outcome"]["code"], 3);
    assert_eq!(
        (&jobs[0]["kept"], &jobs[0]["held"]),
        (&true.into(), &false.into())
    );
    assert!(jobs[1]["pid"].as_u64().is_some() && jobs[1]["outcome"].is_null());
    assert_eq!(redial(&["rm", "-f", &running]).code, 0);
}

#[test]
fn signals_reach_a_job_that_nobody_holds() {
    let server = TestServer::start();
    let text = "trap 'echo usr1' USR1; echo up; while :; do sleep 0.05; done";
    let job = detached(&server, &["-c", text]);
    crate::until(&server, "up", |job| job["stdout"] == 3);
    assert_eq!(redial(&["kill", "-s", "USR1", &job]).code, 0);
    crate::until(&server, "signalled", |job| job["stdout"] == 8);
    assert_eq!(redial(&["kill", "--tree", "--grace", "0", &job]).code, 0);
    assert_eq!(redial(&["wait", &job]).code, 137);
    let over = redial(&["kill", &job]);
    assert_eq!(over.code, 125);
    assert!(over.stderr.contains("has ended"), "{}", over.stderr);
}

#[test]
fn an_ended_job_is_removed_and_a_running_one_only_by_force() {
    let server = TestServer::start();
    let running = detached(&server, &["sleep", "600"]);
    let refused = redial(&["rm", &running]);
    assert_eq!(refused.code, 125);
    assert!(
        refused.stderr.contains("has not ended"),
        "{}",
        refused.stderr
    );
    let json = redial(&["rm", "-f", "--json", &running]);
    let done: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((json.code, &done["done"]), (0, &true.into()));
    assert_eq!(printed(&["ps", "-q", &server.target()]), "");
    assert_eq!(redial(&["rm", &running]).code, 125);
    let left = std::fs::read_dir(server.kept()).unwrap();
    let names: Vec<_> = left.map(|it| it.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn a_job_is_forgotten_when_its_time_is_over() {
    let server = TestServer::start();
    let job = detached(&server, &["--keep", "1ms", "true"]);
    // Looked at every ten seconds.
    let gone = crate::eventually(|| {
        let listed = printed(&["ps", "-q", &server.target()]);
        listed.is_empty().then_some(())
    });
    assert!(gone.is_some());
    assert_eq!(redial(&["logs", &job]).code, 125);
}

#[test]
fn the_list_says_what_ended_a_job_and_kill_takes_what_kill_takes() {
    let server = TestServer::start();
    let late = detached(&server, &["--deadline", "0.1s", "--", "sleep", "600"]);
    let [struck, ended] = [(); 2].map(|()| detached(&server, &["--", "sleep", "600"]));
    assert_eq!(redial(&["kill", "-9", &struck]).code, 0);
    assert_eq!(redial(&["kill", "--tree", &ended]).code, 0);
    for (job, code) in [(&late, 124), (&struck, 137), (&ended, 143)] {
        assert_eq!(redial(&["wait", job]).code, code, "{job}");
    }
    let listed = printed(&["ps", &server.target()]);
    for (job, state) in [
        (&late, "signal 15 (deadline)"),
        (&struck, "signal 9"),
        (&ended, "signal 15 (cancelled)"),
    ] {
        let name = job.rsplit_once('/').unwrap().1;
        let is_it = |line: &&str| name.starts_with(line.split('+').next().unwrap());
        let line = listed.lines().find(is_it).unwrap();
        assert!(line.contains(state), "{line}");
    }
    let other = redial(&["kill", "-HUP", &late]);
    assert!(
        other.code == 125 && other.stderr.contains("-s NAME"),
        "{}",
        other.stderr
    );
}
