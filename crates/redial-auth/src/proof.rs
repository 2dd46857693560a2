//! The proof that a client holds a key: an SSHSIG signature over what names this one connection.
//!
//! The bytes are defined in PROTOCOL.md, section 9, and shown in `vectors/proofs.txt`.

use alloc::vec::Vec;

use ssh_key::encoding::{Decode, Encode};
use ssh_key::public::KeyData;
use ssh_key::{HashAlg, Signature, SshSig};

use crate::authorized_keys::{Demand, Presence};
use crate::ed25519;
use crate::limits;
use crate::private_key::PrivateKey;
use crate::public_key::{Algorithm, PublicKey};

/// The namespace of the signatures: nothing else is signed in it, and these are signed in no other.
pub const NAMESPACE: &str = "redial-auth@1";

/// The label of the TLS exporter (RFC 8446 section 7.5), with an empty context and 32 bytes.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-redial-auth@1";

/// The version of the statement's encoding, its first byte.
const STATEMENT_VERSION: u8 = 1;

/// Bits of a FIDO signature's flags (OpenSSH's PROTOCOL.u2f).
const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;

/// What is signed: who wants to come in, with which key, and in which connection.
#[derive(Debug, Clone, Copy)]
pub struct Statement<'a> {
    /// The user the client names, at most [`limits::USER_BYTES`].
    pub user: &'a str,
    /// The key the client claims to hold.
    pub key: &'a PublicKey,
    /// The server's host key, as this TLS connection showed it.
    pub host_key: &'a PublicKey,
    /// The keeper's nonce for this connection.
    pub nonce: &'a [u8; 32],
    /// What both ends of this TLS connection export under [`EXPORTER_LABEL`].
    pub exporter: &'a [u8; 32],
}

/// Why a proof is none, or cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Longer than [`limits::BLOB_BYTES`].
    #[error(
        "the signature has {bytes} bytes, at most {} are taken",
        limits::BLOB_BYTES
    )]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The user's name is empty or too long.
    #[error("a user's name has 1 to {} bytes", limits::USER_BYTES)]
    User,
    /// No SSHSIG (OpenSSH's PROTOCOL.sshsig), or not in the one way to write it.
    #[error("the bytes are no SSH signature")]
    Malformed,
    /// Made for another purpose.
    #[error("the signature was made in another namespace")]
    Namespace,
    /// By another key than the one named.
    #[error("the signature was made by another key")]
    Key,
    /// By an algorithm that is not the key's, or RSA with SHA-1.
    #[error("the signature's algorithm does not fit the key (RSA: only with SHA-2)")]
    Algorithm,
    /// Not a signature of this statement by this key.
    #[error("the signature does not fit")]
    Wrong,
    /// The FIDO token was not touched.
    #[error("the security key was not touched")]
    Touch,
    /// The FIDO token did not ask for a PIN or a finger, which the key's line wants.
    #[error("the security key did not verify its user (verify-required)")]
    Verification,
    /// The private key cannot sign: a FIDO key without its token.
    #[error("the private key cannot sign by itself; use an agent")]
    CannotSign,
}

impl Statement<'_> {
    /// The bytes of the statement: a version byte, then five SSH strings (RFC 4251 section 5).
    ///
    /// # Errors
    /// [`ProofError::User`].
    pub fn encode(&self) -> Result<Vec<u8>, ProofError> {
        if self.user.is_empty() || self.user.len() > limits::USER_BYTES {
            return Err(ProofError::User);
        }
        let mut bytes = alloc::vec![STATEMENT_VERSION];
        for part in [
            self.user.as_bytes(),
            self.key.blob(),
            self.host_key.blob(),
            self.nonce,
            self.exporter,
        ] {
            part.encode(&mut bytes)
                .expect("each part is shorter than 16 KiB");
        }
        Ok(bytes)
    }

    /// What an agent has to sign with [`Statement::key`]; its answer goes to [`assemble_proof`]. RSA
    /// keys need the flag `SSH_AGENT_RSA_SHA2_512` (4).
    ///
    /// # Errors
    /// [`ProofError::User`].
    pub fn to_sign(&self) -> Result<Vec<u8>, ProofError> {
        SshSig::signed_data(NAMESPACE, HashAlg::Sha512, &self.encode()?)
            .map_err(|_| ProofError::Malformed)
    }
}

/// Signs with a private key at hand. Gives the SSHSIG, not armoured.
///
/// # Errors
/// [`ProofError::User`]; [`ProofError::Key`] if the statement names another key;
/// [`ProofError::CannotSign`].
pub fn sign_proof(key: &PrivateKey, statement: &Statement<'_>) -> Result<Vec<u8>, ProofError> {
    if key.public_key() != statement.key {
        return Err(ProofError::Key);
    }
    let message = statement.encode()?;
    let signed = SshSig::sign(&key.signer(), NAMESPACE, HashAlg::Sha512, &message);
    let signed = signed.map_err(|_| ProofError::CannotSign)?;
    signed.encode_vec().map_err(|_| ProofError::Malformed)
}

