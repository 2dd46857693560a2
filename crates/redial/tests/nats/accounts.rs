//! A broker that knows its users and what each may do: the configuration of docs/nats.md.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::support::nats::{Broker, Host};
use super::support::network::Home;
use super::support::{PATIENCE, eventually};

/// The first block of the document that is a configuration.
fn documented() -> String {
    let text = include_str!("../../../../docs/nats.md");
    let (_, block) = text.split_once("```conf\n").expect("a configuration");
    block.split_once("```").unwrap().0.to_owned()
}

/// A key of ssh's, and its NKEY.
fn key(home: &Home, name: &str) -> (PathBuf, String) {
    let file = home.path().join(name);
    let new = ["keys", "new", "--no-passphrase", "--file"];
    assert_eq!(home.redial(new).args([&file]).ran().code, 0);
    let shown = home.redial(["keys", "nkey"]).args([&file]).ran();
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    // The public half says the same.
    let public = file.with_extension("pub");
    let again = home.redial(["keys", "nkey"]).args([&public]).ran();
    assert_eq!(shown.stdout, again.stdout);
    let nkey = String::from_utf8(shown.stdout).unwrap().trim().to_owned();
    assert!(nkey.starts_with('U') && nkey.len() == 56, "{nkey}");
    (file, nkey)
}

#[test]
fn each_user_of_the_documented_configuration_may_do_its_part_and_no_more() {
    let home = Home::with_key();
    let [operator, web1, stranger] = ["operator", "web1", "other"].map(|name| key(&home, name));
    let config = documented()
        .replace("UOPERATOR", &operator.1)
        .replace("UWEB1", &web1.1);
    let broker = Broker::with("127.0.0.1:-1", &config, &[]);
    let nkey = |key: &Path| key.to_str().unwrap().to_owned();
    let (operator, web1, stranger) = (nkey(&operator.0), nkey(&web1.0), nkey(&stranger.0));
    let as_web1 = ["--nats-nkey", &web1, "--tag", "role=web"];
    let host = Host::with(&broker, &home, "web1", &as_web1);
    let run = |key: &str, name: &str| {
        let run = broker.redial(&home, ["run", "--accept-new", "--nats-nkey", key]);
        run.args([&format!("nats:{name}"), "--", "echo", "here"])
            .ran()
    };
    let ran = run(&operator, "web1");
    assert_eq!(
        (ran.code, &*ran.stdout),
        (0, &b"here\n"[..]),
        "{}",
        ran.stderr
    );
    let listed = broker.redial(&home, ["hosts", "list", "--nats-nkey", &operator]);
    let listed = listed.args(["nats:@role=web"]).ran();
    assert!(
        listed.stdout.starts_with(b"web1  SHA256:"),
        "{}",
        listed.stderr
    );

    // A host runs nothing, and says so at once.
    let ran = run(&web1, "web1");
    assert_eq!(ran.code, 125);
    let words = "Permissions Violation for";
    assert!(ran.stderr.contains(words), "{}", ran.stderr);
    assert!(ran.took < Duration::from_secs(8), "{:?}", ran.took);
    // One that takes another's name is called by nobody.
    let url = broker.url();
    let other = Host::begin(&[], &url, &home, "web2", &["--nats-nkey", &web1]);
    let said = eventually(|| other.log().contains(words).then_some(()));
    said.unwrap_or_else(|| panic!("{}", other.log()));
    let ran = run(&operator, "web2");
    assert!(
        ran.stderr.contains("no host answers to web2"),
        "{}",
        ran.stderr
    );
    // Who is not known there does not get in at all.
    for key in [Some(&stranger), None] {
        let run = broker.redial(&home, ["run", "nats:web1"]);
        let run = run.args(key.map(|key| ["--nats-nkey", key]).into_iter().flatten());
        let ran = run.args(["--", "true"]).ran();
        assert_eq!(ran.code, 125);
        assert!(
            ran.stderr.contains("no NATS broker takes us"),
            "{}",
            ran.stderr
        );
        assert!(ran.took < PATIENCE);
    }
    drop(host);
}

#[test]
fn a_file_that_is_no_key_is_named_with_the_reason() {
    let (broker, home) = (Broker::start(), Home::with_key());
    let file = home.path().join("key");
    let file = file.to_str().unwrap();
    let run = || {
        let run = broker.redial(&home, ["run", "--nats-nkey", file, "nats:web1"]);
        run.args(["--", "true"]).ran()
    };
    for (text, reason) in [
        (None, "No such file"),
        (Some("SUNOSEED"), "neither the seed of an NKEY"),
        (Some("-----BEGIN RSA PRIVATE KEY-----\n"), "PEM format"),
        (Some(&*"x".repeat(70_000)), "longer than 64 KiB"),
    ] {
        if let Some(text) = text {
            std::fs::write(file, text).unwrap();
        }
        let ran = run();
        assert_eq!(ran.code, 125);
        assert!(ran.stderr.contains(reason), "{reason}: {}", ran.stderr);
        assert!(ran.stderr.contains(file), "{}", ran.stderr);
    }
}
