//! What the tests beside Debian's OpenSSH share: its programs, a server of the test's own, skips.

#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that fails here has failed")]

pub(crate) mod sshd;

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;

use redial_auth::{KeyError, PrivateKey, PublicKey};

/// A test that cannot run here says so, and is not counted as passed.
pub(crate) fn skip(name: &str, reason: &str) {
    eprintln!("skipped: {name}: {reason}");
    if let Some(path) = std::env::var_os("REDIAL_SKIPS") {
        let mut list = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .expect("the list of skips");
        writeln!(list, "{name}: {reason}").expect("a line in the list of skips");
    }
}

/// Whether ssh's programs are there; else says that the test `name` is skipped.
pub(crate) fn has_ssh(name: &str) -> bool {
    let there = ["ssh", "ssh-keygen"].iter().all(|program| {
        let found = Command::new("sh")
            .args(["-c", &format!("command -v {program}")])
            .stdout(Stdio::null())
            .status();
        found.is_ok_and(|status| status.success())
    });
    if !there {
        skip(name, "no openssh-client");
    }
    there
}

/// A program of ssh's, with nothing of the caller's own around it.
pub(crate) fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command
        .env_remove("SSH_AUTH_SOCK")
        .env_remove("SSH_ASKPASS")
        .env_remove("DISPLAY");
    command.stdin(Stdio::null());
    command
}

/// Runs to the end; `input` goes to stdin as far as the program reads it: ssh-keygen leaves a
/// signature that it cannot read before it has looked at the message.
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Output {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    match child.stdin.take().unwrap().write_all(input) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        written => written.unwrap(),
    }
    child.wait_with_output().unwrap()
}

/// Writes a file that only its owner may read, as ssh wants its keys.
pub(crate) fn write_private(path: &Path, text: &[u8]) {
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .unwrap();
    file.write_all(text).unwrap();
}

/// A new Ed25519 key, the same for each number; and its file.
pub(crate) fn ed25519(dir: &Path, number: u32) -> (PrivateKey, PathBuf) {
    let mut seed = [0x5e; 32];
    seed[..4].copy_from_slice(&number.to_be_bytes());
    let key = PrivateKey::ed25519(&seed, "");
    let path = dir.join(format!("ed25519-{number}"));
    write_private(&path, key.to_text().as_bytes());
    (key, path)
}

/// A key made by ssh-keygen, and its file.
pub(crate) fn keygen(dir: &Path, kind: &[&str], passphrase: &str) -> (PublicKey, PathBuf) {
    let path = dir.join(format!("keygen-{}{}", kind.join(""), passphrase.len()));
    let made = program("ssh-keygen")
        .args(["-q", "-C", "a comment", "-N", passphrase, "-f"])
        .arg(&path)
        .arg("-t")
        .args(kind)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let text = fs::read_to_string(path.with_extension("pub")).unwrap();
    (PublicKey::from_text(&text).unwrap(), path)
}

/// Does `work` for each item, a few at a time, and gives what came of each in its place.
pub(crate) fn each<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = Mutex::new(0);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                loop {
                    let at = {
                        let mut next = next.lock().unwrap();
                        *next += 1;
                        *next - 1
                    };
                    let Some(item) = items.get(at) else {
                        return;
                    };
                    let result = work(item);
                    done.lock().unwrap().push((at, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// The same for a key that we might not take.
pub(crate) fn keygen_any(dir: &Path, kind: &[&str]) -> (Result<PublicKey, KeyError>, PathBuf) {
    let path = dir.join(format!("any{}", kind.join("")));
    let made = program("ssh-keygen")
        .args(["-q", "-N", "", "-f"])
        .arg(&path)
        .arg("-t")
        .args(kind)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let text = fs::read_to_string(path.with_extension("pub")).unwrap();
    (PublicKey::from_text(&text), path)
}
