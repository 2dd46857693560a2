//! Hosts that dial out: the real program, through a real nats-server.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

#[path = "../support/mod.rs"]
mod support;

mod accounts;
mod cluster;
mod ear;
mod evil;
mod fleet;
mod hostile;
mod jobs;
mod slow;
mod words;

use std::fs;
use std::io::Read;

use ear::eavesdrop;
use rustix::process::{Pid, Signal, kill_process};
use support::nats::{Broker, Host};
use support::network::Home;
use support::{PATIENCE, eventually};

#[test]
fn a_host_that_has_dialled_out_is_called_by_its_name() {
    let (broker, home) = (Broker::start(), Home::with_key());
    let host = Host::start(&broker, &home, "web1.example");
    let ran = host
        .run(&home)
        .args(["--", "sh", "-c", "cat; echo err >&2; exit 7"]);
    let ran = ran.input("said").ran();
    assert_eq!(
        (ran.code, &*ran.stdout),
        (7, &b"said"[..]),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.ends_with("err\n"), "{}", ran.stderr);
    // It is known by that name from now on, and by no other.
    let known = fs::read_to_string(home.path().join(".config/redial/known_hosts")).unwrap();
    assert!(
        known.starts_with("[nats:web1.example]:7334 ssh-ed25519 "),
        "{known}"
    );
    let again = broker
        .redial(&home, ["run"])
        .args(["nats:web1.example", "--", "true"]);
    assert_eq!(again.ran().code, 0);
}

#[test]
fn the_last_words_of_a_command_have_arrived_when_it_returns() {
    let (broker, home) = (Broker::start(), Home::with_key());
    let host = Host::start(&broker, &home, "web1");
    for _ in 0..5 {
        assert_eq!(host.run(&home).args(["--", "true"]).ran().code, 0);
        let jobs = broker.redial(&home, ["ps", "nats:web1", "--json"]).ran();
        assert_eq!((jobs.code, &*jobs.stdout), (0, &b""[..]), "{jobs:?}");
    }
}

#[test]
fn who_has_no_key_of_the_hosts_gets_in_no_more_than_over_tcp() {
    let (broker, home) = (Broker::start(), Home::with_key());
    let host = Host::start(&broker, &home, "web1");
    let stranger = Home::with_key();
    let ran = host.run(&stranger).args(["--", "true"]).ran();
    assert_eq!(ran.code, 125);
    assert!(ran.stderr.contains("not taken"), "{}", ran.stderr);
    // It pays for that itself: others are let in.
    for _ in 0..5 {
        assert_eq!(host.run(&stranger).args(["--", "true"]).ran().code, 125);
    }
    assert_eq!(host.run(&home).args(["--", "true"]).ran().code, 0);
}

#[test]
fn a_key_for_certain_addresses_does_not_get_in_where_no_address_is_known() {
    let (broker, home) = (Broker::start(), Home::with_key());
    let host = Host::start(&broker, &home, "web1");
    assert_eq!(host.run(&home).args(["--", "true"]).ran().code, 0);
    host.allows(&home, "from=\"127.0.0.1,10.0.0.0/8\"");
    assert_eq!(host.run(&home).args(["--", "true"]).ran().code, 125);
}

