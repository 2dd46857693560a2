//! Proofs and keys beside ssh-keygen: what it signs is taken, what is signed here it takes.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

mod support;

use std::fs;
use std::path::Path;

use redial_auth::authorized_keys::Presence;
use redial_auth::{
    NAMESPACE, PrivateKey, PrivateKeyError, ProofError, PublicKey, Statement, sign_proof,
    verify_proof,
};

const PASSPHRASE: &str = "correct horse";
const KINDS: [&[&str]; 6] = [
    &["ed25519"],
    &["ecdsa", "-b", "256"],
    &["ecdsa", "-b", "384"],
    &["ecdsa", "-b", "521"],
    &["rsa", "-b", "2048"],
    &["rsa", "-b", "4096"],
];

fn statement<'a>(key: &'a PublicKey, host_key: &'a PublicKey) -> Statement<'a> {
    Statement {
        user: "ada",
        key,
        host_key,
        nonce: &[4; 32],
        exporter: &[5; 32],
    }
}

#[test]
fn what_ssh_keygen_signs_is_a_proof() {
    if !support::has_ssh("what_ssh_keygen_signs_is_a_proof") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (host, _) = support::ed25519(dir.path(), 0);
    for (kind, passphrase) in with_passphrases() {
        let (key, file) = support::keygen(dir.path(), kind, passphrase);
        let statement = statement(&key, host.public_key());
        let message = statement.encode().unwrap();
        let signed = keygen_sign(dir.path(), &file, NAMESPACE, &message);
        let verified = verify_proof(&signed, &statement, Presence::DEFAULT);
        assert_eq!(verified, Ok(()), "{kind:?}");
        let foreign = keygen_sign(dir.path(), &file, "file", &message);
        let verified = verify_proof(&foreign, &statement, Presence::DEFAULT);
        assert_eq!(verified, Err(ProofError::Namespace), "{kind:?}");
    }
}

#[test]
fn ssh_keygen_takes_what_is_signed_here() {
    if !support::has_ssh("ssh_keygen_takes_what_is_signed_here") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (host, _) = support::ed25519(dir.path(), 0);
    for (kind, passphrase) in with_passphrases() {
        let (key, file) = support::keygen(dir.path(), kind, passphrase);
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(PrivateKey::public_key_in(&text), Ok(key.clone()));
        let private = PrivateKey::from_text(&text, Some(passphrase.as_bytes())).unwrap();
        let statement = statement(&key, host.public_key());
        let proof = sign_proof(&private, &statement).unwrap();
        let message = statement.encode().unwrap();
        assert!(keygen_takes(dir.path(), &key, &proof, &message), "{kind:?}");
        let mut other = message.clone();
        other[10] ^= 1;
        assert!(!keygen_takes(dir.path(), &key, &proof, &other), "{kind:?}");
        assert_eq!(key.fingerprint(), keygen_fingerprint(&file), "{kind:?}");
    }
}

#[test]
fn ssh_keygen_verifies_the_vectors_as_we_do() {
    if !support::has_ssh("ssh_keygen_verifies_the_vectors_as_we_do") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/proofs.txt");
    let Ok(text) = fs::read_to_string(vectors) else {
        return support::skip(
            "ssh_keygen_verifies_the_vectors_as_we_do",
            "no vectors/ here",
        );
    };
    let mut fido = 0;
    for entry in text.split("\n\n").skip(1) {
        let field = |name: &str| {
            let mut lines = entry.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        // What a token has to have seen is no affair of ssh-keygen's.
        if field("error").is_some_and(|error| ["touch", "verification"].contains(&error)) {
            continue;
        }
        let key = PublicKey::from_text(field("key").unwrap()).unwrap();
        let (proof, message) = (
            hex(field("proof").unwrap()),
            hex(field("statement").unwrap()),
        );
        // The reserved field is for others to come; ssh-keygen signs and verifies it as empty.
        let taken = keygen_takes(dir.path(), &key, &proof, &message);
        assert_eq!(taken, field("error").is_none(), "{entry}");
        fido += usize::from(key.algorithm().is_fido() && taken);
    }
    assert!(fido >= 4, "FIDO signatures are among them");
}

#[test]
fn a_key_written_here_is_read_by_ssh_keygen() {
    if !support::has_ssh("a_key_written_here_is_read_by_ssh_keygen") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let key = PrivateKey::ed25519(&[6; 32], "ada@laptop");
    let random = [3; 20];
    let encrypted = key
        .to_encrypted_text(PASSPHRASE.as_bytes(), random)
        .unwrap();
    for (name, text, passphrase) in [
        ("plain", key.to_text(), ""),
        ("encrypted", encrypted, PASSPHRASE),
    ] {
        let file = dir.path().join(name);
        support::write_private(&file, text.as_bytes());
        let shown = support::program("ssh-keygen")
            .args(["-y", "-P", passphrase, "-f"])
            .arg(&file)
            .output()
            .unwrap();
        let shown = String::from_utf8(shown.stdout).unwrap();
        assert_eq!(
            shown.trim(),
            format!("{} ada@laptop", key.public_key().to_text())
        );
    }
}

#[test]
fn a_key_that_cannot_be_had_says_why() {
    if !support::has_ssh("a_key_that_cannot_be_had_says_why") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let error = |text: &str, passphrase| {
        PrivateKey::from_text(text, passphrase)
            .map(|_| ())
            .unwrap_err()
    };
    let (_, file) = support::keygen(dir.path(), &["ed25519"], PASSPHRASE);
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(error(&text, None), PrivateKeyError::Encrypted);
    assert_eq!(error(&text, Some(b"wrong")), PrivateKeyError::Passphrase);
    assert!(PrivateKey::from_text(&text, Some(PASSPHRASE.as_bytes())).is_ok());
    let (_, file) = support::keygen(dir.path(), &["rsa", "-m", "PEM"], "");
    assert_eq!(
        error(&fs::read_to_string(file).unwrap(), None),
        PrivateKeyError::Pem
    );
    let (_, file) = support::keygen_any(dir.path(), &["rsa", "-b", "1024"]);
    let short = error(&fs::read_to_string(file).unwrap(), None);
    assert!(
        short.to_string().contains("an RSA key of 1024 bits"),
        "{short}"
    );
    assert_eq!(error("", None), PrivateKeyError::Malformed);
    assert_eq!(error(&text[..200], None), PrivateKeyError::Malformed);
}

/// Each kind of key, and one that is encrypted.
fn with_passphrases() -> Vec<(&'static [&'static str], &'static str)> {
    let plain = KINDS.into_iter().map(|kind| (kind, ""));
    plain
        .chain([(KINDS[0], PASSPHRASE), (KINDS[4], PASSPHRASE)])
        .collect()
}

