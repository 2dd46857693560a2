//! authorized_keys is decided as sshd decides it: each case is a key of its own in one file, which
//! both read.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

#[path = "../support/mod.rs"]
mod support;

mod cases;
mod chance;
mod fill;
mod together;

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Output;
use std::time::{SystemTime, UNIX_EPOCH};

use redial_auth::authorized_keys::{Grant, KeyLine, Now};
use redial_auth::{Decision, KeyError, PublicKey, decide};
use support::sshd::{Sshd, UTC_OFFSET_SECONDS};

use cases::{Case, Kind};

/// What is asked of each login that is let in.
const ASKED: &str =
    "echo asked:$A:$B:$SSH_ORIGINAL_COMMAND; test -t 0 && echo pty || echo no-''pty";

/// What one side makes of a case.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Let in; what the command printed.
    Allowed(String),
    Refused,
}

/// A case with its key.
struct Prepared {
    case: Case,
    key: Result<PublicKey, KeyError>,
    file: PathBuf,
}

#[test]
fn authorized_keys_are_decided_as_sshd_decides_them() {
    let name = "authorized_keys_are_decided_as_sshd_decides_them";
    if !support::has_ssh(name) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (_, host_key) = support::ed25519(dir.path(), u32::MAX);
    let now = now();
    let mut all = vec![Case::control()];
    all.extend(cases::listed());
    all.extend(together::listed());
    all.extend(chance::generated());
    let (prepared, text) = prepare(dir.path(), all, now);
    let file = dir.path().join("authorized_keys");
    std::fs::write(&file, &text).unwrap();
    let sshd = match Sshd::start(dir.path(), &host_key, &file) {
        Ok(sshd) => sshd,
        Err(reason) => return support::skip(name, &reason),
    };
    let terminals = match terminals(&sshd, &prepared[0]) {
        Ok(terminals) => terminals,
        Err(reason) => return support::skip(name, &reason),
    };
    let theirs = support::each(&prepared, |one| theirs(&sshd, one, terminals));
    compare(&prepared, &theirs, &text, now, terminals);
    if terminals == Grant::Refused {
        support::skip(
            "pty_options_do_what_they_do_in_sshd",
            "this user's sshd has no terminals",
        );
    }
}

/// Whether sshd can give terminals here; why it lets nobody in, if so.
fn terminals(sshd: &Sshd, control: &Prepared) -> Result<Grant, String> {
    if login(sshd, control, "-T").status.success() {
        // An ordinary user's sshd may not change a terminal's owner, and breaks off.
        return Ok(match login(sshd, control, "-tt").status.success() {
            true => Grant::Allowed,
            false => Grant::Refused,
        });
    }
    let log = sshd.log();
    let locked = log.contains("account is locked") || log.contains("not allowed because");
    assert!(locked, "sshd lets nobody in:\n{log}");
    Err("sshd lets this user in with no key".to_owned())
}

/// Compares both, and prints the counts.
fn compare(prepared: &[Prepared], theirs: &[Verdict], text: &[u8], now: Now, terminals: Grant) {
    let mut wrong = Vec::new();
    let mut counts = [0; 3];
    for (one, theirs) in prepared.iter().zip(theirs) {
        let ours = ours(one, text, now, terminals);
        let name = &one.case.name;
        counts[usize::from(ours == Verdict::Refused)] += 1;
        if let Some(why) = one.case.own {
            counts[2] += 1;
            if ours == Verdict::Refused || *theirs != Verdict::Refused {
                wrong.push(format!("{name}: {why}: {ours:?}, {theirs:?}"));
            }
            continue;
        }
        match one.case.stricter {
            None if agree(&ours, theirs) => {}
            None => wrong.push(format!("{name}: ours {ours:?}, sshd's {theirs:?}")),
            // A difference that is none any more should leave the list.
            Some(why) => {
                counts[2] += 1;
                eprintln!("a deliberate difference: {name}: {why}");
                if ours != Verdict::Refused || *theirs == Verdict::Refused {
                    wrong.push(format!("{name}: no difference: {ours:?}, {theirs:?}"));
                }
            }
        }
    }
    let [allowed, refused, different] = counts;
    println!(
        "{} authorized_keys cases: {allowed} allowed, {refused} refused, of which {different} \
         deliberately other than sshd",
        prepared.len()
    );
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(prepared.len() >= 60 && allowed >= 30 && refused >= 30);
}

