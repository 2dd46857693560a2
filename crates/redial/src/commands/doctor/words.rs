//! What is wrong with a connection, apart from what to do about it.

use redial_client::network::{HostKeyError, HostQuestion, LoginError};
use redial_client::{ConnectError, Target};

use super::finding::Finding;

const IS_IT_THERE: &str = "is 'redial serve --listen' running there, and may its port be reached?";
const IS_IT_REDIAL: &str = "is there a redial server at that port? 7334 is the usual one";

/// A step that a connection did not survive. The target is not named again on every line.
pub(super) fn failed(step: &'static str, target: &Target, error: &ConnectError) -> Finding {
    match error {
        ConnectError::Tcp { source, .. } => Finding::wrong(step, source).advice(IS_IT_THERE),
        ConnectError::Tls { source, .. } => Finding::wrong(step, source).advice(IS_IT_REDIAL),
        ConnectError::Nats { source, .. } => Finding::wrong(step, source),
        ConnectError::Route { source, .. } => Finding::wrong(step, source),
        ConnectError::HostKey { source, .. } => match &**source {
            HostKeyError::File(text) => Finding::wrong(step, text),
            source => host_key(step, &host_of(target), source),
        },
        ConnectError::Login { source, .. } => login(step, source),
        ConnectError::Program {
            program, source, ..
        } => Finding::wrong(step, format_args!("cannot start {program}: {source}")),
        error => {
            let text = error.to_string();
            let named = format!("{target:#} ");
            Finding::wrong(step, text.strip_prefix(&named).unwrap_or(&text))
        }
    }
}

/// A server's key that is not to be trusted.
pub(super) fn host_key(step: &'static str, host: &str, error: &HostKeyError) -> Finding {
    match error {
        HostKeyError::Changed {
            path,
            lines,
            known,
            shown,
            ..
        } => {
            let lines: Vec<_> = lines.iter().map(usize::to_string).collect();
            let text = format!(
                "{shown}, but known is {} ({}, line {})",
                known.join(" and "),
                path.display(),
                lines.join(", ")
            );
            Finding::wrong(step, text).advice(format_args!(
                "the key has changed, or somebody else answers in its place: only if you know \
                 that it changed, run 'redial keys forget {host}'"
            ))
        }
        HostKeyError::Revoked {
            path, line, shown, ..
        } => {
            let text = format!("{shown} is revoked ({}, line {line})", path.display());
            Finding::wrong(step, text).advice(
                "whoever has that key is not to be trusted; the server needs a new one, with \
                 'redial serve --host-key'",
            )
        }
        HostKeyError::Pinned { pinned, shown, .. } => {
            let text = format!("{shown}, not the one asked for, {pinned}");
            Finding::wrong(step, text).advice("this is not the server that was meant")
        }
        HostKeyError::Unknown { shown, doubt, .. } => unknown(step, host, shown, doubt.as_deref()),
        HostKeyError::Key(_) | HostKeyError::File(_) => Finding::wrong(step, error),
    }
}

/// Somebody would have to be asked.
pub(super) fn question(step: &'static str, host: &str, question: &HostQuestion) -> Finding {
    let doubt = question.doubt.as_deref();
    unknown(step, host, &question.key.fingerprint(), doubt)
}

fn unknown(step: &'static str, host: &str, shown: &str, doubt: Option<&str>) -> Finding {
    let doubt = doubt.map(|doubt| format!(" ({doubt})")).unwrap_or_default();
    Finding::wrong(step, format_args!("{shown} is not known{doubt}")).advice(format_args!(
        "compare it with what the server logs when it starts, or 'redial keys' says there; if it \
         is that one, run 'redial keys trust {host}{}'",
        if host.starts_with("nats:") {
            " --nats …"
        } else {
            ""
        }
    ))
}

fn login(step: &'static str, error: &LoginError) -> Finding {
    match error {
        LoginError::NoAuthentication | LoginError::NoNonce | LoginError::Rules(_) => {
            Finding::wrong(step, error).advice("is it a redial server of this version?")
        }
        LoginError::NoKeys { .. } | LoginError::Denied { .. } => Finding::wrong(step, error),
    }
}

/// As it may be typed behind `redial keys`.
pub(super) fn host_of(target: &Target) -> String {
    match target {
        Target::Network(host) => {
            let mut host = host.clone();
            host.user = None;
            host.to_string()
        }
        other => other.to_string(),
    }
}
