//! `redial keys`: own keys, trusted hosts, and hosts that are not what they were.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::network::{Home, NetworkServer, write_private};
use support::{Ran, Redial};

const OTHER: &str = "SHA256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
/// Some Ed25519 key, whose private half nobody here has.
const STRANGER: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIHsA/wZhyKYHXXKXRjbFSSnsC4s6FDXfQTmvV3/gsBZ";

fn stdout(ran: &Ran) -> &str {
    std::str::from_utf8(&ran.stdout).unwrap()
}

/// What it says when it refuses.
fn refused(redial: Redial) -> String {
    let ran = redial.ran();
    assert_eq!(ran.code, 125, "{ran:?}");
    ran.stderr
}

/// What it says when it does as it is told.
fn done(redial: Redial) -> String {
    let ran = redial.ran();
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    stdout(&ran).to_owned()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// stdout of `ssh-keygen ARGS FILE`.
fn ssh_keygen(args: &[&str], file: &Path) -> String {
    let ran = Command::new("ssh-keygen").args(args).arg(file).output();
    let ran = ran.expect("ssh-keygen of openssh-client");
    assert!(ran.status.success(), "{ran:?}");
    String::from_utf8(ran.stdout).unwrap()
}

fn known_hosts(server: &NetworkServer) -> PathBuf {
    server.home().join(".config/redial/known_hosts")
}

/// `[127.0.0.1]:PORT`.
fn known_name(server: &NetworkServer) -> String {
    format!("[127.0.0.1]:{}", server.port())
}

fn known(server: &NetworkServer) -> String {
    fs::read_to_string(known_hosts(server)).unwrap_or_default()
}

/// The server with another key, in place of one that is trusted.
fn changed() -> NetworkServer {
    let server = NetworkServer::start();
    done(server.redial([
        "keys",
        "trust",
        &server.target(),
        "--host-key",
        server.host_key(),
    ]));
    let old = server.host_key().to_owned();
    fs::remove_file(server.host_key_file()).unwrap();
    let server = server.again();
    assert_ne!(server.host_key(), old);
    server
}

#[test]
fn a_new_key_is_its_owners_alone_and_ssh_keygen_reads_it() {
    let home = Home::empty();
    let said = done(home.redial(["keys", "new", "--no-passphrase", "--comment", "ada's own"]));
    let (private, public) = (home.key(), home.key().with_extension("pub"));
    assert_eq!(mode(&home.path().join(".ssh")), 0o700);
    assert_eq!((mode(&private), mode(&public) & !0o644), (0o600, 0));
    let line = fs::read_to_string(&public).unwrap();
    assert!(
        line.ends_with(" ada's own\n") && said.contains(line.trim()),
        "{line}{said}"
    );
    // The private file says the same as the public one.
    assert_eq!(ssh_keygen(&["-y", "-P", "", "-f"], &private), line);
    let listed = ssh_keygen(&["-l", "-f"], &private);
    let fingerprint = listed.split(' ').nth(1).unwrap();
    assert!(said.contains(fingerprint), "{said}{listed}");
    assert!(done(home.redial(["keys"])).contains(fingerprint));
}

#[test]
fn a_key_is_never_written_over() {
    for there in ["id_ed25519", "id_ed25519.pub"] {
        let home = Home::empty();
        fs::create_dir(home.path().join(".ssh")).unwrap();
        // A link into the void is something too.
        std::os::unix::fs::symlink("/nowhere/at/all", home.path().join(".ssh").join(there))
            .unwrap();
        let said = refused(home.redial(["keys", "new", "--no-passphrase"]));
        assert!(said.contains("is there already"), "{said}");
        assert_eq!(fs::read_dir(home.path().join(".ssh")).unwrap().count(), 1);
    }
    let home = Home::with_key();
    let before = fs::read(home.key()).unwrap();
    refused(home.redial(["keys", "new", "--no-passphrase"]));
    assert_eq!(fs::read(home.key()).unwrap(), before);
    let other = home.path().join("other");
    done(
        home.redial(["keys", "new", "--no-passphrase", "--file"])
            .args([&other]),
    );
    assert_ne!(fs::read(other).unwrap(), before);
}

#[test]
fn a_comment_is_one_line() {
    let home = Home::empty();
    for comment in ["a\nssh-ed25519 AAAA", "a\x1b[31m"] {
        let said = refused(home.redial(["keys", "new", "--no-passphrase", "--comment", comment]));
        assert!(
            said.contains("--comment") && !said.contains('\x1b'),
            "{said}"
        );
        assert!(!home.key().exists());
    }
}

#[test]
fn a_passphrase_is_asked_for_twice_and_ssh_keygen_knows_it() {
    let home = Home::empty();
    let mut terminal = home.redial(["keys", "new"]).on_terminal();
    terminal.sees("passphrase for the new key: ");
    terminal.types_hidden("open sesame");
    terminal.sees("the same again: ");
    terminal.types_hidden("open sesame");
    let (code, shown) = terminal.ends();
    assert!(code == 0 && shown.contains("SHA256:"), "{code}: {shown}");
    assert!(!shown.contains("sesame"), "{shown}");
    assert_eq!(mode(&home.key()), 0o600);
    let read = ssh_keygen(&["-y", "-P", "open sesame", "-f"], &home.key());
    assert_eq!(read, home.public_key());
    let wrong = Command::new("ssh-keygen")
        .args(["-y", "-P", "open", "-f"])
        .arg(home.key())
        .output();
    assert!(!wrong.unwrap().status.success());
}

#[test]
fn without_the_same_passphrase_twice_nothing_is_written() {
    for (first, second, says) in [
        ("one", "another", "that was another one"),
        ("", "", "the passphrase is empty"),
    ] {
        let home = Home::empty();
        let mut terminal = home.redial(["keys", "new"]).on_terminal();
        terminal.sees("passphrase for the new key: ");
        terminal.types_hidden(first);
        if !first.is_empty() {
            terminal.sees("the same again: ");
            terminal.types_hidden(second);
        }
        let (code, shown) = terminal.ends();
        assert!(code == 125 && shown.contains(says), "{code}: {shown}");
        assert!(!home.key().exists() && !home.path().join(".ssh").exists());
    }
}

#[test]
fn keys_alone_shows_own_keys_trusted_hosts_and_this_machines_own_key() {
    let server = NetworkServer::start();
    let shown = done(server.redial(["keys"]));
    assert_eq!(shown, done(server.redial(["keys", "show"])));
    let own = ssh_keygen(&["-l", "-f"], &server.home().join(".ssh/id_ed25519"));
    let own = own.split(' ').nth(1).unwrap();
    assert!(
        shown.contains(own) && shown.contains("Trusted hosts"),
        "{shown}"
    );
    assert!(
        shown.contains("Key of a redial server of yours on this machine:\n"),
        "{shown}"
    );
    assert!(!shown.contains(server.host_key()), "{shown}");
    // Found where a server without flags has it, and named there.
    let state = server.host_key_file().parent().unwrap().to_owned();
    let shown = done(server.redial(["keys"]).env("REDIAL_STATE_DIR", &state));
    let file = server.host_key_file().display().to_string();
    let line = shown.lines().find(|line| line.contains(server.host_key()));
    assert!(line.is_some_and(|line| line.ends_with(&file)), "{shown}");
}

#[test]
fn keys_show_makes_no_server_key_and_says_what_it_cannot_read() {
    let (home, state) = (Home::empty(), tempfile::tempdir().unwrap());
    let shown = || done(home.redial(["keys"]).env("REDIAL_STATE_DIR", state.path()));
    let first = shown();
    assert!(
        first.contains("  none; `redial keys new` makes one\n"),
        "{first}"
    );
    assert_eq!(fs::read_dir(state.path()).unwrap().count(), 0);
    fs::write(state.path().join("host_key"), "no key").unwrap();
    assert!(shown().contains("  not readable: "), "{}", shown());
}

#[test]
fn what_is_known_of_a_host_is_shown_by_any_of_its_names() {
    let server = NetworkServer::start();
    let (target, name) = (server.target(), known_name(&server));
    done(server.redial(["keys", "trust", &target, "--host-key", server.host_key()]));
    for host in [&target, &name, &format!("ada@{name}")] {
        let shown = done(server.redial(["keys", "show", host]));
        assert!(shown.contains(server.host_key()), "{host}: {shown}");
    }
    let shown = done(server.redial(["keys", "show", "127.0.0.1:1"]));
    assert!(shown.ends_with("  none\n"), "{shown}");
    let said = refused(server.redial(["keys", "show", "local:"]));
    assert!(said.contains("only hosts on the network"), "{said}");
}

#[test]
fn a_key_that_was_named_is_trusted_and_no_other() {
    let server = NetworkServer::start();
    let said = refused(server.redial(["keys", "trust", &server.target(), "--host-key", OTHER]));
    assert!(
        said.contains(server.host_key()) && said.contains(OTHER),
        "{said}"
    );
    assert_eq!(known(&server), "");
    // The name as messages have it.
    let name = known_name(&server);
    let said = done(server.redial(["keys", "trust", &name, "--host-key", server.host_key()]));
    assert!(
        said.contains("is trusted") && said.contains(server.host_key()),
        "{said}"
    );
    assert!(
        known(&server).starts_with(&format!("{name} ssh-ed25519 ")),
        "{}",
        known(&server)
    );
    let again = done(server.redial(["keys", "trust", &name]));
    assert!(
        again.contains("is known already") && again.contains("line 1"),
        "{again}"
    );
    let ran = server
        .redial(["run", &server.target(), "--", "echo", "in"])
        .ran();
    assert_eq!((ran.code, stdout(&ran)), (0, "in\n"), "{ran:?}");
}

#[test]
fn a_person_at_a_terminal_may_say_yes_or_no() {
    for (answer, trusted) in [("yes", true), ("no", false), ("y\ryes", true)] {
        let server = NetworkServer::start();
        let mut terminal = server
            .redial(["keys", "trust", &server.target()])
            .on_terminal();
        let before = terminal.sees("(yes/no) ");
        assert!(before.contains(server.host_key()), "{before}");
        terminal.types(answer);
        let (code, shown) = terminal.ends();
        assert_eq!(code, if trusted { 0 } else { 125 }, "{shown}");
        assert_eq!(!known(&server).is_empty(), trusted, "{shown}");
    }
}

#[test]
fn a_script_trusts_nobody_who_was_not_named() {
    let server = NetworkServer::start();
    let (target, key) = (server.target(), server.host_key());
    for args in [
        &["keys", "trust", &target][..],
        &["run", &target, "--", "true"],
    ] {
        let said = refused(server.redial(args).input("yes\n"));
        assert!(said.contains(key) && said.contains("--host-key"), "{said}");
    }
    assert_eq!(known(&server), "");
}

#[test]
fn forgetting_a_host_leaves_others_and_what_is_revoked() {
    let server = NetworkServer::start();
    let (name, target) = (known_name(&server), server.target());
    done(server.redial(["keys", "trust", &target, "--host-key", server.host_key()]));
    let line = known(&server);
    let rest =
        format!("# mine\n[other]:7334 {STRANGER}\n@revoked * {STRANGER}\n127.0.0.1 {STRANGER}\n");
    write_private(&known_hosts(&server), &format!("{line}{rest}"));
    let said = done(server.redial(["keys", "forget", &name]));
    assert!(said.contains("is forgotten: one key"), "{said}");
    assert_eq!(known(&server), rest);
    let said = refused(server.redial(["keys", "forget", &target]));
    assert!(said.contains("is not known"), "{said}");
    // Port 22 has a bare name in the file, which is not the usual port's.
    let said = refused(server.redial(["keys", "forget", "127.0.0.1"]));
    assert!(said.contains("that is 127.0.0.1:22"), "{said}");
    done(server.redial(["keys", "forget", "127.0.0.1:22"]));
    done(server.redial(["keys", "forget", "[other]:7334"]));
    assert_eq!(known(&server), format!("# mine\n@revoked * {STRANGER}\n"));
}

#[test]
fn a_changed_key_stops_a_script_until_the_old_one_is_forgotten() {
    let server = changed();
    let (target, key) = (server.target(), server.host_key());
    let before = known(&server);
    for args in [
        &["run", &target, "--", "true"][..],
        &["run", "--accept-new", &target, "--", "true"],
        &["run", "--host-key", key, &target, "--", "true"],
        &["keys", "trust", &target],
        &["keys", "trust", "--host-key", key, &target],
    ] {
        let said = refused(server.redial(args).input("yes\n"));
        assert!(
            said.contains(key) && said.contains("keys forget"),
            "{args:?}: {said}"
        );
        assert_eq!(known(&server), before);
    }
    // As the message has it.
    done(server.redial(["keys", "forget", &known_name(&server)]));
    let ran = server
        .redial(["run", "--accept-new", &target, "--", "true"])
        .ran();
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn a_changed_key_stops_a_person_whatever_is_answered() {
    let server = changed();
    let before = known(&server);
    for args in [
        &["run", &server.target(), "-n", "--", "true"][..],
        &["keys", "trust", &server.target()],
    ] {
        let mut terminal = server.redial(args).on_terminal();
        terminal.types("yes");
        terminal.types("yes");
        let (code, shown) = terminal.ends();
        assert_eq!(code, 125, "{shown}");
        assert!(
            shown.contains("its key has changed") && !shown.contains("yes/no"),
            "{shown}"
        );
        assert_eq!(known(&server), before);
    }
}

#[test]
fn a_revoked_key_is_refused_to_everybody() {
    let server = NetworkServer::start();
    let target = server.target();
    done(server.redial(["keys", "trust", &target, "--host-key", server.host_key()]));
    let line = known(&server);
    let key = line.split_once(' ').unwrap().1;
    write_private(&known_hosts(&server), &format!("{line}@revoked * {key}"));
    for args in [
        &["run", &target, "--", "true"][..],
        &["keys", "trust", &target, "--host-key", server.host_key()],
    ] {
        let said = refused(server.redial(args));
        assert!(said.contains("revoked"), "{said}");
    }
}