/// Whether both decide the same. A shell's own start may have said something before the command.
fn agree(ours: &Verdict, theirs: &Verdict) -> bool {
    match (ours, theirs) {
        (Verdict::Allowed(ours), Verdict::Allowed(theirs)) => {
            let before = theirs.strip_suffix(ours.as_str());
            let foreign = |before: &str| !before.contains("asked:") && !before.contains("pty\n");
            before.is_some_and(|before| {
                before.is_empty() || (before.ends_with('\n') && foreign(before))
            })
        }
        _ => ours == theirs,
    }
}

/// Makes a key for each case, and one file of all lines.
fn prepare(dir: &std::path::Path, cases: Vec<Case>, now: Now) -> (Vec<Prepared>, Vec<u8>) {
    let mut text = Vec::new();
    let mut prepared = Vec::new();
    let (other, _) = support::ed25519(dir, u32::MAX - 1);
    for (number, case) in (0..).zip(cases) {
        let (key, file) = match case.kind {
            Kind::Ed25519 => {
                let (key, file) = support::ed25519(dir, number);
                (Ok(key.public_key().clone()), file)
            }
            Kind::Keygen(kind) => support::keygen_any(dir, kind),
        };
        let listed = std::fs::read_to_string(file.with_extension("pub"));
        let listed = listed.unwrap_or_else(|_| key.as_ref().unwrap().to_text());
        text.extend_from_slice(&case.lines(&listed, &other.public_key().to_text(), now));
        text.push(b'\n');
        prepared.push(Prepared { case, key, file });
    }
    (prepared, text)
}

fn ours(one: &Prepared, text: &[u8], now: Now, terminals: Grant) -> Verdict {
    let Ok(key) = &one.key else {
        return Verdict::Refused;
    };
    let source: IpAddr = one.case.source.parse().unwrap();
    match decide(text, key, Some(source), now) {
        Decision::Allowed(line) => Verdict::Allowed(expected(&line, terminals)),
        Decision::Refused(_) => Verdict::Refused,
    }
}

/// What a login under this line prints.
fn expected(line: &KeyLine, terminals: Grant) -> String {
    let command = line.options.command.as_deref().unwrap_or(ASKED.as_bytes());
    let mut shell = std::process::Command::new("sh");
    shell.arg("-c").arg(std::str::from_utf8(command).unwrap());
    shell
        .env_remove("A")
        .env_remove("B")
        .env_remove("SSH_ORIGINAL_COMMAND");
    if line.options.command.is_some() {
        shell.env("SSH_ORIGINAL_COMMAND", ASKED);
    }
    for variable in &line.options.environment {
        shell.env(
            &variable.name,
            std::str::from_utf8(&variable.value).unwrap(),
        );
    }
    let printed = support::run(&mut shell, b"").stdout;
    let printed = String::from_utf8(printed).unwrap();
    let granted = line.options.pty == Grant::Allowed && terminals == Grant::Allowed;
    match printed.strip_suffix("no-pty\n") {
        Some(before) if granted => format!("{before}pty\n"),
        _ => printed,
    }
}

fn theirs(sshd: &Sshd, one: &Prepared, terminals: Grant) -> Verdict {
    let ran = match terminals {
        Grant::Allowed => login(sshd, one, "-tt"),
        Grant::Refused => login(sshd, one, "-T"),
    };
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    if said.contains("Permission denied") {
        return Verdict::Refused;
    }
    // ssh gives up where it was told to insist.
    let ran = match said.contains("PTY allocation request failed") {
        true => login(sshd, one, "-T"),
        false => ran,
    };
    assert!(ran.status.code() != Some(255), "{}: {ran:?}", one.case.name);
    let printed = String::from_utf8(ran.stdout).unwrap();
    Verdict::Allowed(printed.replace("\r\n", "\n"))
}

fn login(sshd: &Sshd, one: &Prepared, terminal: &str) -> Output {
    let source = one.case.source;
    let target = if source.contains(':') {
        "::1"
    } else {
        "127.0.0.1"
    };
    let mut ssh = sshd.ssh();
    ssh.args([
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/dev/null",
    ])
    .args([
        "-o",
        "PreferredAuthentications=publickey",
        "-o",
        "LogLevel=INFO",
    ])
    .args([terminal, "-b", source, "-i"])
    .arg(&one.file)
    .args([target, ASKED]);
    ssh.output().unwrap()
}

fn now() -> Now {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Now {
        unix_seconds: since.as_secs(),
        utc_offset_seconds: UTC_OFFSET_SECONDS,
    }
}