#[test]
fn a_broker_that_is_killed_under_load_loses_nothing_and_repeats_nothing() {
    let (mut broker, home) = (Broker::start(), Home::with_key());
    // A name, which its agent has to look up again, shut in as it is.
    let url = broker.url().replace("127.0.0.1", "localhost");
    let host = Host::begin(&[], &url, &home, "web1", &[]);
    host.is_there();
    assert!(
        host.log().contains("the agent is kept from "),
        "{}",
        host.log()
    );
    let ran_there = host.dir().join("ran");
    // Once more each time that it runs; 12 MB with a pause in the middle until the broker is gone.
    let script = format!(
        "echo run >> {0}; seq 400000; until [ -e {0}.go ]; do sleep 0.05; done; seq 900000 -1 1",
        ran_there.display()
    );
    let mut child = host
        .run(&home)
        .args(["--redial", "60s", "--", "sh", "-c", &script])
        .begun();
    let mut stdout = child.stdout.take().unwrap();
    let reading = std::thread::spawn(move || {
        let mut all = Vec::new();
        stdout.read_to_end(&mut all).unwrap();
        all
    });
    eventually(|| ran_there.exists().then_some(())).unwrap();
    broker.dies_and_another_takes_its_place();
    fs::write(ran_there.with_extension("go"), "").unwrap();
    broker.dies_and_another_takes_its_place();
    let ended = child.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(0), "{words}\n{}", host.log());
    let numbers = (1..=400_000).chain((1..=900_000).rev());
    let expected: Vec<u8> = numbers
        .flat_map(|it: u32| format!("{it}\n").into_bytes())
        .collect();
    assert!(reading.join().unwrap() == expected, "{words}");
    assert_eq!(fs::read_to_string(&ran_there).unwrap(), "run\n");
}

#[test]
fn an_agent_that_is_killed_is_replaced_and_its_lines_go_on() {
    let (broker, home) = (Broker::start(), Home::with_key());
    let host = Host::start(&broker, &home, "web1");
    let started = host.dir().join("started");
    let script = format!(
        "touch {0}; until [ -e {0}.go ]; do sleep 0.05; done; echo done",
        started.display()
    );
    let child = host
        .run(&home)
        .args(["--redial", "60s", "--", "sh", "-c", &script])
        .begun();
    eventually(|| started.exists().then_some(())).unwrap();
    let agent = host.agent();
    let limits = fs::read_to_string(format!("/proc/{agent}/limits")).unwrap();
    let memory = limits
        .lines()
        .find(|line| line.starts_with("Max data size"))
        .unwrap();
    assert!(memory.contains(" 1073741824 "), "{memory}");
    kill_process(Pid::from_raw(agent.cast_signed()).unwrap(), Signal::KILL).unwrap();
    eventually(|| (host.agent() != agent).then_some(())).unwrap();
    fs::write(started.with_extension("go"), "").unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(
        ended.stdout,
        b"done\n",
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
}

#[test]
fn many_hosts_of_a_cluster_are_run_on_as_any_others() {
    let (broker, home) = (Broker::start(), Home::with_key());
    let hosts = ["web1", "web2", "web3"].map(|name| Host::start(&broker, &home, name));
    let fleet = broker.redial(&home, ["run", "--accept-new", "-q"]);
    let ran = fleet
        .args(["-w", "nats:web[1-4]", "--", "echo", "hi"])
        .ran();
    assert_eq!(ran.code, 125, "{}", ran.stderr);
    let mut lines: Vec<&str> = std::str::from_utf8(&ran.stdout).unwrap().lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["nats:web1: hi", "nats:web2: hi", "nats:web3: hi"]);
    drop(hosts);
}

#[test]
fn the_broker_sees_no_byte_of_what_is_said() {
    let (broker, home) = (Broker::start(), Home::with_key());
    let host = Host::start(&broker, &home, "web1");
    let ear = eavesdrop(&broker);
    let secret = "the-secret-that-nobody-else-may-see";
    let ran = host
        .run(&home)
        .args(["--", "sh", "-c", "cat; echo $0", secret]);
    let ran = ran.input(secret.repeat(1_000)).ran();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let heard = ear.stop();
    // It has heard the line, and not the words.
    assert!(heard.len() > 2 * secret.len() * 1_000, "{}", heard.len());
    let contains = |text: &[u8]| heard.windows(text.len()).any(|part| part == text);
    assert!(contains(b"redial.line.web1."));
    assert!(!contains(secret.as_bytes()));
    assert!(PATIENCE > ran.took);
}

