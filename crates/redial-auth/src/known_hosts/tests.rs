//! What lines say; how ssh decides them is compared in tests/known_hosts.rs.

use alloc::format;
use alloc::string::String;
use alloc::string::ToString;

use super::*;
use crate::PrivateKey;

fn key(seed: u8) -> PublicKey {
    PrivateKey::ed25519(&[seed; 32], "").public_key().clone()
}

fn host() -> HostName {
    HostName::new("web1", 7334).unwrap()
}

fn decided(text: &str) -> HostDecision {
    KnownHosts::new(text.as_bytes())
        .unwrap()
        .decide(&host(), &key(1))
}

#[test]
fn a_host_is_named_with_its_port() {
    assert_eq!(host().as_str(), "[web1]:7334");
    assert_eq!(HostName::new("Web1", 22).unwrap().as_str(), "web1");
    assert_eq!(HostName::new("::1", 7334).unwrap().as_str(), "[::1]:7334");
    for odd in ["", "a b", "a,b", "*", "!a", "a\n", "|1|", "a\u{1b}", "[a]"] {
        assert_eq!(HostName::new(odd, 22), Err(HostNameError), "{odd:?}");
    }
}

#[test]
fn a_key_is_known_changed_or_unknown() {
    let (mine, other) = (key(1).to_text(), key(2).to_text());
    assert_eq!(decided(""), HostDecision::Unknown { authority: None });
    let text = format!("# a\n[web1]:7334 {other}\n[web1]:* {mine} c\n");
    assert_eq!(decided(&text), HostDecision::Known { line: 3 });
    let text = format!("web1 {mine}\n[web1]:7334 {other}\n\n*,!web2 {other}");
    assert_eq!(
        decided(&text),
        HostDecision::Changed {
            lines: [2, 4].into()
        }
    );
    let text = format!("!*,[web1]:7334 {mine}");
    assert_eq!(decided(&text), HostDecision::Unknown { authority: None });
}

#[test]
fn a_revoked_key_is_revoked_whatever_else_is_said() {
    let mine = key(1).to_text();
    let text = format!("[web1]:7334 {mine}\n@revoked * {mine}\n");
    assert_eq!(decided(&text), HostDecision::Revoked { line: 2 });
    let text = format!(
        "[web1]:7334 {mine}\n@revoked web2 {mine}\n@revoked * {}",
        key(2).to_text()
    );
    assert_eq!(decided(&text), HostDecision::Known { line: 1 });
}

#[test]
fn an_authority_is_noted_and_trusted_with_nothing() {
    let text = format!("@cert-authority * {}\n", key(1).to_text());
    assert_eq!(decided(&text), HostDecision::Unknown { authority: Some(1) });
}

#[test]
fn a_hashed_name_is_found() {
    // `ssh-keygen -H` of [web1]:7334 with the salt 00 01 02 … 13.
    let salt: [u8; 20] = core::array::from_fn(|index| index as u8);
    let name = hashed(&host(), salt);
    assert!(name.starts_with("|1|AAECAwQFBgcICQoLDA0ODxAREhM=|"));
    let mine = key(1).to_text();
    assert_eq!(
        decided(&format!("{name} {mine}")),
        HostDecision::Known { line: 1 }
    );
    let other = hashed(&HostName::new("web2", 7334).unwrap(), salt);
    let unknown = HostDecision::Unknown { authority: None };
    for text in [
        other,
        String::from("|1|AAEC|AAEC"),
        String::from("|2|x"),
        name + "x",
    ] {
        assert_eq!(decided(&format!("{text} {mine}")), unknown, "{text}");
    }
}

#[test]
fn a_key_of_a_kind_that_is_not_taken_is_another_key() {
    let dsa = "[web1]:7334 ssh-dss AAAAB3NzaC1kc3MAAAABAQ==";
    assert_eq!(decided(dsa), HostDecision::Changed { lines: [1].into() });
    let unheard = "[web1]:7334 ssh-new AAAAB3NzaC1uZXc=";
    assert_eq!(decided(unheard), HostDecision::Unknown { authority: None });
}

#[test]
fn an_entry_that_was_added_is_known_and_can_be_taken_out() {
    let text = b"a ssh-rsa\nlast line without an end";
    let known = KnownHosts::new(text).unwrap();
    let added = [text, known.addition(&host(), &key(1)).as_bytes()].concat();
    let known = KnownHosts::new(&added).unwrap();
    assert_eq!(
        known.decide(&host(), &key(1)),
        HostDecision::Known { line: 3 }
    );
    assert_eq!(
        known.without(&[3]),
        b"a ssh-rsa\nlast line without an end\n"
    );
    assert_eq!(known.without(&[1, 3]), b"last line without an end\n");
}

#[test]
fn a_file_too_long_decides_nothing() {
    let text = alloc::vec![b'#'; limits::KNOWN_HOSTS_BYTES + 1];
    assert!(KnownHosts::new(&text).is_err());
    assert!(KnownHosts::new(&text[1..]).is_ok());
}

#[test]
fn an_index_finds_what_a_look_at_each_line_finds() {
    let key_text = key(1).to_text();
    let other = key(2).to_text();
    let salted = hashed(&host(), [7; 20]);
    let name = host().as_str().to_string();
    let upper = name.to_ascii_uppercase();
    let lines = [
        alloc::format!("{name} {key_text}"),
        alloc::format!("x,{upper},y {other}"),
        alloc::format!("* {other}"),
        alloc::format!("*,!{name} {key_text}"),
        alloc::format!("{salted} {key_text}"),
        alloc::format!("@revoked * {other}"),
        alloc::format!("@cert-authority {name} {key_text}"),
        alloc::format!("# {name} {key_text}"),
        alloc::format!("  {name}  {key_text} comment"),
        alloc::format!("other {key_text}"),
        name.clone(),
        alloc::string::String::new(),
        "nonsense".into(),
    ];
    // Each line with each other, in both orders, and all of them.
    let pairs = lines
        .iter()
        .flat_map(|one| lines.iter().map(move |two| alloc::format!("{one}\n{two}")));
    for text in pairs.chain([lines.join("\n")]) {
        let index = Index::new(text.as_bytes());
        let plain = KnownHosts::new(text.as_bytes()).unwrap();
        for name in [
            host(),
            HostName::new("other", 22).unwrap(),
            HostName::new("z", 22).unwrap(),
        ] {
            let by_index: Vec<HostLine> = plain.with_index(&index).lines_of(&name).collect();
            let by_look: Vec<HostLine> = plain.lines_of(&name).collect();
            assert_eq!(by_index, by_look, "{text}");
        }
    }
}