/// Writes a program, by another process: what we had open for writing while another test starts something
/// would be busy for a moment (execve(2), ETXTBSY).
fn write_program(path: &Path, text: &str) {
    let write = r#"printf %s "$1" >"$0" && chmod 700 "$0""#;
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", write]).arg(path).arg(text);
    assert!(shell.status().unwrap().success());
}

/// An SSHSIG by `ssh-keygen -Y sign`, without its armour.
fn keygen_sign(dir: &Path, key: &Path, namespace: &str, message: &[u8]) -> Vec<u8> {
    let asked = dir.join("askpass");
    write_program(&asked, &format!("#!/bin/sh\necho '{PASSPHRASE}'\n"));
    let mut sign = support::program("ssh-keygen");
    sign.args(["-q", "-Y", "sign", "-n", namespace, "-f"])
        .arg(key);
    sign.env("SSH_ASKPASS", &asked)
        .env("SSH_ASKPASS_REQUIRE", "force");
    let signed = support::run(&mut sign, message);
    assert!(signed.status.success(), "{signed:?}");
    let armoured = String::from_utf8(signed.stdout).unwrap();
    let lines = armoured.lines().filter(|line| !line.starts_with("-----"));
    from_base64(&lines.collect::<String>())
}

/// Whether `ssh-keygen -Y verify` takes a signature of this key.
fn keygen_takes(dir: &Path, key: &PublicKey, proof: &[u8], message: &[u8]) -> bool {
    let allowed = dir.join("allowed_signers");
    fs::write(&allowed, format!("ada {}\n", key.to_text())).unwrap();
    let signature = dir.join("signature");
    let body = to_base64(proof);
    let lines: Vec<&str> = (0..body.len())
        .step_by(70)
        .map(|at| &body[at..body.len().min(at + 70)])
        .collect();
    let armour = |end: &str| format!("-----{end} SSH SIGNATURE-----");
    let text = format!(
        "{}\n{}\n{}\n",
        armour("BEGIN"),
        lines.join("\n"),
        armour("END")
    );
    fs::write(&signature, text).unwrap();
    let mut verify = support::program("ssh-keygen");
    verify
        .args(["-q", "-Y", "verify", "-n", NAMESPACE, "-I", "ada", "-f"])
        .arg(&allowed);
    verify.arg("-s").arg(&signature);
    support::run(&mut verify, message).status.success()
}

fn keygen_fingerprint(file: &Path) -> String {
    let shown = support::program("ssh-keygen")
        .arg("-lf")
        .arg(file)
        .output()
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    shown.split(' ').nth(1).unwrap().to_owned()
}

fn from_base64(text: &str) -> Vec<u8> {
    <base64ct::Base64 as base64ct::Encoding>::decode_vec(text).unwrap()
}

fn to_base64(bytes: &[u8]) -> String {
    <base64ct::Base64 as base64ct::Encoding>::encode_string(bytes)
}

fn hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.map(byte).collect()
}
