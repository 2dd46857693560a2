//! Who a peer is, and what it may do: text and bytes in, decisions out.
//!
//! The crate knows no socket, file, clock or thread. Files come in as their text, the time as
//! [`Now`](authorized_keys::Now), randomness as bytes. All cryptography is that of the `ssh-key` crate
//! and those it stands on.
//!
//! A login takes three parties. The **client** says which keys it has ([`offer`]), learns the keeper's
//! nonce, and proves one key ([`sign_proof`], or [`Statement::to_sign`] and [`assemble_proof`] with an
//! agent). The **keeper** looks the key up ([`decide`]), verifies the proof ([`verify_proof`]) and keeps
//! the [`KeyLine`](authorized_keys::KeyLine) as the connection's capability; before each use it asks
//! [`KeyLine::check`](authorized_keys::KeyLine::check) again. The front between them only carries
//! bytes, and vouches for the TLS exporter. Whether the server is the right one is for the client to
//! decide before ([`KnownHosts::decide`](known_hosts::KnownHosts::decide)).
//!
//! Where a host is, and which keys to offer it, a user may have said in ssh's own settings
//! ([`ssh_config`]).
//!
//! ```
//! use redial_auth::authorized_keys::Now;
//! use redial_auth::known_hosts::{HostDecision, HostName, KnownHosts};
//! use redial_auth::{Decision, HostKey, Offer, PrivateKey, PublicKey, Statement};
//!
//! // Both sides: what TLS gives them. The exporter is that of `EXPORTER_LABEL`.
//! let host_key = HostKey::generate(&[1; 32]);
//! let spki = host_key.public_key().to_spki().expect("an Ed25519 key");
//! let exporter = [2; 32];
//!
//! // Client: is this the server? A script stops unless its key is known.
//! let shown = PublicKey::from_spki(&spki)?;
//! let host = HostName::new("web1.example", 7334)?;
//! let known = KnownHosts::new(b"")?;
//! assert_eq!(known.decide(&host, &shown), HostDecision::Unknown { authority: None });
//! let text = known.addition(&host, &shown).into_bytes();
//! let known = KnownHosts::new(&text)?;
//! assert_eq!(known.decide(&host, &shown), HostDecision::Known { line: 1 });
//!
//! // Client: one key is proved at once, over the nonce that the keeper issued.
//! let private = PrivateKey::ed25519(&[3; 32], "ada@laptop");
//! let (Offer::Prove(key), _) = redial_auth::offer([private.public_key().clone()]) else {
//!     panic!("one key");
//! };
//! let nonce = [4; 32];
//! let statement = Statement {
//!     user: "ada",
//!     key: &key,
//!     host_key: &shown,
//!     nonce: &nonce,
//!     exporter: &exporter,
//! };
//! let proof = redial_auth::sign_proof(&private, &statement)?;
//!
//! // Keeper: does a line of the user's file let this key in, from there, now?
//! let file = format!("restrict,command=\"uptime\" {} ada\n", key.to_text());
//! let now = Now { unix_seconds: 1_795_000_000, utc_offset_seconds: 0 };
//! let source = Some([192, 0, 2, 1].into());
//! let Decision::Allowed(line) = redial_auth::decide(file.as_bytes(), &key, source, now) else {
//!     panic!("the key is listed");
//! };
//! // Keeper: user, nonce and host key are its own, the key is the line's; is the proof good?
//! let statement = Statement { key: &line.key, host_key: host_key.public_key(), ..statement };
//! redial_auth::verify_proof(&proof, &statement, line.options.presence)?;
//! assert_eq!(line.options.command.as_deref(), Some(&b"uptime"[..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod authorized_keys;
mod decision;
mod ed25519;
mod host_key;
mod key_text;
pub mod known_hosts;
pub mod limits;
pub mod nkey;
mod offer;
mod pattern;
mod private_key;
mod proof;
mod public_key;
pub mod ssh_config;

pub use decision::{Decision, Refusal, decide};
pub use host_key::{HostKey, HostKeyError, is_certificate_verify};
pub use offer::{Offer, offer};
pub use private_key::{PrivateKey, PrivateKeyError};
pub use proof::{
    EXPORTER_LABEL, NAMESPACE, ProofError, Statement, assemble_proof, sign_proof, verify_proof,
};
pub use public_key::{Algorithm, KeyError, PublicKey};
