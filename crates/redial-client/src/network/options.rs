//! How to reach servers on the network, and whom to trust there.

use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use redial_net::auth::{PrivateKey, PublicKey};
use redial_net::nats::BrokerOptions;

use super::cluster::Cluster;
use super::interaction::{Interaction, Nobody};
use super::kept::Kept;
use crate::lock::lock;

/// What to do about a server whose key nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum NewHost {
    /// Ask the [`Interaction`].
    #[default]
    Ask,
    /// Accept and record it.
    Accept,
    /// Stop.
    Refuse,
    /// Accept and record this key alone, by its fingerprint `SHA256:…`. Any other stops,
    /// a known one too.
    Pinned(String),
}

/// What redial's own settings say of a host; each goes before ~/.ssh/config.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostOverrides {
    /// The name or address to dial.
    pub address: Option<String>,
    /// The user on the server.
    pub user: Option<String>,
    /// The port.
    pub port: Option<u16>,
    /// Private key files, tried before others.
    pub identities: Vec<PathBuf>,
    /// As ssh's ProxyJump; `none` for none.
    pub proxy_jump: Option<String>,
    /// As ssh's ProxyCommand; `none` for none.
    pub proxy_command: Option<String>,
}

/// Settings of connections over the network. By default everything is where ssh has it.
#[derive(Clone)]
#[non_exhaustive]
pub struct NetworkOptions {
    /// Where `.ssh` lies. Default: `$HOME`.
    pub home: Option<PathBuf>,
    /// Where redial's own `known_hosts` and `id_ed25519` lie. Default:
    /// `$XDG_CONFIG_HOME/redial`, else `.config/redial` in the home directory.
    pub config_dir: Option<PathBuf>,
    /// The agent's socket. Default: `$SSH_AUTH_SOCK`.
    pub agent: Option<PathBuf>,
    /// Whose program this is: the user on the server if nobody says another. Default:
    /// `$LOGNAME`, else `$USER`.
    pub local_user: Option<String>,
    /// The user on the server, if it is not in the target.
    pub user: Option<String>,
    /// On a Unix socket: the uid that root connects as. Default: as who we are.
    pub as_uid: Option<u32>,
    /// The hosts that ssh knows on this machine. Default: `/etc/ssh/ssh_known_hosts`.
    pub system_known_hosts: PathBuf,
    /// Private key files. If there are any, these and the agent's keys are tried and no
    /// others; with `IdentitiesOnly`, of the agent's only those that are among them.
    pub identities: Vec<PathBuf>,
    /// The source address. Default: as the routing table has it.
    pub bind: Option<IpAddr>,
    /// What to do about unknown servers.
    pub new_host: NewHost,
    /// What redial's settings say of this host.
    pub overrides: HostOverrides,
    interaction: Arc<dyn Interaction + Send + Sync>,
    unlocked: Unlocked,
    /// Connections of the same run: a key that was unlocked for one is for all of them.
    is_together: bool,
    /// Whose turn it is to ask, and why nobody is asked any more.
    asking: Arc<tokio::sync::Mutex<Option<&'static str>>>,
    kept: Arc<Kept>,
    cluster: Arc<Cluster>,
}

/// The key whose passphrase was typed for a connection: who dials it again asks nobody.
type Unlocked = Arc<Mutex<Option<(PublicKey, Arc<PrivateKey>)>>>;

impl Default for NetworkOptions {
    fn default() -> Self {
        let path = |name| absolute(std::env::var_os(name));
        let user = |name| std::env::var(name).ok().filter(|user| !user.is_empty());
        let home = path("HOME");
        NetworkOptions {
            config_dir: config_dir(home.as_deref(), path("XDG_CONFIG_HOME")),
            home,
            agent: path("SSH_AUTH_SOCK"),
            local_user: user("LOGNAME").or_else(|| user("USER")),
            user: None,
            as_uid: None,
            system_known_hosts: PathBuf::from("/etc/ssh/ssh_known_hosts"),
            identities: Vec::new(),
            bind: None,
            new_host: NewHost::default(),
            overrides: HostOverrides::default(),
            interaction: Arc::new(Nobody),
            unlocked: Unlocked::default(),
            is_together: false,
            asking: Arc::default(),
            kept: Arc::default(),
            cluster: Arc::default(),
        }
    }
}

/// What the XDG Base Directory Specification demands of its variables.
fn absolute(path: Option<OsString>) -> Option<PathBuf> {
    path.map(PathBuf::from).filter(|path| path.is_absolute())
}

fn config_dir(home: Option<&Path>, xdg: Option<PathBuf>) -> Option<PathBuf> {
    let base = xdg.or_else(|| Some(home?.join(".config")));
    base.map(|base| base.join("redial"))
}

