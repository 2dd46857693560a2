//! Servers where nothing is wrong.

use std::fs;
use std::process::Command;

use crate::support::network::{NetworkServer, write_private};
use crate::support::server::TestServer;
use crate::support::{Redial, private, skip};
use crate::{ALL, Found, config, examine};

#[test]
fn a_server_where_all_is_well_passes_every_step_and_nothing_is_recorded() {
    let server = NetworkServer::start();
    let found = examine(&server);
    assert_eq!(found.steps(), ALL, "{:?}", found.0);
    assert!(
        found
            .0
            .iter()
            .all(|step| step["ok"] == true && step["advice"].is_null())
    );
    for timed in [
        "resolve",
        "connect",
        "tls",
        "login",
        "clock",
        "spawn",
        "latency",
        "throughput",
    ] {
        assert!(found.step(timed)["ms"].as_f64().unwrap() >= 0.0, "{timed}");
    }
    let detail = |step: &str| found.step(step)["detail"].as_str().unwrap().to_owned();
    assert!(
        detail("host key").contains(server.host_key()),
        "{}",
        detail("host key")
    );
    assert!(detail("key").ends_with("taken"), "{}", detail("key"));
    assert!(
        detail("throughput").contains("67.1 MB read"),
        "{}",
        detail("throughput")
    );
    assert!(!config(&server).exists());
}

#[test]
fn people_get_an_aligned_line_a_step() {
    let server = NetworkServer::start();
    let args = ["doctor", "--accept-new"];
    let ran = server.redial(args).args([server.target()]).ran();
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    let text = String::from_utf8(ran.stdout).unwrap();
    for (line, step) in text.lines().zip(ALL) {
        assert!(line.starts_with(&format!("ok     {step:<10}  ")), "{line}");
    }
    assert_eq!(text.lines().count(), ALL.len(), "{text}");
    assert!(!config(&server).exists());
}

#[test]
fn a_host_that_is_known_is_told_with_file_and_line() {
    let server = NetworkServer::start();
    let target = server.target();
    let trust = ["keys", "trust", &target, "--host-key", server.host_key()];
    assert_eq!(server.redial(trust).ran().code, 0);
    let found = Found::of(&server.redial(["doctor", "--json", &target]).ran());
    let detail = found.step("host key")["detail"].as_str().unwrap();
    assert!(
        detail.ends_with("/.config/redial/known_hosts, line 1"),
        "{detail}"
    );
    assert_eq!(found.steps(), ALL);
}

#[test]
fn a_host_that_only_ssh_knows_passes_and_is_not_recorded() {
    let server = NetworkServer::start();
    let public = Command::new("ssh-keygen")
        .arg("-yf")
        .arg(server.host_key_file())
        .output();
    let public = String::from_utf8(public.unwrap().stdout).unwrap();
    write_private(
        &server.home().join(".ssh/known_hosts"),
        &format!("# x\n127.0.0.1 {public}"),
    );
    let found = Found::of(&server.redial(["doctor", "--json", &server.target()]).ran());
    assert_eq!(found.steps(), ALL);
    let detail = found.step("host key")["detail"].as_str().unwrap();
    assert!(
        detail.contains("ssh knows it: ") && detail.ends_with("line 2"),
        "{detail}"
    );
    assert!(!config(&server).exists());
}

#[test]
fn a_forced_command_is_run_once_and_nothing_is_measured() {
    let runs = tempfile::NamedTempFile::new().unwrap();
    let text = format!(
        "command=\"echo x >> {}; echo hello\"",
        runs.path().display()
    );
    let server = NetworkServer::with(&text);
    let found = examine(&server);
    assert_eq!(found.steps(), ALL);
    for step in ["clock", "spawn", "latency", "throughput"] {
        assert!(found.step(step)["ok"].is_null(), "{:?}", found.step(step));
    }
    let detail = found.step("clock")["detail"].as_str().unwrap();
    assert!(detail.contains("command="), "{detail}");
    assert_eq!(fs::read_to_string(runs.path()).unwrap(), "x\n");
}

#[test]
fn servers_without_a_network_pass_the_steps_they_have() {
    let server = TestServer::start();
    for target in [
        server.target(),
        server.bridged(),
        "local:".to_owned(),
        private(),
    ] {
        let found = Found::of(&Redial::bare(["doctor", "--json", &target]).ran());
        let mut steps = vec!["settings", "connect"];
        // How a front is shut in here is no matter of machines elsewhere.
        if !target.starts_with("exec:") {
            steps.push("front");
            let detail = found.step("front")["detail"].as_str().unwrap();
            assert!(detail.contains("new privileges"), "{detail}");
        }
        steps.extend(&ALL[7..]);
        assert_eq!(found.steps(), steps, "{target}");
        assert!(
            found.0.iter().all(|step| step["ok"] == true),
            "{:?}",
            found.0
        );
    }
}

#[test]
fn a_program_in_tcps_place_leaves_names_to_itself() {
    if Command::new("socat").arg("-V").output().is_err() {
        return skip("a_program_in_tcps_place_leaves_names_to_itself: no socat");
    }
    let server = NetworkServer::start();
    // It has its own words for a line that is hung up on.
    let command = format!("socat - TCP:127.0.0.1:{} 2>/dev/null", server.port());
    let config = format!("Host web1\n  ProxyCommand {command}\n");
    write_private(&server.home().join(".ssh/config"), &config);
    let args = ["doctor", "--json", "--host-key", server.host_key(), "web1"];
    let found = Found::of(&server.redial(args).ran());
    assert_eq!(found.steps(), ALL);
    assert!(found.step("resolve")["ok"].is_null());
    let way = found.step("settings")["detail"].as_str().unwrap();
    assert!(way.contains("web1:7334") && way.contains("socat"), "{way}");
}
