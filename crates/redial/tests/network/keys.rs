//! Each kind of key that people have lets them in, from its file or from an agent.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use ring::signature::{Ed25519KeyPair, KeyPair};

use crate::acceptance::Caller;
use crate::lab::has;
use crate::support::network::{NetworkServer, write_private};
use crate::support::{eventually, write_program};

const PASSPHRASE: &str = "correct horse battery";
const SK: &str = "sk-ssh-ed25519@openssh.com";

/// A key of this kind in a file; the line that lets it in.
pub(crate) fn keygen(file: &Path, kind: &[&str], passphrase: &str) -> String {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-C", "a test's", "-N", passphrase, "-f"])
        .arg(file)
        .arg("-t")
        .args(kind)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    fs::read_to_string(file.with_extension("pub")).unwrap()
}

/// ssh-agent, until the test is over.
struct Agent {
    process: Child,
    socket: PathBuf,
}

impl Agent {
    fn start(dir: &Path) -> Self {
        let socket = dir.join("agent");
        let process = Command::new("ssh-agent")
            .arg("-D")
            .arg("-a")
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let answers = eventually(|| UnixStream::connect(&socket).ok());
        answers.expect("the agent listens");
        Agent { process, socket }
    }

    /// ssh-add, which asks a program for the passphrase.
    fn add(&self, file: &Path) {
        let asked = self.socket.with_file_name("askpass");
        write_program(&asked, &format!("#!/bin/sh\necho '{PASSPHRASE}'\n"));
        let added = Command::new("ssh-add")
            .arg("-q")
            .arg(file)
            .env("SSH_AUTH_SOCK", &self.socket)
            .env("SSH_ASKPASS", &asked)
            .env("SSH_ASKPASS_REQUIRE", "force")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(added.status.success(), "{added:?}");
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A server that takes one key more, and who calls it with nothing but that key.
fn called(server: &NetworkServer, line: &str, args: &[&str], agent: Option<&Path>) -> Caller {
    write_private(&server.authorized_keys(), line);
    for file in [
        server.home().join(".ssh/id_ed25519"),
        server.home().join(".ssh/id_ed25519.pub"),
    ] {
        let _ = fs::remove_file(file);
    }
    let args = args.iter().map(Into::into).collect();
    Caller::new(server, args, agent.map(Path::to_owned))
}

#[test]
fn a_key_file_lets_in_who_has_it() {
    let server = NetworkServer::start();
    Caller::new(&server, Vec::new(), None).all(200_000_000);
}

#[test]
fn an_encrypted_key_lets_in_who_has_unlocked_it_with_ssh_add() {
    let name = "an_encrypted_key_lets_in_who_has_unlocked_it_with_ssh_add";
    if !has(&["ssh-keygen", "ssh-agent", "ssh-add"], name) {
        return;
    }
    let server = NetworkServer::start();
    let file = server.home().join(".ssh/locked");
    let line = keygen(&file, &["ed25519"], PASSPHRASE);
    let agent = Agent::start(server.home());
    agent.add(&file);
    let named = ["-i", file.to_str().unwrap()];
    called(&server, &line, &named, Some(&agent.socket)).all(20_000_000);
}

#[test]
fn a_key_that_only_an_agent_has_lets_in_who_has_the_agent() {
    let name = "a_key_that_only_an_agent_has_lets_in_who_has_the_agent";
    agent_alone(name, &["ed25519"]);
}

#[test]
fn an_rsa_key_lets_in_from_its_file() {
    file_alone("an_rsa_key_lets_in_from_its_file", &["rsa", "-b", "3072"]);
}

#[test]
fn an_rsa_key_lets_in_from_an_agent() {
    agent_alone("an_rsa_key_lets_in_from_an_agent", &["rsa", "-b", "3072"]);
}

#[test]
fn an_ecdsa_key_lets_in_from_its_file() {
    file_alone("an_ecdsa_key_lets_in_from_its_file", &["ecdsa"]);
}

fn file_alone(name: &str, kind: &[&str]) {
    if !has(&["ssh-keygen"], name) {
        return;
    }
    let server = NetworkServer::start();
    let file = server.home().join(".ssh/id_own");
    let line = keygen(&file, kind, "");
    let named = ["--identity", file.to_str().unwrap()];
    called(&server, &line, &named, None).all(20_000_000);
}

fn agent_alone(name: &str, kind: &[&str]) {
    if !has(&["ssh-keygen", "ssh-agent", "ssh-add"], name) {
        return;
    }
    let server = NetworkServer::start();
    let file = server.home().join("own");
    let line = keygen(&file, kind, "");
    let agent = Agent::start(server.home());
    agent.add(&file);
    fs::remove_file(&file).unwrap();
    called(&server, &line, &[], Some(&agent.socket)).all(20_000_000);
}

#[test]
fn a_security_key_in_an_agent_lets_in_who_touches_it() {
    let server = NetworkServer::start();
    let token = Token::start(&server.home().join("token"), TOUCHED);
    called(&server, &token.line(), &[], Some(&token.socket)).all(20_000_000);
}

#[test]
fn a_security_key_that_nobody_touched_lets_nobody_in_unless_its_line_says_so() {
    let server = NetworkServer::start();
    let token = Token::start(&server.home().join("token"), 0);
    let caller = called(&server, &token.line(), &[], Some(&token.socket));
    let ran = caller.run().args(["-n", "--", "echo", "in"]).ran();
    assert_eq!((ran.code, ran.stdout.len()), (125, 0), "{}", ran.stderr);
    let said = eventually(|| server.log().contains("was not touched").then_some(()));
    assert!(said.is_some(), "{}", server.log());
    let line = format!("no-touch-required {}", token.line());
    write_private(&server.authorized_keys(), &line);
    let ran = caller.run().args(["-n", "--", "echo", "in"]).ran();
    assert_eq!(
        (ran.code, &ran.stdout[..]),
        (0, &b"in\n"[..]),
        "{}",
        ran.stderr
    );
    let line = format!("verify-required {}", token.line());
    write_private(&server.authorized_keys(), &line);
    let ran = caller.run().args(["-n", "--", "echo", "in"]).ran();
    assert_eq!((ran.code, ran.stdout.len()), (125, 0), "{}", ran.stderr);
}

/// Flag of a FIDO signature: somebody was there (OpenSSH's PROTOCOL.u2f).
const TOUCHED: u8 = 1;

/// An agent with one security key, in software.
struct Token {
    socket: PathBuf,
    blob: Vec<u8>,
}

impl Token {
    fn start(socket: &Path, flags: u8) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[5; 32]).unwrap();
        let public = pair.public_key().as_ref();
        let blob = [string(SK.as_bytes()), string(public), string(b"ssh:")].concat();
        let listener = UnixListener::bind(socket).unwrap();
        let known = blob.clone();
        // Ends with the test's process.
        std::thread::spawn(move || {
            for line in listener.incoming() {
                // Who asks may go at any time.
                let _ = answer(line.unwrap(), &known, &pair, flags);
            }
        });
        Token {
            socket: socket.to_owned(),
            blob,
        }
    }

