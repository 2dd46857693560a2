//! openssl(1) as a peer: another implementation, with certificates and older versions.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use redial_net::proto::{Config, Connection, Time};
use redial_net::tls::{Decision, HostKey, KeyAlgorithm, TlsClient, TlsError};
use redial_net::{Transport, drive};

use crate::sides::{Asking, Serving, pattern};
use crate::support::{Key, server, soon, trusting};

/// True if the program is there; else says that the test is skipped.
fn can_use(program: &str, test: &str) -> bool {
    let mut probe = Command::new(program);
    probe
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if probe.arg("version").status().is_ok() {
        return true;
    }
    let line = format!("{test}: no {program} here");
    eprintln!("skipped: {line}");
    if let Some(file) = std::env::var_os("REDIAL_SKIPS") {
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(file)
            .unwrap();
        writeln!(file, "{line}").unwrap();
    }
    false
}

fn run(program: &str, arguments: &[&str], directory: &Path) -> Vec<u8> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(directory)
        .stderr(Stdio::null());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}");
    output.stdout
}

/// Ends with the test.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn openssl_as_a_client_is_refused_at_the_hello() {
    if !can_use("openssl", "openssl_as_a_client_is_refused_at_the_hello") {
        return;
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap().to_string();
    for version in ["-tls1_3", "-tls1_2"] {
        let mut openssl = Command::new("openssl");
        openssl.args(["s_client", "-connect", &at, "-alpn", "redial/1", version]);
        openssl
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let _peer = Peer(openssl.spawn().unwrap());
        let (line, _) = listener.accept().await.unwrap();
        let line = Transport::from_tcp(line.into_std().unwrap()).unwrap();
        let error = server(&Key::ed25519(1))
            .accept(line, soon())
            .await
            .unwrap_err();
        eprintln!("{version}: {error}");
        assert!(
            error.to_string().starts_with("TLS failed at the hello"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn openssl_as_a_server_is_refused() {
    if !can_use("openssl", "openssl_as_a_server_is_refused") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let make = "req -x509 -newkey ed25519 -nodes -subj /CN=x -keyout key.pem -out cert.pem";
    run(
        "openssl",
        &make.split(' ').collect::<Vec<_>>(),
        directory.path(),
    );
    for version in ["-tls1_3", "-tls1_2"] {
        let mut openssl = Command::new("openssl");
        openssl.args([
            "s_server",
            "-accept",
            "127.0.0.1:0",
            "-alpn",
            "redial/1",
            version,
        ]);
        openssl
            .args(["-key", "key.pem", "-cert", "cert.pem"])
            .current_dir(&directory);
        openssl
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut peer = Peer(openssl.spawn().unwrap());
        let mut lines = BufReader::new(peer.0.stdout.take().unwrap()).lines();
        // "ACCEPT 127.0.0.1:40523"
        let port = lines.find_map(|line| {
            line.unwrap()
                .strip_prefix("ACCEPT ")?
                .rsplit(':')
                .next()?
                .parse::<u16>()
                .ok()
        });
        let line = std::net::TcpStream::connect(("127.0.0.1", port.unwrap())).unwrap();
        let line = Transport::from_tcp(line).unwrap();
        let client = TlsClient::new(|key| panic!("nobody may be asked about {key:?}"));
        let error = client.connect(line, soon()).await.unwrap_err();
        eprintln!("{version}: {error}");
        assert!(
            matches!(error, TlsError::Tls { .. } | TlsError::Alert { .. }),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn host_keys_of_every_kind_serve_and_are_the_keys_that_ssh_knows() {
    let test = "host_keys_of_every_kind_serve_and_are_the_keys_that_ssh_knows";
    if !can_use("openssl", test) || !can_use("ssh-keygen", test) {
        return;
    }
    let kinds = [
        (KeyAlgorithm::Ed25519, "ed25519", ""),
        (KeyAlgorithm::EcdsaP256, "EC", "ec_paramgen_curve:P-256"),
        (KeyAlgorithm::Rsa, "RSA", "rsa_keygen_bits:2048"),
        (KeyAlgorithm::Rsa, "RSA", "rsa_keygen_bits:3072"),
    ];
    for (algorithm, name, option) in kinds {
        let directory = tempfile::tempdir().unwrap();
        let mut make = vec!["genpkey", "-algorithm", name, "-out", "key.pem"];
        if !option.is_empty() {
            make.extend(["-pkeyopt", option]);
        }
        run("openssl", &make, directory.path());
        let pkcs8 = [
            "pkcs8", "-topk8", "-nocrypt", "-in", "key.pem", "-outform", "DER",
        ];
        let key = Key::from_pkcs8(run("openssl", &pkcs8, directory.path()));
        assert_eq!(key.public.algorithm(), algorithm);
        assert_eq!(
            HostKey::from_ssh(key.public.ssh_blob()),
            Ok(key.public.clone())
        );
        serve(&key).await;
        // ssh-keygen converts what it can of PEM; Ed25519 it does not (9.2).
        if algorithm != KeyAlgorithm::Ed25519 {
            let public = ["pkey", "-in", "key.pem", "-pubout", "-out", "key.pub"];
            run("openssl", &public, directory.path());
            let ssh = run(
                "ssh-keygen",
                &["-i", "-m", "PKCS8", "-f", "key.pub"],
                directory.path(),
            );
            let line = String::from_utf8(ssh).unwrap();
            let (name, base64) = line.trim().split_once(' ').unwrap();
            assert_eq!(name, algorithm.ssh_name());
            assert_eq!(base64, base64_of(key.public.ssh_blob()));
        }
    }
}

/// A conversation with a server of this key, and none with one of another.
async fn serve(key: &std::sync::Arc<Key>) {
    let (ours, theirs) = Transport::pair().unwrap();
    let (client, server) = (trusting(&key.public), server(key));
    let (ours, theirs) = tokio::join!(client.connect(ours, soon()), server.accept(theirs, soon()));
    let (mut asking, mut serving) = (Asking::new(1000, 10), Serving::new(1000, 10));
    let (asked, served) = tokio::join!(
        drive(
            ours.unwrap(),
            Connection::client(Config::client(), Time::ZERO),
            &mut asking
        ),
        drive(
            theirs.unwrap(),
            Connection::server(Config::server([7; 16]), Time::ZERO),
            &mut serving
        )
    );
    asked.unwrap();
    served.unwrap();
    assert!(asking.output == pattern(1000));
    let (ours, theirs) = Transport::pair().unwrap();
    let client = TlsClient::new(|_| Decision::Refuse("no".into()));
    let (ours, theirs) = tokio::join!(client.connect(ours, soon()), server.accept(theirs, soon()));
    assert!(matches!(ours, Err(TlsError::Refused { .. })));
    assert!(theirs.is_err());
}

fn base64_of(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let mut group = [0; 4];
        group[1..=chunk.len()].copy_from_slice(chunk);
        let group = u32::from_be_bytes(group);
        for at in 0..4 {
            let digit = DIGITS[(group >> (18 - 6 * at)) as usize & 63];
            out.push(if at <= chunk.len() {
                digit as char
            } else {
                '='
            });
        }
    }
    out
}
