//! Each part of a proof made wrong. Other programs' proofs are in tests/sshsig.rs.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use std::collections::HashMap;

use super::*;
use crate::authorized_keys::Presence;

const NONCE: [u8; 32] = [4; 32];
const EXPORTER: [u8; 32] = [5; 32];

fn private(seed: u8) -> PrivateKey {
    PrivateKey::ed25519(&[seed; 32], "")
}

#[test]
fn a_proof_is_good_for_its_own_statement_only() {
    let (key, host_key, other) = (private(1), private(2), private(3));
    let statement = Statement {
        user: "ada",
        key: key.public_key(),
        host_key: host_key.public_key(),
        nonce: &NONCE,
        exporter: &EXPORTER,
    };
    let proof = sign_proof(&key, &statement).unwrap();
    let verified = |statement| verify_proof(&proof, &statement, Presence::DEFAULT);
    assert_eq!(verified(statement), Ok(()));
    let others = [
        Statement {
            user: "bob",
            ..statement
        },
        Statement {
            host_key: other.public_key(),
            ..statement
        },
        Statement {
            nonce: &EXPORTER,
            ..statement
        },
        Statement {
            exporter: &NONCE,
            ..statement
        },
    ];
    for statement in others {
        assert_eq!(verified(statement), Err(ProofError::Wrong), "{statement:?}");
    }
    let theirs = Statement {
        key: other.public_key(),
        ..statement
    };
    assert_eq!(verified(theirs), Err(ProofError::Key));
    assert_eq!(sign_proof(&key, &theirs), Err(ProofError::Key));
}

#[test]
fn no_changed_bit_of_a_proof_is_taken() {
    let (key, host_key) = (private(1), private(2));
    let statement = Statement {
        user: "ada",
        key: key.public_key(),
        host_key: host_key.public_key(),
        nonce: &NONCE,
        exporter: &EXPORTER,
    };
    let proof = sign_proof(&key, &statement).unwrap();
    for at in 0..proof.len() {
        for bit in 0..8 {
            let mut changed = proof.clone();
            changed[at] ^= 1 << bit;
            let verified = verify_proof(&changed, &statement, Presence::DEFAULT);
            assert!(verified.is_err(), "byte {at}, bit {bit}");
        }
        assert!(verify_proof(&proof[..at], &statement, Presence::DEFAULT).is_err());
    }
}

#[test]
fn users_and_proofs_are_bounded() {
    let (key, host_key) = (private(1), private(2));
    let long = "u".repeat(limits::USER_BYTES + 1);
    let of = |user| Statement {
        user,
        key: key.public_key(),
        host_key: host_key.public_key(),
        nonce: &NONCE,
        exporter: &EXPORTER,
    };
    assert!(of(&long[1..]).encode().is_ok());
    assert_eq!(of(&long).encode(), Err(ProofError::User));
    assert_eq!(of("").encode(), Err(ProofError::User));
    let bytes = limits::BLOB_BYTES + 1;
    let verified = verify_proof(&alloc::vec![0; bytes], &of("ada"), Presence::DEFAULT);
    assert_eq!(verified, Err(ProofError::TooLong { bytes }));
}

#[test]
fn what_an_agent_signs_becomes_the_same_proof() {
    let (key, host_key) = (private(1), private(2));
    let statement = Statement {
        user: "ada",
        key: key.public_key(),
        host_key: host_key.public_key(),
        nonce: &NONCE,
        exporter: &EXPORTER,
    };
    let blob = |key: &PrivateKey| {
        let signature = sign(&key.signer(), &statement.to_sign().unwrap());
        signature.encode_vec().unwrap()
    };
    let proof = assemble_proof(&statement, &blob(&key));
    assert_eq!(proof, sign_proof(&key, &statement));
    let wrong = assemble_proof(&statement, &blob(&host_key));
    assert_eq!(wrong, Err(ProofError::Wrong));
    assert_eq!(assemble_proof(&statement, b"x"), Err(ProofError::Malformed));
}

fn sign(key: &impl ssh_key::SigningKey, message: &[u8]) -> Signature {
    key.try_sign(message).unwrap()
}

#[test]
fn the_vectors_are_what_this_code_takes_and_refuses() {
    let text = include_str!("../../../../vectors/proofs.txt");
    let mut taken = Vec::new();
    for entry in text.split("\n\n").skip(1) {
        let entry: HashMap<&str, &str> = entry
            .lines()
            .map(|line| line.split_once(": ").unwrap())
            .collect();
        let name = entry["name"];
        let key = PublicKey::from_text(entry["key"]).unwrap();
        let host_key = PublicKey::from_text(entry["host-key"]).unwrap();
        let statement = Statement {
            user: entry["user"],
            key: &key,
            host_key: &host_key,
            nonce: &hex(entry["nonce"]).try_into().unwrap(),
            exporter: &hex(entry["exporter"]).try_into().unwrap(),
        };
        assert_eq!(
            statement.encode().unwrap(),
            hex(entry["statement"]),
            "{name}"
        );
        let verified = verify_proof(&hex(entry["proof"]), &statement, presence(&entry));
        assert_eq!(
            verified.map_err(|error| word(&error)).err().as_deref(),
            entry.get("error").copied(),
            "{name}"
        );
        if !entry.contains_key("error") {
            taken.push(key.algorithm());
        }
    }
    taken.sort();
    taken.dedup();
    assert_eq!(taken.len(), 7, "each kind of key has a proof: {taken:?}");
}

fn presence(entry: &HashMap<&str, &str>) -> Presence {
    let demand = |asked| match asked {
        true => Demand::Required,
        false => Demand::NotRequired,
    };
    let asked = entry.get("presence").copied().unwrap_or("touch");
    Presence {
        touch: demand(asked.contains("touch")),
        verification: demand(asked.contains("verify")),
    }
}

/// An error as vectors/README.md calls it.
fn word(error: &ProofError) -> String {
    match error {
        ProofError::Namespace => "namespace",
        ProofError::Key => "key",
        ProofError::Algorithm => "algorithm",
        ProofError::Wrong => "signature",
        ProofError::Malformed => "encoding",
        ProofError::Touch => "touch",
        ProofError::Verification => "verification",
        _ => "other",
    }
    .to_string()
}

fn hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.map(byte).collect()
}
