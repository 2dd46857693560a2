//! Runs on many hosts of a cluster.

use std::fs;
use std::os::fd::OwnedFd;

use redial_client::network::BrokerOptions;
use redial_client::network::auth::PrivateKey;
use redial_server::Serving;

use super::support::nats::{Broker, Host};
use super::support::network::Home;
use super::support::{eventually, rows, sorted, stdout, wait};
use rustix::process::{Pid, Signal, kill_process};

/// More names of a host, each with an agent of its own on a thread of this process, which ends with this.
struct Names(#[expect(dead_code, reason = "they are closed with this")] Vec<OwnedFd>);

impl Names {
    fn of(host: &Host, broker: &Broker, names: impl Iterator<Item = String>) -> Self {
        let text = fs::read_to_string(host.dir().join("host_key")).unwrap();
        let key = PrivateKey::public_key_in(&text).unwrap();
        let options = BrokerOptions {
            urls: vec![broker.url()],
            ..BrokerOptions::default()
        };
        let begin = |name: String| {
            let (their_end, ours) = rustix::pipe::pipe().unwrap();
            let serving = Serving {
                name: name.parse().unwrap(),
                key: key.blob().to_vec().into(),
                door: host.dir().join("sock.nats"),
                version: String::new(),
                tags: [("role".to_owned(), "crowd".to_owned())].into(),
            };
            let options = options.clone();
            std::thread::spawn(move || redial_server::agent(&options, serving, their_end));
            ours
        };
        Names(names.map(begin).collect())
    }
}

fn all_answer(broker: &Broker, home: &Home) {
    let count = || {
        let count = broker.redial(home, ["hosts", "count", "nats:@role=crowd"]);
        (count.ran().stdout == b"256\n").then_some(())
    };
    eventually(count).expect("all answer");
}

#[test]
fn a_client_and_a_broker_killed_in_the_middle_of_256_hosts_and_each_has_run_once() {
    let (mut broker, home) = (Broker::start(), Home::with_key());
    let flags = ["--tag", "role=crowd"];
    let host = Host::with(&broker, &home, "a1", &flags);
    let _names = Names::of(&host, &broker, (2..=256).map(|n| format!("a{n}")));
    all_answer(&broker, &home);
    let ran = host.dir().join("ran");
    // Fewer at once than one server takes strangers from one place, which all of these names are.
    let text = || fs::read_to_string(&ran).unwrap_or_default();
    let script = format!(
        "echo $REDIAL_JOB >>{0}; seq 3000; until test -e {0}.go; do sleep 0.1; done; echo end",
        ran.display()
    );
    let run = broker.redial(&home, ["run", "--accept-new", "--redial", "60s"]);
    let run = run.args([
        "-f",
        "60",
        "-b",
        "nats:@role=crowd",
        "--",
        "sh",
        "-c",
        &script,
    ]);
    let mut child = run.spawn();
    eventually(|| (text().lines().count() >= 40).then_some(())).unwrap();
    broker.dies_and_another_takes_its_place();
    eventually(|| (text().lines().count() >= 55).then_some(())).unwrap();
    child.kill().unwrap();
    wait(&mut child);
    fs::write(ran.with_extension("go"), "").unwrap();
    // All have found the other broker.
    all_answer(&broker, &home);
    let resumed = home.redial(["history", "resume", "last"]).ran();
    assert_eq!(resumed.code, 0, "{}", resumed.stderr);
    assert_eq!(rows(&resumed), ["256 exited with 0 nats:a[1-256]"]);
    let text = text();
    let mut jobs = sorted(&text);
    assert_eq!(jobs.len(), 256);
    jobs.dedup();
    assert_eq!(jobs.len(), 256, "each has run once");
    let lines: String = (1..=3000).map(|line| format!("{line}\n")).collect();
    let head = "---------------\nnats:a[1-256] (256)\n---------------\n";
    assert!(stdout(&resumed) == format!("{head}{lines}end\n"));
}

/// One whose commands know its name.
fn named(broker: &Broker, home: &Home, name: &str) -> Host {
    let host = Host::start(broker, home, name);
    host.allows(home, &format!("environment=\"ON={name}\""));
    host
}

#[test]
fn hosts_that_fail_hang_refuse_and_are_not_there_are_told_apart() {
    let (broker, home) = (Broker::start(), Home::with_key());
    let hosts = ["ok1", "ok2", "bad", "hangs", "refuses"].map(|name| named(&broker, &home, name));
    let [.., hangs, refuses] = &hosts;
    refuses.allows(&Home::with_key(), "restrict");
    let agent = Pid::from_raw(hangs.agent().cast_signed()).unwrap();
    kill_process(agent, Signal::STOP).unwrap();
    let run = broker.redial(&home, ["run", "--accept-new", "--connect-timeout", "3s"]);
    let ran = run
        .args(["nats:ok[1-2],nats:bad,nats:hangs,nats:refuses,nats:nowhere"])
        .args(["--", "sh", "-c", "test $ON != bad || exit 3; echo here"])
        .ran();
    kill_process(agent, Signal::CONT).unwrap();
    assert_eq!(ran.code, 125, "{}", ran.stderr);
    let said = stdout(&ran);
    assert_eq!(sorted(&said), ["nats:ok1: here", "nats:ok2: here"]);
    let rows = rows(&ran);
    let has = |row: &str| rows.iter().any(|it| it == row);
    assert!(has("2 exited with 0 nats:ok[1-2]"), "{rows:?}");
    assert!(has("1 exited with 3 nats:bad"), "{rows:?}");
    for (host, reason) in [
        ("hangs", "no answer within 3 s"),
        ("refuses", "login denied"),
        ("nowhere", "no host answers"),
    ] {
        let is_told = |line: &str| line.contains(&format!("nats:{host}")) && line.contains(reason);
        assert!(ran.stderr.lines().any(is_told), "{host}: {}", ran.stderr);
    }
}

#[test]
fn a_host_that_comes_is_reached_by_trying_again_and_one_that_vanishes_is_unknown() {
    let (broker, home) = (Broker::start(), Home::with_key());
    let mut vanishes = named(&broker, &home, "vanishes");
    let begun = vanishes.dir().join("begun");
    let script = format!(
        "echo $ON >>{0}; test $ON != vanishes || sleep 600; echo here",
        begun.display()
    );
    let run = broker.redial(
        &home,
        ["run", "--accept-new", "--retry", "30", "--redial", "2s"],
    );
    let run = run.args(["nats:vanishes,nats:comes", "--", "sh", "-c", &script]);
    let child = run.begun();
    let has_begun = || (fs::read_to_string(&begun).ok()? == "vanishes\n").then_some(());
    eventually(has_begun).unwrap();
    vanishes.vanishes();
    let _comes = named(&broker, &home, "comes");
    let ended = child.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(125), "{words}");
    assert_eq!(ended.stdout, b"nats:comes: here\n", "{words}");
    assert!(words.contains("unknown"), "{words}");
    assert_eq!(fs::read_to_string(&begun).unwrap(), "vanishes\ncomes\n");
}

#[test]
fn batches_follow_each_other_and_too_many_failures_begin_no_other() {
    let (broker, home) = (Broker::start(), Home::with_key());
    let host = named(&broker, &home, "a1");
    let _names = Names::of(&host, &broker, (2..=6).map(|n| format!("a{n}")));
    let log = host.dir().join("order");
    let run = |flags: &[&str], script: &str| {
        let run = broker.redial(
            &home,
            ["run", "--accept-new", "--retry", "30", "nats:a[1-6]"],
        );
        run.args(flags).args(["--", "sh", "-c", script]).ran()
    };
    let script = format!(
        "echo begin >>{0}; sleep 0.05; echo end >>{0}",
        log.display()
    );
    let ran = run(&["--rolling", "1"], &script);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(fs::read_to_string(&log).unwrap(), "begin\nend\n".repeat(6));
    let ran = run(&["--rolling", "2", "--max-fail", "1"], "exit 4");
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    let rows = rows(&ran);
    assert!(
        rows.iter().any(|row| row == "4 not begun nats:a[3-6]"),
        "{rows:?}"
    );
}
