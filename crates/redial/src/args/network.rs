//! Flags of every command that reaches hosts on the network.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;

use super::NatsArgs;

/// What HOST may be, for each command's help.
pub(super) const HOSTS: &str = "\
HOST is one of
  [user@]host[:port]  a server on the network, port 7334, with the SSH keys you have
  [user@]nats:NAME    a host that has dialled out ('redial serve --nats') to the NATS cluster of --nats
  local:              a private server on this machine, which ends with the command
  unix:PATH           a server's socket; unix: alone is the default one, in /run/redial as
                      root, else in $XDG_RUNTIME_DIR/redial or /tmp/redial-UID
  exec:COMMAND        any program that carries the protocol on its stdin and stdout, given to
                      /bin/sh: 'exec:ssh web1 redial serve --stdio'. It may ask for a password
                      on the terminal, within --connect-timeout; Ctrl-C is for the command

On the network: your keys are those of --identity or ~/.ssh/config, the agent's, then ~/.ssh/id_*
and ~/.config/redial/id_ed25519. Whether the server is the right one, ~/.config/redial/known_hosts
says; on first contact ssh's known_hosts may confirm it, or you are asked on the terminal. From
~/.ssh/config come HostName, User, IdentityFile, IdentityAgent, IdentitiesOnly, ProxyJump and
ProxyCommand; [host.NAME] in redial's own settings file goes before it (address, user, port,
identity, proxy-jump, proxy-command).";

/// See [`HOSTS`].
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Hosts on the network")]
pub(crate) struct NetworkArgs {
    /// The user on the server, as USER@; on a Unix socket root may be any user
    #[arg(short = 'l', long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// A private key to log in with; repeatable. Then no others are tried but the agent's
    #[arg(short, long, value_name = "FILE", value_parser = identity)]
    pub(crate) identity: Vec<PathBuf>,
    /// Accept a host that is not known, and remember its key
    #[arg(long, conflicts_with = "host_key")]
    pub(crate) accept_new: bool,
    /// Accept the host only with this key, and remember it
    #[arg(long, value_name = "SHA256:…", value_parser = fingerprint)]
    pub(crate) host_key: Option<String>,
    /// Dial from this address of ours
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) bind: Option<IpAddr>,
    #[command(flatten)]
    pub(crate) nats: NatsArgs,
}

/// `-it` is docker's, and would be a key named t.
fn identity(text: &str) -> Result<PathBuf, String> {
    match text {
        "t" => Err(
            "-it is docker's: stdin is always passed on (-n: none), and a terminal is -t"
                .to_owned(),
        ),
        path => Ok(PathBuf::from(path)),
    }
}

/// As `ssh-keygen -l` prints it: SHA256: and 43 letters of base64.
fn fingerprint(text: &str) -> Result<String, String> {
    let hash = text.strip_prefix("SHA256:").unwrap_or_default();
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    if hash.len() == 43 && hash.bytes().all(letter) {
        Ok(text.to_owned())
    } else {
        Err("a fingerprint is SHA256: and 43 letters, as `redial keys` and `ssh-keygen -l` print it".to_owned())
    }
}
