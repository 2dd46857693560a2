//! Harnesses for redial-auth.

use std::net::IpAddr;

use redial_auth::authorized_keys::{self, Now, Presence};
use redial_auth::known_hosts::{HostDecision, HostName, KnownHosts};
use redial_auth::{Decision, PrivateKey, PublicKey, Statement};

const NOW: Now = Now {
    unix_seconds: 1_795_000_000,
    utc_offset_seconds: 3_600,
};

/// The key that is asked about: that of 32 bytes 01.
fn key() -> PublicKey {
    PrivateKey::ed25519(&[1; 32], "").public_key().clone()
}

/// Any bytes as authorized_keys.
///
/// Checks that the decision is the first line that is understood, has the key and lets it in, and
/// that no reason obeys a terminal.
pub fn authorized_keys(data: &[u8]) {
    let key = key();
    let source: Option<IpAddr> = Some([192, 0, 2, 1].into());
    let good = authorized_keys::lines(data)
        .flatten()
        .find(|line| line.key == key && line.check(source, NOW).is_ok());
    match redial_auth::decide(data, &key, source, NOW) {
        Decision::Allowed(line) => {
            assert_eq!(Some(*line), good);
        }
        Decision::Refused(refusal) => {
            assert_eq!(good, None);
            let said = refusal.to_string();
            assert!(!said.contains(|c: char| c.is_control()), "{said:?}");
        }
    }
    for error in authorized_keys::lines(data).filter_map(Result::err) {
        let said = error.to_string();
        assert!(!said.contains(|c: char| c.is_control()), "{said:?}");
    }
    // Without an address, what is allowed is allowed from everywhere.
    if let Decision::Allowed(line) = redial_auth::decide(data, &key, None, NOW) {
        assert_eq!(line.options.sources, None);
    }
}

/// Any bytes as known_hosts.
///
/// Checks that a key that was added is known unless it is revoked, and that a host whose lines were
/// taken out is unknown.
pub fn known_hosts(data: &[u8]) {
    let key = key();
    let host = HostName::new("web1", 7334).expect("a name");
    let Ok(known) = KnownHosts::new(data) else {
        return;
    };
    let decision = known.decide(&host, &key);
    let lines: Vec<usize> = known.lines_of(&host).map(|line| line.number).collect();
    match &decision {
        HostDecision::Known { line } | HostDecision::Revoked { line } => {
            assert!(lines.contains(line));
        }
        HostDecision::Changed { lines: others } => {
            assert!(!others.is_empty() && others.iter().all(|line| lines.contains(line)));
        }
        HostDecision::Unknown { .. } => {}
    }
    let added = known.with(&host, &key);
    match KnownHosts::new(&added).map(|added| added.decide(&host, &key)) {
        Ok(HostDecision::Known { .. }) | Err(_) => {}
        Ok(again) => assert_eq!(again, decision, "neither known nor revoked"),
    }
    let without = known.without(&lines);
    let without = KnownHosts::new(&without).expect("not longer than before");
    let unknown = HostDecision::Unknown { authority: None };
    assert_eq!(without.decide(&host, &key), unknown);
}

/// Any bytes as a key, and as a proof by it.
///
/// Shape of the input: two bytes, big-endian, are the length of the key's blob; it follows; the rest
/// is the proof. Checks that a key that is taken is written as it was read; a proof may be good or
/// not, but not good for two users.
pub fn proof(data: &[u8]) {
    let _ = PublicKey::from_blob(data);
    if let Ok(text) = std::str::from_utf8(data) {
        // Without a passphrase: to derive a key from one takes as long as the file says.
        let _ = PrivateKey::from_text(text, None);
    }
    let Some((length, rest)) = data.split_first_chunk() else {
        return;
    };
    let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
    let (blob, proof) = rest.split_at(length);
    let Ok(key) = PublicKey::from_blob(blob) else {
        return;
    };
    assert_eq!(key.blob(), blob);
    assert_eq!(PublicKey::from_text(&key.to_text()).as_ref(), Ok(&key));
    if let Some(spki) = key.to_spki() {
        assert_eq!(PublicKey::from_spki(&spki).as_ref(), Ok(&key));
    }
    let host_key = self::key();
    let statement = |user| Statement {
        user,
        key: &key,
        host_key: &host_key,
        nonce: &[4; 32],
        exporter: &[5; 32],
    };
    let good = |user| redial_auth::verify_proof(proof, &statement(user), Presence::DEFAULT).is_ok();
    assert!(!(good("ada") && good("bob")));
    let _ = redial_auth::assemble_proof(&statement("ada"), proof);
}
