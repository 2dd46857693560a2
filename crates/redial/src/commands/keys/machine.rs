//! The key by which a server on this machine is known, for people to compare.

use std::fs::File as OpenFile;
use std::io::Read;
use std::path::Path;

use redial_client::network::auth::PublicKey;
use redial_keeper::login::load_host_key;

use crate::report::Harmless;
use crate::settings::{File, HostKeyFile, host_key_file};

/// Where Debian, and most others, have the public half of the machine's key.
const SSHD_KEY: &str = "/etc/ssh/ssh_host_ed25519_key.pub";
/// A public key's file is a line; more than this of it is not read.
const PUBLIC_BYTES: u64 = 16_384;

/// A paragraph about it. Nothing is made where there is none.
pub(super) fn key(file: &File) -> String {
    let mut text = "Key of a redial server of yours on this machine:\n".to_owned();
    text += &match host_key_file(file) {
        Ok(HostKeyFile::Named(path)) => own(&path),
        Ok(HostKeyFile::Usual(path)) if path.exists() => own(&path),
        Ok(HostKeyFile::Usual(_)) => sshd().unwrap_or_else(|| {
            "  none yet; 'redial serve --listen ADDRESS' makes one\n".to_owned()
        }),
        Err(error) => format!("  not known: {}\n", Harmless(error)),
    };
    text
}

fn own(path: &Path) -> String {
    let shown = Harmless(path.display()).to_string();
    match load_host_key(path) {
        Ok(key) => line(key.public_key(), &shown),
        Err(error) => format!("  not readable: {}\n", Harmless(error)),
    }
}

fn sshd() -> Option<String> {
    let mut text = String::new();
    let file = OpenFile::open(SSHD_KEY).ok()?.take(PUBLIC_BYTES);
    std::io::BufReader::new(file)
        .read_to_string(&mut text)
        .ok()?;
    let key = PublicKey::from_text(text.trim_end()).ok()?;
    let from =
        format!("{SSHD_KEY}, sshd's, which a server of root's takes if it has none of its own");
    Some(line(&key, &from))
}

fn line(key: &PublicKey, from: &str) -> String {
    format!("  {} {}  {from}\n", key.fingerprint(), key.algorithm())
}
