//! The values of `ProxyJump` and `ProxyCommand`: the line as it stands, without ssh's quotes.

use alloc::string::ToString;

use super::{ConfigReason, Proxy};

/// The value of `ProxyCommand`. A comment is the shell's.
pub(super) fn command(text: &[u8]) -> Result<Proxy, ConfigReason> {
    let text = core::str::from_utf8(text).map_err(|_| ConfigReason::NotUtf8("ProxyCommand"))?;
    let command = unmarked(text);
    match command {
        "" => Err(ConfigReason::NoValue("ProxyCommand")),
        none if none.eq_ignore_ascii_case("none") => Ok(Proxy::Direct),
        command => Ok(Proxy::Command(command.to_string())),
    }
}

/// The value of `ProxyJump`.
pub(super) fn jump(text: &[u8]) -> Result<Proxy, ConfigReason> {
    let text = core::str::from_utf8(text).map_err(|_| ConfigReason::NotUtf8("ProxyJump"))?;
    let hosts = unmarked(text);
    let hosts = hosts.split('#').next().unwrap_or_default().trim_end();
    if hosts.eq_ignore_ascii_case("none") {
        return Ok(Proxy::NoJump);
    }
    match hosts.split(',').all(is_hop) {
        true => Ok(Proxy::Jump(hosts.to_string())),
        false => Err(ConfigReason::Jump),
    }
}

/// ssh takes any number of `=` before these.
fn unmarked(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\r', '=']).trim_end()
}

/// Whether this is `[user@]host[:port]`, or the same behind `ssh://`.
///
/// Source: parse_user_host_port and parse_ssh_uri in OpenSSH; what a name may have, valid_hostname
/// and valid_ruser in 9.6 and later, so that no shell and no program's options get it wrong.
fn is_hop(text: &str) -> bool {
    let (text, uri) = match text.strip_prefix("ssh://") {
        Some(rest) => (rest.strip_suffix('/').unwrap_or(rest), true),
        None => (text, false),
    };
    let (user, address) = match text.rsplit_once('@') {
        Some((user, address)) => (Some(user), address),
        None => (None, text),
    };
    let split = match address.strip_prefix('[') {
        // ssh does not take these in its URIs.
        Some(_) if uri => None,
        Some(rest) => rest.split_once(']').and_then(|(host, rest)| match rest {
            "" => Some((host, "")),
            _ => Some((host, rest.strip_prefix(':')?)),
        }),
        None => Some(address.split_once(':').unwrap_or((address, ""))),
    };
    let Some((host, port)) = split else {
        return false;
    };
    user.is_none_or(is_user) && is_host(host) && (port.is_empty() || super::reader::is_port(port))
}

const FOR_A_SHELL: &str = "'`\"$\\;&<>|(){}";

fn is_host(host: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control() || "/@[]%".contains(c);
    let odd = |c: char| odd(c) || FOR_A_SHELL.contains(c);
    !host.is_empty() && !host.starts_with('-') && !host.contains(odd)
}

fn is_user(user: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control() || FOR_A_SHELL.contains(c);
    !user.is_empty() && !user.starts_with('-') && !user.contains(odd)
}
