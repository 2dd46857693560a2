//! `redial keys new`: a key to log in with, in ssh's own format.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use redial_client::network::auth::PrivateKey;
use zeroize::Zeroizing;

use super::print;
use crate::args::NewArgs;
use crate::report::Harmless;

/// Makes it, and says what to do with the public half.
pub(super) fn new(args: &NewArgs) -> anyhow::Result<()> {
    let path = match &args.file {
        Some(file) => file.clone(),
        None => usual()?,
    };
    let public = PathBuf::from({
        let mut name = path.clone().into_os_string();
        name.push(".pub");
        name
    });
    for file in [&path, &public] {
        if file.symlink_metadata().is_ok() {
            bail!(
                "{} is there already; a key is never written over: choose another --file",
                file.display()
            );
        }
    }
    let passphrase = if args.no_passphrase {
        None
    } else {
        Some(ask()?)
    };
    let comment = comment(args)?;
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(|error| anyhow::anyhow!("no random bytes: {error}"))?;
    let key = PrivateKey::ed25519(&seed, &comment);
    let text = match passphrase {
        Some(passphrase) => {
            let mut random = [0; 20];
            getrandom::fill(&mut random)
                .map_err(|error| anyhow::anyhow!("no random bytes: {error}"))?;
            key.to_encrypted_text(&passphrase, random)?
        }
        None => key.to_text(),
    };
    if let Some(directory) = path.parent().filter(|it| !it.as_os_str().is_empty()) {
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory);
        made.with_context(|| format!("cannot make {}", directory.display()))?;
    }
    write(&path, 0o600, text.as_bytes())?;
    let line = format!("{} {comment}", key.public_key().to_text());
    write(&public, 0o644, format!("{line}\n").as_bytes())?;
    print(&format!(
        "{} is a new key: {}\nIt lets you in where this line stands in ~/.ssh/authorized_keys:\n{}\n",
        Harmless(path.display()),
        key.public_key().fingerprint(),
        Harmless(line),
    ))
}

fn usual() -> anyhow::Result<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let home = home.filter(|home| home.is_absolute());
    let home = home.context("HOME is not set: say where to with --file")?;
    Ok(home.join(".ssh/id_ed25519"))
}

fn ask() -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let prompt = |text: &str| {
        let read = rpassword::prompt_password(text);
        read.map(|read| Zeroizing::new(read.into_bytes()))
            .context("no terminal to ask for a passphrase on; a script says --no-passphrase")
    };
    let first = prompt("passphrase for the new key: ")?;
    if first.is_empty() {
        bail!("the passphrase is empty; for a key without one say --no-passphrase");
    }
    if prompt("the same again: ")? != first {
        bail!("that was another one; nothing is written");
    }
    Ok(first)
}

fn comment(args: &NewArgs) -> anyhow::Result<String> {
    if let Some(comment) = &args.comment {
        if comment.chars().any(char::is_control) || comment.len() > 1_024 {
            bail!("--comment: one line of at most 1,024 bytes, without control characters");
        }
        return Ok(comment.clone());
    }
    let user = redial_keeper::account::Account::own().map(|account| account.name);
    let user = user.map(|name| String::from_utf8_lossy(&name).into_owned());
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy().into_owned();
    let clean = |text: String| text.replace(|c: char| c.is_control() || c.is_whitespace(), "-");
    Ok(format!(
        "{}@{}",
        clean(user.unwrap_or_default()),
        clean(host)
    ))
}

/// New, or not at all.
fn write(path: &Path, mode: u32, bytes: &[u8]) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    let written = options.open(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.with_context(|| format!("cannot write {}", path.display()))
}
