//! known_hosts is decided as ssh decides it, and hosts are found where ssh-keygen finds them.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

mod support;

use std::fs;
use std::path::Path;

use redial_auth::PublicKey;
use redial_auth::known_hosts::{HostDecision, HostName, KnownHosts, Marker, hashed};
use support::sshd::Sshd;

/// The names that are asked for, as ssh writes them.
const HOSTS: [(&str, u16, &str); 3] = [
    ("web1", 22, "web1"),
    ("web1", 7334, "[web1]:7334"),
    ("2001:db8::1", 22, "2001:db8::1"),
];

/// Files, and which of [`HOSTS`] is asked for. `{key}` is the server's key, `{other}` another of the
/// same kind, `{rsa}` one of another kind, `{dsa}` a DSA key; `{hash}` the host's name hashed,
/// `{hash2}` another's.
const FILES: [(&str, usize); 55] = [
    ("", 0),
    ("web1 {key}", 0),
    ("web1 {key} comment", 0),
    ("web1 {key}\r", 0),
    (" \tweb1\t{key}", 0),
    ("#web1 {key}", 0),
    ("web1 #{key}", 0),
    ("web1 {other}", 0),
    ("web1 {rsa}", 0),
    ("web1 {dsa}", 0),
    ("web1 {rsa}\nweb1 {other}", 0),
    ("web1 {other}\nweb1 {key}", 0),
    ("web1 {key}\nweb1 {other}", 0),
    ("web2 {key}", 0),
    ("web1,web2 {key}", 0),
    ("web2,web1 {key}", 0),
    ("web2,web1, {key}", 0),
    ("web* {key}", 0),
    ("web? {key}", 0),
    ("web?? {key}", 0),
    ("* {key}", 0),
    ("*,!web1 {key}", 0),
    ("!web1,* {key}", 0),
    ("!web2,* {key}", 0),
    ("!web2 {key}", 0),
    ("WEB1 {key}", 0),
    ("We?1 {other}", 0),
    ("[web1]:22 {key}", 0),
    ("[web1]:7334 {key}", 0),
    ("[web1]:7334 {key}", 1),
    ("[web1]:* {key}", 1),
    ("[web?]:7334 {other}", 1),
    ("[web1]:733 {key}", 1),
    ("2001:db8::1 {key}", 2),
    ("2001:db8::* {key}", 2),
    ("{hash} {key}", 0),
    ("{hash} {other}", 0),
    ("{hash} {key}", 1),
    ("{hash2} {key}", 0),
    ("{hash},web1 {key}", 0),
    ("|1|AAAA|AAAA {key}\nweb1 {key}", 0),
    ("|1| {key}", 0),
    ("|2|abc {key}", 0),
    ("@revoked web1 {key}", 0),
    ("@revoked * {key}\nweb1 {key}", 0),
    ("web1 {key}\n@revoked web1 {key}", 0),
    ("web1 {key}\n@revoked web1 {other}", 0),
    ("web1 {key}\n@revoked web2 {key}", 0),
    ("@revoked {hash} {key}", 1),
    ("@cert-authority web1 {key}", 0),
    ("@cert-authority * {other}\nweb1 {key}", 0),
    ("@cert-authority * {other}\nweb1 {other}", 0),
    ("@unheard web1 {key}\nweb1 {key}", 0),
    ("@revoked @cert-authority web1 {key}\nweb1 {key}", 0),
    ("@Revoked web1 {key}\nweb1 {key}", 0),
];

/// Files whose keys are no keys: ssh-keygen does not look at them, ssh does.
const BROKEN: [(&str, usize); 6] = [
    ("web1", 0),
    ("web1 ssh-ed25519", 0),
    ("web1 ssh-ed25519 AAAA", 0),
    ("web1 ssh-rsa {blob}", 0),
    ("web1 ssh-unheard {blob}\nweb1 {key}", 0),
    ("web1 {blob}", 0),
];

