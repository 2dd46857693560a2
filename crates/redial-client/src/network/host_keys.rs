//! Whether a server is the one that was meant: redial's own known_hosts, then ssh's, then
//! what the caller says of strangers.

use std::path::PathBuf;
use std::sync::Arc;

use redial_net::auth::PublicKey;
use redial_net::auth::known_hosts::{HostDecision, HostName};

use super::error::HostKeyError;
use super::interaction::HostQuestion;
use super::kept::Medium;
use super::known_cache::KnownFile;
use super::known_file::{self, KnownFileError};
use super::options::{NetworkOptions, NewHost};
use super::route::Route;

/// The port under which ssh knows its hosts.
const SSH_PORT: u16 = 22;

/// All that is known of one host, read before it is dialled.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    name: HostName,
    own: Arc<KnownFile>,
    ssh: Vec<Arc<KnownFile>>,
    /// The names that ssh would look for; the first is the one it would go by.
    ssh_names: Vec<HostName>,
    new_host: NewHost,
    /// The key that was accepted a moment ago, by a person or because any was.
    confirmed: Option<PublicKey>,
}

/// What is to be done about a server's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is the host's, says the line of this file.
    Known(PathBuf, usize),
    /// It is accepted, and to be recorded.
    Record(Reason),
    /// Somebody has to say.
    Ask(HostQuestion),
    /// It is not to be talked to.
    Stop(HostKeyError),
}

/// Why a key is accepted that redial itself did not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// ssh knows it: file and line.
    Ssh(PathBuf, usize),
    /// Its fingerprint was given.
    Pinned,
    /// Every new host is accepted.
    Accepted,
    /// A person said so.
    Confirmed,
}

impl Known {
    /// Reads all files that say something of hosts.
    pub(crate) fn read(
        route: &Route,
        options: &NetworkOptions,
        from: Medium,
    ) -> Result<Self, KnownFileError> {
        let file = |path: PathBuf| options.kept().known(path, from);
        let own = file(known_file::known_hosts_path(options)?)?;
        let mut ssh = Vec::new();
        if let Some(dir) = options.home.as_ref().map(|home| home.join(".ssh")) {
            for name in ["known_hosts", "known_hosts2"] {
                ssh.push(file(dir.join(name))?);
            }
        }
        ssh.push(file(options.system_known_hosts.clone())?);
        let mut ssh_names = vec![known_file::name(&route.address, SSH_PORT)?];
        let typed = known_file::name(&route.typed, SSH_PORT)?;
        if !ssh_names.contains(&typed) {
            ssh_names.push(typed);
        }
        let name = known_file::name(&route.typed, route.port)?;
        Ok(Known {
            confirmed: options.kept().confirmed.get(&name),
            name,
            own,
            ssh,
            ssh_names,
            new_host: options.new_host.clone(),
        })
    }

    /// A person has said that this key is the host's.
    pub(crate) fn confirm(&mut self, key: PublicKey) {
        self.confirmed = Some(key);
    }

    /// Whether a person was asked already.
    pub(crate) fn is_confirmed(&self) -> bool {
        self.confirmed.is_some()
    }

    pub(crate) fn name(&self) -> &HostName {
        &self.name
    }

    pub(crate) fn path(&self) -> &PathBuf {
        &self.own.path
    }

    /// Decides about a key that the server has proven to hold.
    pub(crate) fn decide(&self, key: &PublicKey) -> Verdict {
        match self.look(key) {
            Ok(verdict) => verdict,
            Err(error) => Verdict::Stop(error),
        }
    }

    fn look(&self, key: &PublicKey) -> Result<Verdict, HostKeyError> {
        let own = self.own.hosts()?;
        let decision = own.decide(&self.name, key);
        match &decision {
            HostDecision::Revoked { line } => {
                return Err(self.revoked(key, &self.own.path, *line));
            }
            HostDecision::Changed { lines } => {
                let others = own.lines_of(&self.name);
                let others = others.filter(|line| lines.contains(&line.number));
                let known = others.map(|line| match line.key {
                    Some(key) => key.fingerprint(),
                    None => "a kind of key that is not taken".to_owned(),
                });
                return Err(HostKeyError::Changed {
                    name: known_file::spoken(&self.name),
                    path: self.own.path.clone(),
                    lines: lines.clone(),
                    known: known.collect(),
                    shown: key.fingerprint(),
                });
            }
            HostDecision::Known { .. } | HostDecision::Unknown { .. } => {}
        }
        let ssh = self.ask_ssh(key)?;
        if let NewHost::Pinned(pinned) = &self.new_host
            && *pinned != key.fingerprint()
        {
            return Err(HostKeyError::Pinned {
                name: known_file::spoken(&self.name),
                pinned: pinned.clone(),
                shown: key.fingerprint(),
            });
        }
        if let HostDecision::Known { line } = decision {
            return Ok(Verdict::Known(self.own.path.clone(), line));
        }
        Ok(self.stranger(key, ssh))
    }

    /// Redial itself does not know the host.
    fn stranger(&self, key: &PublicKey, ssh: Ssh) -> Verdict {
        let doubt = match ssh {
            Ssh::Knows(path, line) => return Verdict::Record(Reason::Ssh(path, line)),
            Ssh::KnowsAnother(doubt) => Some(doubt),
            Ssh::KnowsNothing => None,
        };
        // Also where nobody new is accepted any more: this one was.
        if self.confirmed.as_ref() == Some(key) {
            return Verdict::Record(Reason::Confirmed);
        }
        match &self.new_host {
            NewHost::Pinned(_) => Verdict::Record(Reason::Pinned),
            NewHost::Accept => Verdict::Record(Reason::Accepted),
            NewHost::Ask => Verdict::Ask(HostQuestion {
                name: known_file::spoken(&self.name),
                key: key.clone(),
                doubt,
            }),
            NewHost::Refuse => Verdict::Stop(HostKeyError::Unknown {
                name: known_file::spoken(&self.name),
                shown: key.fingerprint(),
                doubt,
            }),
        }
    }

    /// What ssh's files say; what they have revoked stops us.
    fn ask_ssh(&self, key: &PublicKey) -> Result<Ssh, HostKeyError> {
        let mut says = Ssh::KnowsNothing;
        for file in &self.ssh {
            let hosts = file.hosts()?;
            for (at, name) in self.ssh_names.iter().enumerate() {
                match hosts.decide(name, key) {
                    HostDecision::Revoked { line } => {
                        return Err(self.revoked(key, &file.path, line));
                    }
                    HostDecision::Known { line } if at == 0 && !matches!(says, Ssh::Knows(..)) => {
                        says = Ssh::Knows(file.path.clone(), line);
                    }
                    // Its sshd may well have another key than its redial.
                    HostDecision::Changed { lines } if at == 0 && says == Ssh::KnowsNothing => {
                        let line = lines.first().copied().unwrap_or_default();
                        let path = file.path.display();
                        says = Ssh::KnowsAnother(format!(
                            "ssh knows another key of {name} ({path}, line {line})"
                        ));
                    }
                    _ => {}
                }
            }
        }
        Ok(says)
    }

    fn revoked(&self, key: &PublicKey, path: &std::path::Path, line: usize) -> HostKeyError {
        HostKeyError::Revoked {
            name: known_file::spoken(&self.name),
            path: path.to_owned(),
            line,
            shown: key.fingerprint(),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Ssh {
    Knows(PathBuf, usize),
    KnowsAnother(String),
    KnowsNothing,
}
