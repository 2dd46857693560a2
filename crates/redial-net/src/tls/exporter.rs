//! The value both ends of one TLS connection know, and nobody else.
//!
//! rustls has an exporter, but not on the connections whose records lie in our own
//! buffers (its unbuffered API, three times as fast at decrypting). What it computes the
//! exporter from it hands out through its key log. The rest is RFC 8446 section 7.5; a
//! test holds the result against rustls's own exporter at the other end.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use rustls::crypto::tls13::OkmBlock;
use rustls::{KeyLog, SupportedCipherSuite};

use super::EXPORTER_LABEL;

/// 32 bytes that are the same at both ends of a connection and different in every other
/// (RFC 8446 section 7.5, RFC 5705): what is signed over it is good on this line alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Exporter([u8; 32]);

impl Exporter {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exporter(..)")
    }
}

/// Catches the exporter's secret of one connection; every other secret it declines.
#[derive(Default)]
pub(super) struct Catch(Mutex<Option<OkmBlock>>);

/// The key log's name of `exporter_secret`.
const SECRET: &str = "EXPORTER_SECRET";

impl Catch {
    /// The exporter, once, after the handshake.
    pub(super) fn exporter(&self, suite: SupportedCipherSuite) -> Option<Exporter> {
        let secret = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()?;
        let suite = suite.tls13()?;
        let hash_of_nothing = suite.common.hash_provider.hash(&[]);
        let derived = suite.hkdf_provider.expander_for_okm(&secret).expand_block(
            &label(
                EXPORTER_LABEL,
                hash_of_nothing.as_ref().len(),
                hash_of_nothing.as_ref(),
            )
            .pieces(),
        );
        let mut bytes = [0; 32];
        let last = label(b"exporter", bytes.len(), hash_of_nothing.as_ref());
        suite
            .hkdf_provider
            .expander_for_okm(&derived)
            .expand_slice(&last.pieces(), &mut bytes)
            .ok()?;
        Some(Exporter(bytes))
    }
}

/// `HkdfLabel` of RFC 8446 section 7.1.
struct Label<'a> {
    output_len: [u8; 2],
    label_len: [u8; 1],
    label: &'a [u8],
    context_len: [u8; 1],
    context: &'a [u8],
}

const PREFIX: &[u8] = b"tls13 ";

/// All three are constants or lengths of hashes, far below what their fields hold.
fn label<'a>(label: &'a [u8], output_len: usize, context: &'a [u8]) -> Label<'a> {
    Label {
        output_len: (output_len as u16).to_be_bytes(),
        label_len: [(PREFIX.len() + label.len()) as u8],
        label,
        context_len: [context.len() as u8],
        context,
    }
}

impl Label<'_> {
    fn pieces(&self) -> [&[u8]; 6] {
        [
            &self.output_len,
            &self.label_len,
            PREFIX,
            self.label,
            &self.context_len,
            self.context,
        ]
    }
}

impl KeyLog for Catch {
    fn will_log(&self, label: &str) -> bool {
        label == SECRET
    }

    fn log(&self, label: &str, _: &[u8], secret: &[u8]) {
        // OkmBlock wipes itself; a hash longer than it holds is none of our suites'.
        if label == SECRET && secret.len() <= OkmBlock::MAX_LEN {
            let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *place = Some(OkmBlock::new(secret));
        }
    }
}

impl fmt::Debug for Catch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Catch(..)")
    }
}
