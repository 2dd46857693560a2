//! `redial keys nkey`: a key of ssh's, as a NATS broker names it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::Context;
use redial_client::network::auth::{PrivateKey, PublicKey, limits, nkey};

/// Prints it. A private key's public half is all that is looked at.
pub(super) fn nkey(path: &Path) -> anyhow::Result<()> {
    let shown = || path.display().to_string();
    let mut text = String::new();
    let file = File::open(path).with_context(shown)?;
    let most = limits::PRIVATE_KEY_BYTES as u64 + 1;
    file.take(most)
        .read_to_string(&mut text)
        .with_context(shown)?;
    let key = match text.trim_start().starts_with("-----BEGIN ") {
        true => PrivateKey::public_key_in(&text).with_context(shown)?,
        false => PublicKey::from_text(text.trim_end()).with_context(shown)?,
    };
    let nkey = nkey::nkey(&key).with_context(shown)?;
    super::print(&format!("{nkey}\n"))
}