/// Makes a proof of what an agent answered to [`Statement::to_sign`]: a signature blob as RFC 4253
/// section 6.6 has it. It is verified first, so that a bad agent is not the server's complaint.
///
/// # Errors
/// As [`verify_proof`].
pub fn assemble_proof(statement: &Statement<'_>, blob: &[u8]) -> Result<Vec<u8>, ProofError> {
    if blob.len() > limits::BLOB_BYTES {
        return Err(ProofError::TooLong { bytes: blob.len() });
    }
    let signature = Signature::try_from(blob).map_err(|_| ProofError::Malformed)?;
    let key = statement.key.data().clone();
    let signed = SshSig::new(key, NAMESPACE, HashAlg::Sha512, signature);
    let proof = signed.and_then(|signed| Ok(signed.encode_vec()?));
    let proof = proof.map_err(|_| ProofError::Malformed)?;
    // What the key's line asks of a token is the server's to know.
    verify_signature(&proof, statement)?;
    Ok(proof)
}

/// Verifies a proof: an SSHSIG by [`Statement::key`] over the statement, in [`NAMESPACE`], with
/// SHA-256 or SHA-512; of a FIDO key with the presence that the key's line asks for
/// ([`Options::presence`](crate::authorized_keys::Options)).
///
/// The caller has checked that key, nonce and host key are those of this connection.
///
/// # Errors
/// The first thing that is wrong.
pub fn verify_proof(
    proof: &[u8],
    statement: &Statement<'_>,
    presence: Presence,
) -> Result<(), ProofError> {
    let flags = verify_signature(proof, statement)?;
    let Some(flags) = flags else {
        return Ok(());
    };
    if presence.touch == Demand::Required && flags & USER_PRESENT == 0 {
        return Err(ProofError::Touch);
    }
    if presence.verification == Demand::Required && flags & USER_VERIFIED == 0 {
        return Err(ProofError::Verification);
    }
    Ok(())
}

/// Verifies all but a token's flags, and gives them.
fn verify_signature(proof: &[u8], statement: &Statement<'_>) -> Result<Option<u8>, ProofError> {
    let signed = parse(proof)?;
    if signed.namespace() != NAMESPACE {
        return Err(ProofError::Namespace);
    }
    if signed.public_key() != statement.key.data() {
        return Err(ProofError::Key);
    }
    if !fits(statement.key.algorithm(), &signed.algorithm()) {
        return Err(ProofError::Algorithm);
    }
    let message = statement.encode()?;
    if !verifies(statement.key.data(), &message, &signed) {
        return Err(ProofError::Wrong);
    }
    Ok(match statement.key.data() {
        // Flags and a counter of four bytes stand behind the token's own signature, and are part
        // of what it signed.
        KeyData::SkEd25519(_) | KeyData::SkEcdsaSha2NistP256(_) => {
            let flags = signed.signature_bytes().iter().rev().nth(4);
            Some(*flags.ok_or(ProofError::Malformed)?)
        }
        _ => None,
    })
}

/// Whether the signature is that key's, over the message in [`NAMESPACE`].
fn verifies(key: &KeyData, message: &[u8], signed: &SshSig) -> bool {
    let KeyData::Ed25519(bytes) = key else {
        let key = ssh_key::PublicKey::from(key.clone());
        return key.verify(NAMESPACE, message, signed).is_ok();
    };
    SshSig::signed_data(NAMESPACE, signed.hash_alg(), message)
        .is_ok_and(|data| ed25519::verifies(bytes.as_ref(), &data, signed.signature_bytes()))
}

/// Decodes an SSHSIG that is written in the one way to write it: nothing behind it, nothing unread
/// inside it.
fn parse(proof: &[u8]) -> Result<SshSig, ProofError> {
    if proof.len() > limits::BLOB_BYTES {
        return Err(ProofError::TooLong { bytes: proof.len() });
    }
    let signed = SshSig::decode(&mut &*proof).map_err(|_| ProofError::Malformed)?;
    let again = signed.encode_vec().map_err(|_| ProofError::Malformed)?;
    let good = signed.version() == SshSig::VERSION && signed.reserved().is_empty();
    match good && again == proof {
        true => Ok(signed),
        false => Err(ProofError::Malformed),
    }
}

/// Whether a key of that kind makes signatures of that algorithm, and ones that are taken.
fn fits(key: Algorithm, signature: &ssh_key::Algorithm) -> bool {
    match (key, signature) {
        (Algorithm::Rsa, ssh_key::Algorithm::Rsa { hash }) => hash.is_some(),
        (Algorithm::Rsa, _) => false,
        (key, signature) => signature.as_str() == key.name(),
    }
}

#[cfg(test)]
mod tests;