    fn line(&self) -> String {
        format!("{SK} {} token\n", STANDARD.encode(&self.blob))
    }
}

/// One question (draft-ietf-sshm-ssh-agent).
fn answer(
    mut line: UnixStream,
    blob: &[u8],
    pair: &Ed25519KeyPair,
    flags: u8,
) -> std::io::Result<()> {
    let mut len = [0; 4];
    line.read_exact(&mut len)?;
    let mut request = vec![0; u32::from_be_bytes(len) as usize];
    line.read_exact(&mut request)?;
    let answer = if request[0] == 11 {
        [&[12, 0, 0, 0, 1][..], &string(blob), &string(b"token")].concat()
    } else {
        // Behind the kind: the key, then what is to be signed.
        let data = after_string(&request[1..]).1;
        let signature = sk_signature(pair, after_string(data).0, flags);
        [&[14][..], &string(&signature)].concat()
    };
    line.write_all(&string(&answer))
}

fn sk_signature(pair: &Ed25519KeyPair, data: &[u8], flags: u8) -> Vec<u8> {
    let seen = [flags, 0, 0, 0, 7];
    let application = digest(&SHA256, b"ssh:");
    let data = digest(&SHA256, data);
    let signed = pair.sign(&[application.as_ref(), &seen, data.as_ref()].concat());
    let parts = [string(SK.as_bytes()), string(signed.as_ref())];
    [parts.concat(), seen.to_vec()].concat()
}

/// A string of RFC 4251 section 5.
fn string(bytes: &[u8]) -> Vec<u8> {
    let len = u32::try_from(bytes.len()).unwrap();
    [&len.to_be_bytes(), bytes].concat()
}

fn after_string(bytes: &[u8]) -> (&[u8], &[u8]) {
    let len = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
    bytes[4..].split_at(len)
}