impl NetworkOptions {
    /// Sets [`Self::home`], and [`Self::config_dir`] to `.config/redial` in it.
    pub fn home(mut self, home: impl Into<PathBuf>) -> Self {
        let home = home.into();
        self.config_dir = config_dir(Some(&home), None);
        self.home = Some(home);
        self
    }

    /// Sets [`Self::config_dir`].
    pub fn config_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.config_dir = Some(dir.into());
        self
    }

    /// Sets [`Self::agent`].
    pub fn agent(mut self, socket: Option<PathBuf>) -> Self {
        self.agent = socket;
        self
    }

    /// Sets [`Self::local_user`].
    pub fn local_user(mut self, user: Option<String>) -> Self {
        self.local_user = user;
        self
    }

    /// Sets [`Self::user`].
    pub fn user(mut self, user: Option<String>) -> Self {
        self.user = user;
        self
    }

    /// Sets [`Self::as_uid`].
    pub fn as_uid(mut self, uid: Option<u32>) -> Self {
        self.as_uid = uid;
        self
    }

    /// Sets [`Self::system_known_hosts`].
    pub fn system_known_hosts(mut self, file: impl Into<PathBuf>) -> Self {
        self.system_known_hosts = file.into();
        self
    }

    /// Adds to [`Self::identities`].
    pub fn identity(mut self, file: impl Into<PathBuf>) -> Self {
        self.identities.push(file.into());
        self
    }

    /// Sets [`Self::bind`].
    pub fn bind(mut self, address: Option<IpAddr>) -> Self {
        self.bind = address;
        self
    }

    /// Sets [`Self::new_host`].
    pub fn new_host(mut self, new_host: NewHost) -> Self {
        self.new_host = new_host;
        self
    }

    /// Sets [`Self::overrides`].
    pub fn overrides(mut self, overrides: HostOverrides) -> Self {
        self.overrides = overrides;
        self
    }

    /// Sets whom to ask. Default: [`Nobody`].
    pub fn interaction(mut self, interaction: Arc<dyn Interaction + Send + Sync>) -> Self {
        self.interaction = interaction;
        self
    }

    /// Where the NATS cluster is that hosts `nats:NAME` are called through. Clones share one
    /// connection to it.
    pub fn nats(mut self, broker: BrokerOptions) -> Self {
        self.cluster = Arc::new(Cluster::new(broker));
        self
    }

    /// The NATS cluster.
    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// For many connections at once, each by a clone of these: a person is asked for a passphrase
    /// once, and the key that it unlocks is for all of them. Settings, keys and known hosts that
    /// were read less than a second ago for one are not read again for another.
    pub fn together(mut self) -> Self {
        self.is_together = true;
        self.kept = Arc::new(Kept::shared());
        self
    }

    /// With nothing unlocked yet, whatever others do with what they were cloned from.
    pub(crate) fn on_their_own(mut self) -> Self {
        if !self.is_together {
            self.unlocked = Unlocked::default();
            self.asking = Arc::default();
        }
        self
    }

    /// Waits until nobody else asks. In it: why nobody is to be asked any more.
    pub(crate) async fn turn_to_ask(&self) -> tokio::sync::MutexGuard<'_, Option<&'static str>> {
        self.asking.lock().await
    }

    /// What was read for those that were cloned from each other.
    pub(crate) fn kept(&self) -> &Arc<Kept> {
        &self.kept
    }

    /// Keeps a key whose passphrase was typed, as long as the connection is dialled again.
    pub(crate) fn keep_unlocked(&self, key: PublicKey, private: Arc<PrivateKey>) {
        *lock(&self.unlocked) = Some((key, private));
    }

    /// The key that is kept.
    pub(crate) fn unlocked(&self) -> Option<(PublicKey, Arc<PrivateKey>)> {
        lock(&self.unlocked).clone()
    }

    pub(crate) fn asked(&self) -> Arc<dyn Interaction + Send + Sync> {
        Arc::clone(&self.interaction)
    }
}

impl fmt::Debug for NetworkOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetworkOptions")
            .field("home", &self.home)
            .field("config_dir", &self.config_dir)
            .field("agent", &self.agent)
            .field("identities", &self.identities)
            .field("new_host", &self.new_host)
            .field("overrides", &self.overrides)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redials_own_files_lie_where_xdg_says_or_below_the_home_directory() {
        let home = Path::new("/h/ada");
        let dir = config_dir(Some(home), None);
        assert_eq!(dir, Some("/h/ada/.config/redial".into()));
        let dir = config_dir(Some(home), Some("/x".into()));
        assert_eq!(dir, Some("/x/redial".into()));
        assert_eq!(config_dir(None, None), None);
        assert_eq!(absolute(Some("relative".into())), None);
        let options = NetworkOptions::default().home("/h");
        assert_eq!(options.config_dir, Some("/h/.config/redial".into()));
    }
}
