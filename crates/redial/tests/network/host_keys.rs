//! A server is the right one, or nothing is sent to it: fail closed at every step.

use std::fs;
use std::path::Path;

use crate::support::network::NetworkServer;
use crate::support::{Ran, Redial};

/// Tries to run something that would be seen.
fn touch(redial: Redial, canary: &Path) -> Ran {
    redial.args(["-n", "--", "touch"]).args([canary]).ran()
}

fn stopped(ran: &Ran, needle: &str, canary: &Path, server: &NetworkServer) {
    assert_eq!((ran.code, ran.stdout.len()), (125, 0), "{}", ran.stderr);
    assert!(ran.stderr.starts_with("redial: "), "{}", ran.stderr);
    assert!(ran.stderr.contains(needle), "{needle}: {}", ran.stderr);
    assert!(!canary.exists(), "it was run: {}", ran.stderr);
    assert!(!server.log().contains(" login "), "{}", server.log());
}

#[test]
fn a_script_trusts_nobody_on_first_use() {
    let server = NetworkServer::start();
    let canary = server.home().join("canary");
    let ran = touch(server.redial(["run", &server.target()]), &canary);
    stopped(&ran, server.host_key(), &canary, &server);
    assert!(!server.home().join(".config/redial/known_hosts").exists());
}

#[test]
fn a_host_with_another_key_than_the_one_given_is_left() {
    let server = NetworkServer::start();
    let canary = server.home().join("canary");
    let other = format!("SHA256:{}", "A".repeat(43));
    let redial = server.redial(["run", &server.target(), "--host-key", &other]);
    stopped(&touch(redial, &canary), server.host_key(), &canary, &server);
}

#[test]
fn a_changed_key_is_a_hard_stop_whatever_is_asked_for() {
    let server = NetworkServer::start();
    let canary = server.home().join("canary");
    let accepted = server.redial(["run", &server.target(), "--accept-new", "-n", "--", "true"]);
    assert_eq!(accepted.ran().code, 0);
    let known = server.home().join(".config/redial/known_hosts");
    let before = fs::read_to_string(&known).unwrap();
    let old = server.host_key().to_owned();
    fs::remove_file(server.host_key_file()).unwrap();
    let server = server.again();
    assert_ne!(server.host_key(), old);
    for more in [&[][..], &["--accept-new"]] {
        let redial = server.redial(["run", &server.target()]).args(more);
        stopped(&touch(redial, &canary), server.host_key(), &canary, &server);
    }
    assert_eq!(fs::read_to_string(&known).unwrap(), before);
}
