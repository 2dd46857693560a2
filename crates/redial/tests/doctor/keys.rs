//! Our own keys: none, or none that lets us in.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::examine;
use crate::support::network::NetworkServer;

fn ssh_keygen(args: &[&str], file: &Path) {
    let ran = Command::new("ssh-keygen")
        .args(args)
        .arg("-f")
        .arg(file)
        .output();
    let ran = ran.expect("ssh-keygen of openssh-client");
    assert!(ran.status.success(), "{ran:?}");
}

#[test]
fn without_any_key_that_is_what_is_wrong() {
    let server = NetworkServer::start();
    fs::remove_dir_all(server.home().join(".ssh")).unwrap();
    examine(&server).ends_wrong_at("key", "there is no key", "redial keys new");
}

#[test]
fn a_key_that_others_may_read_is_not_used_and_says_so() {
    use std::os::unix::fs::PermissionsExt;
    let server = NetworkServer::start();
    let key = server.home().join(".ssh/id_ed25519");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let args = ["doctor", "--accept-new"];
    let ran = server.redial(args).args([server.target()]).ran();
    let text = String::from_utf8(ran.stdout).unwrap();
    assert_eq!(ran.code, 125, "{text}");
    assert!(
        text.contains("\n-      key         ") && text.contains("chmod 600"),
        "{text}"
    );
    assert!(
        text.contains("\nwrong  key         there is no key"),
        "{text}"
    );
}

#[test]
fn a_key_that_is_not_listed_is_wrong_at_login() {
    let server = NetworkServer::start();
    let key = server.home().join(".ssh/id_ed25519");
    fs::remove_file(&key).unwrap();
    ssh_keygen(
        &["-q", "-t", "ed25519", "-N", "", "-C", "a \u{9b}31mb"],
        &server.home().join("k"),
    );
    fs::rename(server.home().join("k"), &key).unwrap();
    fs::rename(server.home().join("k.pub"), key.with_extension("pub")).unwrap();
    let found = examine(&server);
    found.ends_wrong_at(
        "login",
        "with none of our keys",
        "must stand in ~/.ssh/authorized_keys",
    );
    let told = found.step("key");
    let detail = told["detail"].as_str().unwrap();
    assert!(
        told["ok"].is_null() && detail.ends_with("id_ed25519 (a \\u{9b}31mb): not taken"),
        "{detail}"
    );
}

#[test]
fn a_key_with_a_passphrase_is_said_to_need_it_and_nobody_is_asked() {
    let server = NetworkServer::start();
    let key = server.home().join(".ssh/id_ed25519");
    ssh_keygen(&["-q", "-p", "-P", "", "-N", "sesame"], &key);
    let found = examine(&server);
    found.ends_wrong_at("login", "nobody is asked for a passphrase", "ssh-add /");
    let detail = found.step("key")["detail"].as_str().unwrap();
    assert!(
        detail.ends_with("the server would take it, but it needs a passphrase"),
        "{detail}"
    );
    let args = ["doctor", "--host-key", server.host_key()];
    let terminal = server.redial(args).args([server.target()]).on_terminal();
    let (code, shown) = terminal.ends();
    assert!(code == 125 && !shown.contains("passphrase of"), "{shown}");
}
