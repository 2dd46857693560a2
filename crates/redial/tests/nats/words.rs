//! What is said of what is wrong.

use super::support::eventually;
use super::support::nats::{Broker, Host};
use super::support::network::{Home, write_private};

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let (broker, home) = (Broker::start(), Home::with_key());
    let nobody = broker
        .redial(&home, ["run"])
        .args(["nats:web1", "--", "true"])
        .ran();
    assert_eq!(nobody.code, 125);
    let words = "no host answers to web1; 'redial serve --nats … --name web1' has to run there";
    assert!(nobody.stderr.contains(words), "{}", nobody.stderr);
    let nowhere = home.redial(["run", "nats:web1", "--", "true"]).ran();
    assert_eq!(nowhere.code, 125);
    assert!(nowhere.stderr.contains("--nats URL"), "{}", nowhere.stderr);
    let broken = home.redial(["run", "--nats", "what is this", "nats:web1", "--", "true"]);
    let broken = broken.ran();
    assert!(
        broken.stderr.contains("is no NATS URL"),
        "{}",
        broken.stderr
    );
    let url = broker.url();
    let nameless = broker.redial(&home, ["run", "nats:", "--", "true"]).ran();
    assert!(
        nameless.stderr.contains("is written nats:NAME"),
        "{}",
        nameless.stderr
    );
    drop(broker);
    let gone = home
        .redial(["run", "--nats", &url, "nats:web1", "--", "true"])
        .ran();
    assert_eq!(gone.code, 125);
    assert!(
        gone.stderr.contains(&format!(
            "no NATS broker takes us ({}): Conn",
            url.replace("nats://", "")
        )),
        "{}",
        gone.stderr
    );
}

#[test]
fn of_two_hosts_with_one_name_neither_gets_a_command_and_both_keys_are_named() {
    let (broker, home) = (Broker::start(), Home::with_key());
    let (one, other) = (
        Host::start(&broker, &home, "web1"),
        Host::start(&broker, &home, "web1"),
    );
    let mark = one.dir().join("mark");
    let ran = one
        .run(&home)
        .args(["--redial", "0s", "--", "touch"])
        .args([&mark])
        .ran();
    assert_eq!(ran.code, 125, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("two hosts answer to web1"),
        "{}",
        ran.stderr
    );
    for host in [&one, &other] {
        assert!(ran.stderr.contains(&host.fingerprint()), "{}", ran.stderr);
    }
    assert!(!mark.exists());
    // Who looks closer, or would trust one of them, is told the same.
    for words in [&["doctor"][..], &["keys", "trust", "--accept-new"]] {
        let ran = broker.redial(&home, words).args(["nats:web1"]).ran();
        let said = String::from_utf8_lossy(&ran.stdout).into_owned() + &ran.stderr;
        assert_eq!(ran.code, 125, "{said}");
        assert!(said.contains("two hosts answer to web1"), "{said}");
    }
}

#[test]
fn a_server_does_not_start_with_what_can_never_work() {
    let home = Home::with_key();
    let at = |name: &str| home.path().join(name).display().to_string();
    write_private(&home.path().join("junk"), "nothing");
    let (junk, missing) = (at("junk"), at("missing"));
    let url = "nats://127.0.0.1:1";
    for (flags, words) in [
        (
            &["--nats", url, "--nats-nkey", &junk][..],
            "neither the seed of an NKEY",
        ),
        (&["--nats", url, "--nats-nkey", &missing], "No such file"),
        (&["--nats", url, "--nats-creds", &junk], "JWT"),
        (
            &["--nats", url, "--nats-ca", &junk],
            "no certificate in PEM",
        ),
        (&["--nats", "what is this"], "is no NATS URL"),
        (&["--nats", "nats://"], "is no NATS URL"),
        (
            &["--nats", url, "--tag", "a=1", "--tag", "a=2"],
            "a tag has one value",
        ),
        (
            &["--nats", url, "--tag", "role=web server"],
            "without blanks",
        ),
        (
            &["--nats", url, "--name", "two words"],
            "may not stand in a host's name",
        ),
    ] {
        let ran = home.redial(["serve"]).args(flags);
        let ran = ran.env("XDG_RUNTIME_DIR", home.path()).ran();
        assert_eq!(ran.code, 125, "{flags:?}: {}", ran.stderr);
        // Once, and before anything is done.
        assert_eq!(
            ran.stderr.matches(words).count(),
            1,
            "{flags:?}: {}",
            ran.stderr
        );
        let ours = ran
            .stderr
            .lines()
            .filter(|line| line.starts_with("redial:"));
        assert_eq!(ours.count(), 1, "{}", ran.stderr);
        assert!(!ran.stderr.contains("INFO"), "{}", ran.stderr);
    }
}

#[test]
fn the_log_says_once_why_no_broker_takes_the_host_and_where_they_are() {
    let home = Home::with_key();
    let users = "authorization { user: ada, password: \"se/cret\" }";
    let broker = Broker::with("127.0.0.1:-1", users, &[]);
    let host = Host::begin(&[], &broker.url(), &home, "web1", &[]);
    let why = || host.log().matches("no NATS broker takes us").count();
    eventually(|| (why() > 0).then_some(())).unwrap();
    // It has tried again since.
    eventually(|| (broker.log().matches("authentication error").count() > 3).then_some(()))
        .unwrap();
    let log = host.log();
    assert_eq!(why(), 1, "{log}");
    let place = broker.url().replace("nats://", "");
    assert!(log.contains(&place), "{log}");
    assert!(!log.contains("called through NATS"), "{log}");
    // With the password in the URL it gets in, and that is said nowhere.
    let known = broker.url().replace("://", "://ada:se%2Fcret@");
    let other = Host::begin(&[], &known, &home, "web2", &[]);
    other.is_there();
    assert!(!other.log().contains("cret"), "{}", other.log());
}