/// Where ssh passes over a line and we do not: it takes a marker with a tab behind it for a longer,
/// unknown one. Revoked is revoked.
const STRICTER: [(&str, usize); 2] = [
    ("@revoked\tweb1 {key}", 0),
    ("web1 {key}\n@revoked\t* {key}", 0),
];

struct Keys {
    key: PublicKey,
    other: String,
    rsa: String,
    dsa: String,
}

fn name_of(host: usize) -> HostName {
    let (name, port, written) = HOSTS[host];
    let host = HostName::new(name, port).unwrap();
    assert_eq!(host.as_str(), written);
    host
}

fn keys(dir: &Path) -> Keys {
    let line = |path: &Path| {
        let text = fs::read_to_string(path.with_extension("pub")).unwrap();
        let words: Vec<&str> = text.split_whitespace().take(2).collect();
        words.join(" ")
    };
    // OpenSSH without DSA has none to compare with.
    let dsa = support::program("ssh-keygen")
        .args(["-q", "-t", "dsa", "-N", "", "-f"])
        .arg(dir.join("dsa"))
        .output();
    let dsa = match dsa.unwrap().status.success() {
        true => line(&dir.join("dsa")),
        false => line(&support::keygen(dir, &["ecdsa"], "").1),
    };
    Keys {
        key: support::ed25519(dir, 1).0.public_key().clone(),
        other: support::ed25519(dir, 2).0.public_key().to_text(),
        rsa: line(&support::keygen(dir, &["rsa", "-b", "2048"], "").1),
        dsa,
    }
}

fn text(file: &str, host: usize, keys: &Keys) -> String {
    let key = keys.key.to_text();
    let blob = key.split(' ').nth(1).unwrap();
    let other = HostName::new("web2", 22).unwrap();
    file.replace("{key}", &key)
        .replace("{blob}", blob)
        .replace("{other}", &keys.other)
        .replace("{rsa}", &keys.rsa)
        .replace("{dsa}", &keys.dsa)
        .replace("{hash}", &hashed(&name_of(host), [7; 20]))
        .replace("{hash2}", &hashed(&other, [8; 20]))
        + "\n"
}

#[test]
fn known_hosts_are_decided_as_ssh_decides_them() {
    let name = "known_hosts_are_decided_as_ssh_decides_them";
    if !support::has_ssh(name) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let keys = keys(dir.path());
    let nobody = dir.path().join("nobody");
    let sshd = match Sshd::start(dir.path(), &dir.path().join("ed25519-1"), &nobody) {
        Ok(sshd) => sshd,
        Err(reason) => return support::skip(name, &reason),
    };
    let files: Vec<_> = FILES.iter().chain(&BROKEN).enumerate().collect();
    let wrong = support::each(&files, |(number, (file, host))| {
        let text = text(file, *host, &keys);
        let path = dir.path().join(format!("known_hosts-{number}"));
        fs::write(&path, &text).unwrap();
        let known = KnownHosts::new(text.as_bytes()).unwrap();
        let ours = known.decide(&name_of(*host), &keys.key);
        let theirs = theirs(&sshd, &path, HOSTS[*host].2);
        let same = match (&ours, &theirs) {
            // ssh names the last of several.
            (HostDecision::Changed { lines }, Theirs::Changed(line)) => lines.last() == Some(line),
            (HostDecision::Known { .. }, Theirs::Known)
            | (HostDecision::Unknown { .. }, Theirs::Unknown)
            | (HostDecision::Revoked { .. }, Theirs::Revoked) => true,
            _ => false,
        };
        (!same).then(|| format!("{file:?}: ours {ours:?}, ssh's {theirs:?}"))
    });
    for (file, host) in STRICTER {
        let text = text(file, host, &keys);
        let path = dir.path().join("known_hosts-stricter");
        fs::write(&path, &text).unwrap();
        let known = KnownHosts::new(text.as_bytes()).unwrap();
        let ours = known.decide(&name_of(host), &keys.key);
        assert!(matches!(ours, HostDecision::Revoked { .. }), "{file:?}");
        let theirs = theirs(&sshd, &path, HOSTS[host].2);
        assert!(
            !matches!(theirs, Theirs::Revoked),
            "no difference: {file:?}"
        );
        eprintln!("a deliberate difference: {file:?}: ssh passes over the marker");
    }
    let (same, stricter) = (files.len(), STRICTER.len());
    println!("{same} known_hosts cases decided as ssh does, {stricter} deliberately not");
    let wrong: Vec<String> = wrong.into_iter().flatten().collect();
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(files.len() >= 40);
}

