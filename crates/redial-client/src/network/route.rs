//! Where a host is and as whom to go there: what was typed, then redial's settings, then
//! ~/.ssh/config, then what goes without saying.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redial_net::auth::limits;
use redial_net::auth::ssh_config::{
    self, HostSettings, IdentityAgent, Included, Proxy, Query, Tokens,
};
use redial_net::nats::Name;

use super::error::RouteError;
use super::kept::{Medium, not_kept};
use super::options::NetworkOptions;
use super::user_file;
use crate::target::{DEFAULT_PORT, HostTarget, is_host, is_user, nats_name};

/// Files that one `Include` may mean. Stops a pattern from reading a whole disk.
const INCLUDED: usize = 64;

/// The way to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The host as it was typed: its key is known under this name.
    pub typed: String,
    /// The name or address to dial.
    pub address: String,
    /// The port.
    pub port: u16,
    /// The user on the server.
    pub user: String,
    /// What carries the line.
    pub via: Via,
    /// Private key files to try, in this order, and whether somebody named them.
    pub identity_files: Vec<(PathBuf, Named)>,
    /// The agent's socket.
    pub agent: Option<PathBuf>,
    /// Of the agent's keys, only those that are also among the files.
    pub identities_only: bool,
}

/// How a line is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// TCP.
    Tcp,
    /// A host that has dialled out to a NATS cluster, called there by its name.
    Nats(Name),
    /// This command line of /bin/sh; its stdio is the line.
    Command(String),
    /// ssh with these arguments; its stdio is the line.
    Jump(Vec<String>),
}

/// Who says that a key file is to be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Named {
    /// The caller (`--identity`) or redial's settings.
    Explicitly,
    /// `IdentityFile` of ~/.ssh/config.
    BySsh,
    /// Nobody; it is one of ssh's usual names.
    ByDefault,
}

impl Route {
    /// Finds the way. Reads files.
    ///
    /// # Errors
    ///
    /// [`RouteError`].
    pub fn find(target: &HostTarget, options: &NetworkOptions) -> Result<Self, RouteError> {
        Route::find_in(target, options, Medium::Disk)
    }

    pub(crate) fn find_in(
        target: &HostTarget,
        options: &NetworkOptions,
        from: Medium,
    ) -> Result<Self, RouteError> {
        let own = &options.overrides;
        let local_user = options.local_user.clone().unwrap_or_default();
        let typed_user = target.user.clone().or_else(|| options.user.clone());
        let typed_user = typed_user.or_else(|| own.user.clone());
        let ssh = read_config(target, typed_user.as_deref(), &local_user, options, from)?;
        let user = typed_user
            .or_else(|| ssh.user.clone())
            .or_else(|| options.local_user.clone())
            .ok_or_else(|| RouteError::NoUser(target.host.clone()))?;
        if !is_user(&user) {
            return Err(RouteError::User(user));
        }
        let address = own.address.clone().or_else(|| ssh.host_name.clone());
        let address = address.unwrap_or_else(|| target.host.clone());
        if !is_host(&address) {
            return Err(RouteError::Address(target.host.clone(), address));
        }
        let home = options.home.clone().unwrap_or_default();
        let tokens = Tokens {
            host: &address,
            host_typed: &target.host,
            port: target.port.or(own.port).unwrap_or(DEFAULT_PORT),
            user: &user,
            local_user: &local_user,
            home: home.to_str().unwrap_or_default(),
            uid: Some(rustix::process::getuid().as_raw()),
            local_host: None,
        };
        let via = match target.nats() {
            Some(name) => Via::Nats(name),
            None => via(&ssh, options, &tokens)?,
        };
        Ok(Route {
            typed: target.host.clone(),
            via,
            identity_files: identity_files(&ssh, options, &tokens)?,
            agent: agent(&ssh, options, &tokens)?,
            identities_only: ssh.identities_only.unwrap_or(false),
            port: tokens.port,
            address: address.clone(),
            user: user.clone(),
        })
    }

    /// Host and port as people write them: `web1:7334`, `[::1]:7334`.
    pub fn place(&self) -> String {
        place(&self.address, self.port)
    }
}

