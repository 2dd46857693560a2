//! TLS 1.3 as a layer over any byte stream: the server is known by its SSH host key.
//!
//! The server shows a raw public key (RFC 7250), no certificate; the client shows
//! nothing here and proves itself inside the protocol, bound to this very connection by
//! [`TlsStream::exporter`]. Both sides insist on the ALPN name [`ALPN`]. There is no
//! resumption of any kind, no ticket and no early data: each would let in who has been
//! let in before, whatever the keys say now.
//!
//! [`TlsServer`] and [`TlsClient`] make a [`TlsStream`], which is a stream again, so
//! [`drive`](crate::drive) takes it as it takes a [`Transport`](crate::Transport).
//!
//! What is absent: the private host key, which another process holds ([`HostSigner`]), and
//! any opinion on whom to trust, which the caller has ([`Decision`]).

mod client;
mod der;
mod error;
mod exporter;
mod handshake;
mod incoming;
mod key;
mod opening;
mod outgoing;
mod provider;
mod records;
mod server;
mod stream;

pub use client::{Decision, Refusal, TlsClient};
pub use error::{Step, TlsError};
pub use exporter::Exporter;
pub use key::{HostKey, KeyAlgorithm, KeyError};
pub use opening::Stranger;
pub use server::{HostSigner, SignError, TlsServer};
pub use stream::TlsStream;

/// The one application protocol spoken here (RFC 7301).
pub const ALPN: &[u8] = b"redial/1";

/// The label of the exporter that binds the client's proof to a connection (RFC 8446
/// section 7.5; without context, 32 bytes), as PROTOCOL.md has it.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-redial-auth@1";

/// What a server's signer is asked to sign (RFC 8446 section 4.4.3): 64 spaces, this
/// text, a zero byte, and the transcript's hash of 32 or 48 bytes; nothing else, ever.
pub const CERTIFICATE_VERIFY_CONTEXT: &[u8] = b"TLS 1.3, server CertificateVerify";
