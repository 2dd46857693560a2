//! Keys in files: kinds, permissions, public halves, who names them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command as Process, Stdio};

use redial_net::auth::PublicKey;

use super::home::{Home, key, with};
use super::{Server, refused};

/// A test that cannot run here says so, and is not counted as passed.
pub(super) fn has(program: &str, name: &str) -> bool {
    let found = Process::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .stdout(Stdio::null())
        .status();
    let there = found.is_ok_and(|status| status.success());
    if !there {
        eprintln!("skipped: {name}: no {program}");
        if let Some(path) = std::env::var_os("REDIAL_SKIPS") {
            let mut options = fs::OpenOptions::new();
            let list = options.append(true).create(true).open(path).unwrap();
            std::io::Write::write_fmt(&mut &list, format_args!("{name}: no {program}\n")).unwrap();
        }
    }
    there
}

/// A key made by ssh-keygen in `.ssh`.
pub(super) fn keygen(home: &Home, name: &str, kind: &[&str]) -> PublicKey {
    let path = home.path(&format!(".ssh/{name}"));
    let made = Process::new("ssh-keygen")
        .args(["-q", "-N", "", "-C", "made", "-f"])
        .arg(&path)
        .arg("-t")
        .args(kind)
        .stdin(Stdio::null())
        .status();
    assert!(made.unwrap().success());
    let text = fs::read_to_string(path.with_extension("pub")).unwrap();
    PublicKey::from_text(&text).unwrap()
}

#[tokio::test]
async fn keys_of_every_kind_that_ssh_keygen_makes_let_us_in() {
    if !has(
        "ssh-keygen",
        "keys_of_every_kind_that_ssh_keygen_makes_let_us_in",
    ) {
        return;
    }
    for (at, kind) in [
        &["ed25519"][..],
        &["rsa", "-b", "2048"],
        &["ecdsa", "-b", "256"],
        &["ecdsa", "-b", "384"],
        &["ecdsa", "-b", "521"],
    ]
    .into_iter()
    .enumerate()
    {
        let home = Home::new();
        let name = format!("k{at}");
        let key = keygen(&home, &name, kind);
        let server = Server::start(vec![key]).await;
        home.know(&server);
        let network = home.network().identity(home.path(&format!(".ssh/{name}")));
        server.connect(with(network)).await.unwrap();
    }
}

#[tokio::test]
async fn a_key_that_others_may_read_is_not_used() {
    let home = Home::new();
    let key = home.write_key("id_ed25519", 1);
    let path = home.path(".ssh/id_ed25519");
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    let server = Server::start(vec![key]).await;
    home.know(&server);
    let text = refused(&server, home.options()).await;
    assert!(text.contains(path.to_str().unwrap()), "{text}");
    assert!(
        text.contains("mode 0640") && text.contains("chmod 600"),
        "{text}"
    );
    fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
    server.connect(home.options()).await.unwrap();
}

#[tokio::test]
async fn what_is_named_explicitly_is_tried_and_nothing_of_the_usual() {
    let home = Home::new();
    home.write_key("id_ed25519", 1);
    let named = home.write_key("mine", 2);
    let server = Server::start(vec![named.clone()]).await;
    home.know(&server);
    let network = home.network().identity(home.path(".ssh/mine"));
    server.connect(with(network.clone())).await.unwrap();
    assert_eq!(
        server.seen(),
        [format!("ada proves {}", named.fingerprint())]
    );
    let missing = network.identity(home.path(".ssh/missing"));
    server.connect(with(missing)).await.unwrap();
    // A name that leads nowhere is told when nothing else helps.
    let network = home.network().identity(home.path(".ssh/missing"));
    let text = refused_at_all(&server, with(network)).await;
    assert!(text.contains("missing: no such file"), "{text}");
}

async fn refused_at_all(server: &Server, options: crate::ConnectOptions) -> String {
    server
        .connect(options)
        .await
        .map(drop)
        .unwrap_err()
        .to_string()
}

#[tokio::test]
async fn redial_s_own_key_is_one_of_the_usual() {
    let home = Home::new();
    let own = key(3);
    home.write(".config/redial/id_ed25519", &own.to_text());
    let server = Server::start(vec![own.public_key().clone()]).await;
    home.know(&server);
    server.connect(home.options()).await.unwrap();
}

#[tokio::test]
async fn a_public_half_of_another_key_lets_nobody_in() {
    let home = Home::new();
    home.write_key("id_ed25519", 1);
    let other = key(2).public_key().clone();
    home.write(".ssh/id_ed25519.pub", &other.to_text());
    let server = Server::start(vec![other.clone()]).await;
    home.know(&server);
    let text = refused(&server, home.options()).await;
    assert!(text.contains("another key"), "{text}");
    // What is no public key there is passed over.
    home.write(".ssh/id_ed25519.pub", "something else\n");
    let server = Server::start(vec![key(1).public_key().clone()]).await;
    home.know(&server);
    server.connect(home.options()).await.unwrap();
}

#[tokio::test]
async fn files_that_are_no_keys_say_so() {
    let home = Home::new();
    for (name, text, needle) in [
        ("pem", "-----BEGIN RSA PRIVATE KEY-----\n", "PEM"),
        ("odd", "odd\n", "no private key"),
        ("long", &"x".repeat(100_000), "longer than"),
    ] {
        let path = home.write(&format!(".ssh/{name}"), text);
        let server = Server::start(Vec::new()).await;
        home.know(&server);
        let text = refused(&server, with(home.network().identity(path))).await;
        assert!(text.contains(needle), "{text}");
    }
}

#[tokio::test]
async fn a_public_half_alone_or_a_security_key_needs_an_agent() {
    let home = Home::new();
    home.write(".ssh/only.pub", &key(1).public_key().to_text());
    let sk = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAICFo/k5LU8863u66YC9eUO2170QduohPURkQnbLa/dczAAAABHNzaDo=";
    home.write(".ssh/sk.pub", sk);
    let server = Server::start(Vec::new()).await;
    home.know(&server);
    for (name, needle) in [
        ("only", "no agent has it"),
        ("only.pub", "no agent has it"),
        ("sk", "ssh-add it"),
    ] {
        let network = home.network().identity(home.path(&format!(".ssh/{name}")));
        let text = refused(&server, with(network)).await;
        assert!(text.contains(needle), "{text}");
    }
}
