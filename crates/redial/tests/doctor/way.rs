//! The way to a server: settings, names, ports, strangers, and who it is.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;

use crate::support::Redial;
use crate::support::network::{Home, NetworkServer, write_private};
use crate::{Found, config};

const OTHER: &str = "SHA256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn doctor(home: &Home, args: &[&str]) -> Found {
    Found::of(&home.redial(["doctor", "--json"]).args(args).ran())
}

/// A port where somebody says this, and then listens.
fn stranger(says: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for line in listener.incoming() {
            let mut line = line.unwrap();
            line.write_all(says).unwrap();
            let mut heard = [0; 4096];
            // Whoever hangs up is the next one's turn.
            while matches!(line.read(&mut heard), Ok(1..)) {}
        }
    });
    address
}

#[test]
fn settings_that_cannot_be_used_are_the_first_and_last_step() {
    let home = Home::with_key();
    doctor(&home, &["web[1-3]"]).ends_wrong_at(
        "settings",
        "that is a set of hosts, and this takes one",
        "",
    );
    doctor(&home, &["local"]).ends_wrong_at("settings", "did you mean local: ?", "");
    let ssh_config = home.path().join(".ssh/config");
    write_private(&ssh_config, "Host *\n  HostName -oProxyCommand=x\n");
    let found = doctor(&home, &["web1"]);
    found.ends_wrong_at("settings", "neither a name nor an address", "");
    assert_eq!(found.steps(), ["settings"]);
}

#[test]
fn a_name_without_an_address_is_wrong_at_resolve() {
    let home = Home::with_key();
    let found = doctor(&home, &["no-such-host.invalid"]);
    found.ends_wrong_at("resolve", "no-such-host.invalid", "is the name right?");
    assert_eq!(found.steps(), ["settings", "resolve", "key"]);
}

#[test]
fn a_port_where_nobody_listens_is_wrong_at_connect() {
    let home = Home::with_key();
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let found = doctor(&home, &[&free]);
    found.ends_wrong_at(
        "connect",
        "Connection refused",
        "is 'redial serve --listen' running",
    );
}

#[test]
fn another_server_at_the_port_is_wrong_at_tls_and_named_if_it_can_be() {
    let home = Home::with_key();
    for (says, detail) in [
        (&b"SSH-2.0-OpenSSH_9.9\r\n"[..], "SSH"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP"),
        (b"220 \x1b[31mmail.example ESMTP\r\n", ""),
        (b"", "TLS took longer than"),
    ] {
        let port = stranger(says);
        let found = doctor(&home, &["--connect-timeout", "700ms", &port]);
        found.ends_wrong_at("tls", detail, "is there a redial server at that port?");
    }
}

#[test]
fn an_unknown_host_key_is_wrong_and_nobody_is_asked() {
    let server = NetworkServer::start();
    let terminal = server.redial(["doctor", &server.target()]).on_terminal();
    let (code, shown) = terminal.ends();
    assert!(code == 125 && shown.contains("is not known"), "{shown}");
    assert!(
        !shown.contains("yes/no") && !shown.contains("login"),
        "{shown}"
    );
    let found = Found::of(&server.redial(["doctor", "--json", &server.target()]).ran());
    let advice = format!("'redial keys trust {}'", server.target());
    found.ends_wrong_at("host key", server.host_key(), &advice);
    assert!(!config(&server).exists());
}

#[test]
fn a_changed_or_other_host_key_is_wrong() {
    let server = NetworkServer::start();
    let target = server.target();
    let other = ["doctor", "--json", "--host-key", OTHER, &target];
    let found = Found::of(&server.redial(other).ran());
    found.ends_wrong_at("host key", OTHER, "this is not the server that was meant");
    let trust = ["keys", "trust", &target, "--host-key", server.host_key()];
    assert_eq!(server.redial(trust).ran().code, 0);
    fs::remove_file(server.host_key_file()).unwrap();
    let server = server.again();
    let known = fs::read(config(&server).join("redial/known_hosts")).unwrap();
    for flags in [&["--json"][..], &["--json", "--accept-new"]] {
        let found = Found::of(&server.redial(["doctor", &target]).args(flags).ran());
        found.ends_wrong_at(
            "host key",
            "known_hosts, line 1",
            "redial keys forget 127.0.0.1:",
        );
    }
    assert_eq!(
        fs::read(config(&server).join("redial/known_hosts")).unwrap(),
        known
    );
}

#[test]
fn a_line_that_carries_no_server_is_wrong_at_connect() {
    let nowhere = tempfile::tempdir().unwrap();
    let socket = format!("unix:{}/no", nowhere.path().display());
    for (target, detail) in [
        (socket.as_str(), "is 'redial serve' running there?"),
        ("exec:echo hi", "printed text before the protocol"),
        ("exec:exit 7", "exit status: 7"),
        ("exec:exec sleep 60", "no answer within 0.7 s"),
    ] {
        let args = ["doctor", "--json", "--connect-timeout", "700ms", target];
        let found = Found::of(&Redial::bare(args).ran());
        found.ends_wrong_at("connect", detail, "");
        assert_eq!(found.steps(), ["settings", "connect"]);
    }
}
