//! A user's home directory, and what lies in it.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use redial_net::auth::{PrivateKey, PublicKey};
use zeroize::Zeroizing;

use super::super::PATIENCE;
use super::server::Server;
use crate::network::{HostQuestion, Interaction};
use crate::{ConnectOptions, NetworkOptions, NewHost};

pub(super) struct Home(tempfile::TempDir);

pub(super) fn key(seed: u8) -> PrivateKey {
    PrivateKey::ed25519(&[seed; 32], "")
}

impl Home {
    pub(super) fn new() -> Self {
        let home = Home(tempfile::tempdir().unwrap());
        fs::create_dir(home.path(".ssh")).unwrap();
        home
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_private(&path, text);
        path
    }

    /// A key in `.ssh`, without its public half beside it.
    pub(super) fn write_key(&self, name: &str, seed: u8) -> PublicKey {
        let key = key(seed);
        self.write(&format!(".ssh/{name}"), &key.to_text());
        key.public_key().clone()
    }

    pub(super) fn write_locked_key(&self, name: &str, seed: u8, passphrase: &str) -> PublicKey {
        let key = key(seed);
        let text = key.to_encrypted_text(passphrase.as_bytes(), [7; 20]);
        self.write(&format!(".ssh/{name}"), &text.unwrap());
        key.public_key().clone()
    }

    pub(super) fn known_hosts(&self) -> PathBuf {
        self.path(".config/redial/known_hosts")
    }

    /// redial knows the server.
    pub(super) fn know(&self, server: &Server) {
        let line = format!("{} {}\n", server.known_name(), server.key().to_text());
        self.write(".config/redial/known_hosts", &line);
    }

    pub(super) fn recorded(&self) -> String {
        fs::read_to_string(self.known_hosts()).unwrap_or_default()
    }

    pub(super) fn network(&self) -> NetworkOptions {
        NetworkOptions::default()
            .home(self.0.path())
            .agent(None)
            .local_user(Some("ada".to_owned()))
            .system_known_hosts(self.path("ssh_known_hosts"))
            .new_host(NewHost::Refuse)
    }

    pub(super) fn options(&self) -> ConnectOptions {
        with(self.network())
    }
}

pub(super) fn with(network: NetworkOptions) -> ConnectOptions {
    ConnectOptions::default()
        .connect_timeout(PATIENCE)
        .network(network)
}

pub(super) fn write_private(path: &Path, text: &str) {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(path).unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
}

/// A person who answers as the test says, and counts.
#[derive(Default)]
pub(super) struct Person {
    pub(super) says_yes: bool,
    pub(super) types: Vec<&'static str>,
    pub(super) asked_hosts: Mutex<Vec<HostQuestion>>,
    pub(super) asked_keys: Mutex<Vec<(PathBuf, bool)>>,
    typed: AtomicUsize,
}

impl Person {
    pub(super) fn typing(types: &[&'static str]) -> Arc<Self> {
        Arc::new(Person {
            types: types.to_vec(),
            ..Person::default()
        })
    }

    pub(super) fn agreeing() -> Arc<Self> {
        Arc::new(Person {
            says_yes: true,
            ..Person::default()
        })
    }
}

impl Interaction for Person {
    fn passphrase(&self, key: &Path, again: bool) -> Option<Zeroizing<Vec<u8>>> {
        self.asked_keys
            .lock()
            .unwrap()
            .push((key.to_owned(), again));
        let at = self.typed.fetch_add(1, Ordering::Relaxed);
        let typed = self.types.get(at)?;
        Some(Zeroizing::new(typed.as_bytes().to_vec()))
    }

    fn confirm_host(&self, question: &HostQuestion) -> bool {
        self.asked_hosts.lock().unwrap().push(question.clone());
        self.says_yes
    }
}