#[test]
fn hosts_are_chosen_by_what_they_say_of_themselves() {
    let (broker, home) = (Broker::start(), Home::with_key());
    let with = |name, tag| Host::with(&broker, &home, name, &["--tag", tag]);
    let hosts = [
        with("web1", "role=web"),
        with("web2", "role=web"),
        with("db1", "role=db"),
    ];
    let run = |args: &[&str]| {
        let run = broker.redial(&home, ["run", "--accept-new", "-q"]);
        let ran = run.args(args).args(["--", "echo", "hi"]).ran();
        let mut lines: Vec<String> = String::from_utf8(ran.stdout)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect();
        lines.sort_unstable();
        (ran.code, lines.join("; "), ran.stderr)
    };
    let (code, said, words) = run(&["nats:@role=web"]);
    assert_eq!(
        (code, &*said),
        (0, "nats:web1: hi; nats:web2: hi"),
        "{words}"
    );
    let (code, said, words) = run(&["-w", "nats:@*", "-x", "nats:@role=web"]);
    assert_eq!((code, &*said), (0, "nats:db1: hi"), "{words}");
    let (code, said, words) = run(&["nats:web[1-9]&nats:@role=web!nats:web2"]);
    assert_eq!((code, &*said), (0, "nats:web1: hi"), "{words}");
    let (code, said, words) = run(&["nats:w*,nats:db?", "-x", "nats:*2"]);
    assert_eq!(
        (code, &*said),
        (0, "nats:db1: hi; nats:web1: hi"),
        "{words}"
    );
    // Whom somebody wants to leave out is not run on because of a missing word.
    let (code, said, words) = run(&["nats:@*", "-x", "web[2,7]"]);
    assert_eq!((code, &*said), (125, ""), "{words}");
    assert!(words.contains("is written nats:web2"), "{words}");
    let (code, _, words) = run(&["nats:@role=cache"]);
    assert_eq!(code, 125);
    assert!(words.contains("no host has the tag role=cache"), "{words}");
    let expand = broker.redial(&home, ["hosts", "fold", "nats:@*"]).ran();
    assert_eq!(
        expand.stdout, b"nats:db1,nats:web[1-2]\n",
        "{}",
        expand.stderr
    );
    drop(hosts);
}

#[test]
fn who_asks_the_cluster_is_told_which_hosts_there_are() {
    let (broker, home) = (Broker::start(), Home::with_key());
    let nobody = broker.redial(&home, ["hosts", "list"]).ran();
    assert_eq!(
        (nobody.code, &*nobody.stdout),
        (0, &b""[..]),
        "{}",
        nobody.stderr
    );
    let tagged = Host::with(
        &broker,
        &home,
        "web1",
        &["--tag", "role=web", "--tag", "rack=4"],
    );
    let other = Host::start(&broker, &home, "db1.example");
    let ran = broker.redial(&home, ["hosts", "list"]).ran();
    let text = String::from_utf8(ran.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with(&format!("db1.example  {}  ", other.fingerprint())),
        "{text}"
    );
    assert!(
        lines[1].starts_with(&format!("web1         {}  ", tagged.fingerprint())),
        "{text}"
    );
    assert!(lines[1].ends_with(" rack=4 role=web"), "{text}");
    // As a set of hosts, the cluster is where the settings say.
    let set = broker.redial(&home, ["hosts", "list", "nats:@*"]).ran();
    let set = String::from_utf8(set.stdout).unwrap();
    assert!(set.contains(&tagged.fingerprint()), "{set}");
    let ran = broker
        .redial(&home, ["hosts", "list", "--json"])
        .args(["web[1-9]"])
        .ran();
    let line: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(line["target"], "nats:web1");
    assert_eq!(line["key"], tagged.fingerprint());
    assert_eq!(line["tags"]["role"], "web");
    assert_eq!(line["version"], env!("CARGO_PKG_VERSION"));
    assert!(line["up_s"].as_u64().unwrap() < 60, "{line}");
}
