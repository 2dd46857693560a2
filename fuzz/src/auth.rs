//! Harnesses for redial-auth.

use std::net::IpAddr;

use redial_auth::authorized_keys::{self, Now, Presence};
use redial_auth::known_hosts::{HostDecision, HostName, KnownHosts};
use redial_auth::ssh_config::{self, HostSettings, Included, Query, Tokens};
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
    let added = [data, known.addition(&host, &key).as_bytes()].concat();
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

/// Any bytes as ssh's settings.
///
/// Shape of the input: bit 0 of byte 0: a user was typed; the rest are texts with a byte FF between
/// them: the file, and those that it includes by their number from 1. Checks that values are of
/// their form; that lines may end with CR as well; that nothing counts under `Match exec`, or where
/// something was said before; and that no error obeys a terminal.
pub fn ssh_config(data: &[u8]) {
    let Some((choice, texts)) = data.split_first() else {
        return;
    };
    let mut texts = texts.split(|byte| *byte == 0xff);
    let text = texts.next().unwrap_or_default();
    let files: Vec<&[u8]> = texts.collect();
    let query = Query {
        host: "Web.example",
        user: (choice & 1 == 1).then_some("bob"),
        local_user: "ada",
    };
    let mut include = |pattern: &str| {
        let number = pattern.parse().unwrap_or(0_usize).wrapping_sub(1);
        let text = files.get(number).map(|text| text.to_vec());
        let name = pattern.to_owned();
        Vec::from_iter(text.map(|text| Included { name, text }))
    };
    let settings = match ssh_config::settings_with(text, &query, &mut include) {
        Ok(settings) => settings,
        Err(error) => {
            let said = error.to_string();
            assert!(!said.contains(|c: char| c.is_control()), "{said:?}");
            return;
        }
    };
    check_settings(&settings);

    let ends = text.split(|byte| *byte == b'\n').collect::<Vec<_>>();
    let again = ssh_config::settings_with(&ends.join(&b"\r\n"[..]), &query, &mut include);
    if text.len() < 4_096 {
        assert_eq!(again.as_ref(), Ok(&settings), "lines that end with CR");
    }
    let tail = b"\nMatch exec true\nUser exec\nPort 1\nIdentityFile exec\nProxyCommand exec\n";
    if let Ok(mut more) = ssh_config::settings_with(&[text, tail].concat(), &query, &mut include) {
        assert!(more.passed_over.pop().is_some());
        assert_eq!(more, settings);
    }
    let later = b"HostName later\nUser later\nPort 1\nIdentityAgent later\nIdentitiesOnly yes\n";
    let both = settings.clone().then(later, &query, &mut |_| Vec::new());
    let both = both.expect("nothing wrong with that");
    assert!(settings.host_name.is_none() || settings.host_name == both.host_name);
    assert!(settings.user.is_none() || settings.user == both.user);
    assert!(settings.port.is_none() || settings.port == both.port);
    assert!(settings.identity_agent.is_none() || settings.identity_agent == both.identity_agent);
    assert!(settings.identities_only.is_none() || settings.identities_only == both.identities_only);
}

fn check_settings(settings: &HostSettings) {
    let tokens = Tokens {
        host: settings.host_name.as_deref().unwrap_or("web.example"),
        home: "/ada",
        ..Tokens::default()
    };
    assert!(settings.port != Some(0));
    assert!(settings.identity_files.is_empty() || settings.identity_files_given);
    for (at, file) in settings.identity_files.iter().enumerate() {
        assert!(!file.is_empty() && !file.eq_ignore_ascii_case("none"));
        assert!(!settings.identity_files[..at].contains(file));
        match ssh_config::expand_path(file, &tokens, &|_| None) {
            Ok(path) => assert!(path.len() <= redial_auth::limits::EXPANDED_BYTES),
            Err(error) => assert!(!error.to_string().contains(|c: char| c.is_control())),
        }
    }
    let _ = settings
        .proxy_command()
        .map(|command| ssh_config::expand(command, &tokens));
    for hop in settings
        .proxy_jump()
        .into_iter()
        .flat_map(|hops| hops.split(','))
    {
        assert!(!hop.is_empty() && !hop.starts_with('-'), "{hop:?}");
        assert!(
            !hop.contains(|c: char| c.is_control() || " '\"`$;&|<>()".contains(c)),
            "{hop:?}"
        );
    }
}