#[derive(Debug)]
enum Theirs {
    Known,
    Unknown,
    Changed(usize),
    Revoked,
}

fn theirs(sshd: &Sshd, file: &Path, host: &str) -> Theirs {
    let ran = sshd
        .ssh()
        .args([
            "-o",
            "StrictHostKeyChecking=yes",
            "-o",
            "PreferredAuthentications=none",
        ])
        .args(["-o", "HostKeyAlgorithms=ssh-ed25519", "-o", "LogLevel=INFO"])
        .args(["-o", &format!("UserKnownHostsFile={}", file.display())])
        .args(["-o", &format!("HostKeyAlias={host}"), "127.0.0.1", "true"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    if said.contains("REVOKED HOST KEY DETECTED") {
        return Theirs::Revoked;
    }
    if said.contains("HOST IDENTIFICATION HAS CHANGED") {
        let offending = said.lines().find(|line| line.starts_with("Offending"));
        let line = offending.and_then(|line| line.trim().rsplit(':').next());
        return Theirs::Changed(line.unwrap().parse().unwrap());
    }
    if said.contains("host key is known for") {
        return Theirs::Unknown;
    }
    assert!(said.contains("Permission denied"), "{said}");
    Theirs::Known
}

#[test]
fn hosts_are_found_where_ssh_keygen_finds_them() {
    if !support::has_ssh("hosts_are_found_where_ssh_keygen_finds_them") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let keys = keys(dir.path());
    let path = dir.path().join("known_hosts");
    for (file, host) in FILES {
        let text = text(file, host, &keys);
        fs::write(&path, &text).unwrap();
        let found = support::program("ssh-keygen")
            .args(["-F", HOSTS[host].2, "-f"])
            .arg(&path)
            .output()
            .unwrap();
        let found = String::from_utf8(found.stdout).unwrap();
        let theirs: Vec<String> = found
            .lines()
            .filter_map(|line| line.split_once(" found: line "))
            .map(|(_, line)| line.trim().to_owned())
            .collect();
        let known = KnownHosts::new(text.as_bytes()).unwrap();
        let ours: Vec<String> = known
            .lines_of(&name_of(host))
            .map(|line| match line.marker {
                Marker::None => format!("{}", line.number),
                Marker::Authority => format!("{} CA", line.number),
                Marker::Revoked => format!("{} REVOKED", line.number),
            })
            .collect();
        assert_eq!(ours, theirs, "{file:?}");
    }
    println!("{} known_hosts cases found by ssh-keygen -F", FILES.len());
}

#[test]
fn ssh_keygen_hashes_names_as_we_do() {
    if !support::has_ssh("ssh_keygen_hashes_names_as_we_do") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("known_hosts");
    let (key, _) = support::ed25519(dir.path(), 1);
    for host in 0..HOSTS.len() {
        let host = name_of(host);
        fs::write(
            &path,
            redial_auth::known_hosts::entry(&host, key.public_key()),
        )
        .unwrap();
        let hashing = support::program("ssh-keygen")
            .args(["-H", "-f"])
            .arg(&path)
            .output();
        assert!(hashing.unwrap().status.success());
        let text = fs::read(&path).unwrap();
        assert!(text.starts_with(b"|1|"));
        let known = KnownHosts::new(&text).unwrap();
        let decided = known.decide(&host, key.public_key());
        assert_eq!(decided, HostDecision::Known { line: 1 });
        let other = HostName::new("web3", 22).unwrap();
        assert_eq!(known.lines_of(&other).count(), 0);
    }
}