fn place(host: &str, port: u16) -> String {
    match host.contains(':') {
        true if nats_name(host).is_some() => host.to_owned(),
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

fn via(
    ssh: &HostSettings,
    options: &NetworkOptions,
    tokens: &Tokens<'_>,
) -> Result<Via, RouteError> {
    let own = &options.overrides;
    let set = |text: &Option<String>| text.clone().map(|text| (text != "none").then_some(text));
    let proxy = match (set(&own.proxy_command), set(&own.proxy_jump)) {
        (Some(Some(command)), _) => Proxy::Command(command),
        (_, Some(Some(jump))) => Proxy::Jump(jump),
        (None, None) => ssh.proxy.clone().unwrap_or(Proxy::Direct),
        _ => Proxy::Direct,
    };
    match proxy {
        Proxy::Direct | Proxy::NoJump => Ok(Via::Tcp),
        Proxy::Command(template) => {
            // The shell would run what a name has in it; none of these has.
            if !is_host(tokens.host_typed) {
                return Err(RouteError::Address(
                    tokens.host_typed.to_owned(),
                    tokens.host_typed.to_owned(),
                ));
            }
            let command = ssh_config::expand(&template, tokens)
                .map_err(|source| RouteError::Token("ProxyCommand", source))?;
            Ok(Via::Command(command))
        }
        Proxy::Jump(hosts) => jump(&hosts, &place(tokens.host, tokens.port)).map(Via::Jump),
    }
}

/// As ssh does it itself: through all but the last by `-J`, from the last by `-W`.
fn jump(hosts: &str, to: &str) -> Result<Vec<String>, RouteError> {
    let each: Result<Vec<_>, _> = hosts
        .split(',')
        .map(|host| {
            let host = host.trim();
            let plain = host.strip_prefix("ssh://").unwrap_or(host);
            HostTarget::parse(plain.strip_suffix('/').unwrap_or(plain))
        })
        .collect();
    let mut each = each.map_err(|source| RouteError::Jump(hosts.to_owned(), source))?;
    let last = each.pop().expect("splitting gives at least one part");
    let mut arguments = Vec::new();
    if !each.is_empty() {
        let first: Vec<_> = each.iter().map(HostTarget::to_string).collect();
        arguments.extend(["-J".to_owned(), first.join(",")]);
    }
    if let Some(user) = last.user {
        arguments.extend(["-l".to_owned(), user]);
    }
    if let Some(port) = last.port {
        arguments.extend(["-p".to_owned(), port.to_string()]);
    }
    arguments.extend(["-W".to_owned(), to.to_owned(), "--".to_owned(), last.host]);
    Ok(arguments)
}

fn identity_files(
    ssh: &HostSettings,
    options: &NetworkOptions,
    tokens: &Tokens<'_>,
) -> Result<Vec<(PathBuf, Named)>, RouteError> {
    let given = options.identities.iter().cloned();
    let given: Vec<_> = given.map(|path| (path, Named::Explicitly)).collect();
    if !given.is_empty() {
        return Ok(given);
    }
    let mut files = Vec::new();
    let own = options.overrides.identities.iter().cloned();
    files.extend(own.map(|path| (path, Named::Explicitly)));
    for template in &ssh.identity_files {
        let path = expand(template, tokens, "IdentityFile")?;
        files.push((path, Named::BySsh));
    }
    if !ssh.identity_files_given
        && let Some(ssh) = options.home.as_ref().map(|home| home.join(".ssh"))
    {
        let names = [
            "id_ed25519",
            "id_ecdsa",
            "id_rsa",
            "id_ed25519_sk",
            "id_ecdsa_sk",
        ];
        let usual = names.map(|name| (ssh.join(name), Named::ByDefault));
        files.extend(usual);
    }
    if let Some(dir) = &options.config_dir {
        files.push((dir.join("id_ed25519"), Named::ByDefault));
    }
    Ok(files)
}

fn agent(
    ssh: &HostSettings,
    options: &NetworkOptions,
    tokens: &Tokens<'_>,
) -> Result<Option<PathBuf>, RouteError> {
    match &ssh.identity_agent {
        None => Ok(options.agent.clone()),
        Some(IdentityAgent::None) => Ok(None),
        Some(IdentityAgent::Variable(name)) if name == "SSH_AUTH_SOCK" => Ok(options.agent.clone()),
        Some(IdentityAgent::Variable(name)) => Ok(std::env::var_os(name).map(PathBuf::from)),
        Some(IdentityAgent::Socket(path)) => expand(path, tokens, "IdentityAgent").map(Some),
    }
}

fn expand(template: &str, tokens: &Tokens<'_>, what: &'static str) -> Result<PathBuf, RouteError> {
    let variable = |name: &str| std::env::var(name).ok();
    let path = ssh_config::expand_path(template, tokens, &variable);
    let path = path.map_err(|source| RouteError::Token(what, source))?;
    Ok(PathBuf::from(path))
}

/// What ~/.ssh/config says of the host, with what it includes.
fn read_config(
    target: &HostTarget,
    user: Option<&str>,
    local_user: &str,
    options: &NetworkOptions,
    from: Medium,
) -> Result<HostSettings, RouteError> {
    let Some(ssh) = options.home.as_ref().map(|home| home.join(".ssh")) else {
        return Ok(HostSettings::default());
    };
    let path = ssh.join("config");
    let Some(text) = config(&path, options, from)? else {
        return Ok(HostSettings::default());
    };
    let Some(home) = options.home.as_deref().and_then(Path::to_str) else {
        let reason = "the name of the home directory is not UTF-8".to_owned();
        return Err(RouteError::Unreadable { path, reason });
    };
    let mut failed = None;
    let mut include = |pattern: &str| {
        let pattern = match ssh_config::expand_home(pattern, home) {
            Ok(pattern) => ssh.join(pattern),
            Err(source) => {
                failed.get_or_insert(RouteError::Token("Include", source));
                return Vec::new();
            }
        };
        match included(&pattern, options, from) {
            Ok(files) => files.to_vec(),
            Err(error) => {
                failed.get_or_insert(error);
                Vec::new()
            }
        }
    };
    let query = Query {
        host: &target.host,
        user,
        local_user,
    };
    let settings = ssh_config::settings_with(&text, &query, &mut include);
    if let Some(error) = failed {
        return Err(error);
    }
    let settings = settings.map_err(|source| RouteError::Config {
        path: path.clone(),
        source,
    })?;
    for place in &settings.passed_over {
        tracing::warn!(file = %path.display(), %place, "this Match block is not decided here and passed over");
    }
    Ok(settings)
}

/// The text of the file, if there is one.
fn config(
    path: &Path,
    options: &NetworkOptions,
    from: Medium,
) -> Result<Option<Arc<[u8]>>, RouteError> {
    let configs = &options.kept().configs;
    match from {
        Medium::Memory => configs.get(path).ok_or_else(|| not_kept(path)),
        Medium::Disk => {
            let text = read_trusted(path)?.map(Arc::from);
            Ok(configs.put(path.to_owned(), text))
        }
    }
}

/// The files that an `Include` means.
fn included(
    pattern: &Path,
    options: &NetworkOptions,
    from: Medium,
) -> Result<Arc<[Included]>, RouteError> {
    let kept = &options.kept().included;
    if from == Medium::Memory {
        return kept.get(pattern).ok_or_else(|| not_kept(pattern));
    }
    let mut files = Vec::new();
    for file in user_file::matching(pattern, INCLUDED) {
        if let Some(text) = read_trusted(&file)? {
            files.push(Included {
                name: file.display().to_string(),
                text,
            });
        }
    }
    Ok(kept.put(pattern.to_owned(), files.into()))
}

/// A file that names commands to run: nobody else may have written it, as ssh demands.
fn read_trusted(path: &Path) -> Result<Option<Vec<u8>>, RouteError> {
    let unreadable = |reason: String| RouteError::Unreadable {
        path: path.to_owned(),
        reason,
    };
    let file = match user_file::open(path) {
        Ok(file) => file,
        Err(error) if user_file::is_absent(&error) => return Ok(None),
        Err(error) => return Err(unreadable(error.to_string())),
    };
    let may_write = others_may_write(&file).map_err(|error| unreadable(error.to_string()))?;
    if may_write {
        return Err(RouteError::Untrusted(path.to_owned()));
    }
    let text = user_file::text(file, limits::FILE_BYTES);
    text.map(Some)
        .map_err(|error| unreadable(error.to_string()))
}

fn others_may_write(file: &File) -> std::io::Result<bool> {
    let found = file.metadata()?;
    let owners = [0, rustix::process::getuid().as_raw()];
    Ok(found.mode() & 0o022 != 0 || !owners.contains(&found.uid()))
}
