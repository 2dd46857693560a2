//! A home directory with a key to log in with: the same for redial and for ssh.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use redial_client::network::auth::PrivateKey;
use redial_keeper::account::Account;
use rustix::rand::{GetRandomFlags, getrandom};
use tempfile::TempDir;

/// The client's home; gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Home {
    dir: TempDir,
    login: String,
}

impl Home {
    /// Makes it, with a new Ed25519 key without a passphrase where ssh has it, and a
    /// list of keys that may log in which holds this one.
    ///
    /// # Errors
    /// A file cannot be written, or the user we are has no name.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir().context("cannot make a directory")?;
        let account = Account::own().context("cannot read passwd")?;
        let login = String::from_utf8(account.name.clone()).context("our name")?;
        let home = Home { dir, login };
        let ssh = home.path().join(".ssh");
        let made = DirBuilder::new().mode(0o700).create(&ssh);
        made.with_context(|| ssh.display().to_string())?;
        let mut seed = [0; 32];
        let got = getrandom(&mut seed, GetRandomFlags::empty()).context("no random bytes")?;
        anyhow::ensure!(got == seed.len(), "no random bytes");
        let key = PrivateKey::ed25519(&seed, "bench");
        write(&home.key(), key.to_text().as_bytes())?;
        let line = format!("{} bench\n", key.public_key().to_text());
        write(&home.key().with_extension("pub"), line.as_bytes())?;
        write(&home.authorized_keys(), line.as_bytes())?;
        Ok(home)
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The name of the user we are.
    pub(crate) fn login(&self) -> &str {
        &self.login
    }

    /// The private key's file.
    pub(crate) fn key(&self) -> PathBuf {
        self.path().join(".ssh/id_ed25519")
    }

    /// The public keys that may log in: ours.
    pub(crate) fn authorized_keys(&self) -> PathBuf {
        self.path().join("authorized_keys")
    }
}

/// A new file that nobody else can read, as ssh demands of keys.
fn write(path: &Path, text: &[u8]) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file: fs::File| file.write_all(text))
        .with_context(|| path.display().to_string())
}
