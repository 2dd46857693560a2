//! Failures in a few words that name no host, so that those of many hosts can be told together.

use std::io;

use redial_net::TcpError;
use redial_net::nats::CallError;
use redial_net::tls::TlsError;

use super::{ConnectError, JobError, StartError, refusal};
use crate::network::{HostKeyError, LoginError, NatsError};

impl ConnectError {
    /// Why, in a few words that are the same for each host it happens to. The error itself says more.
    pub fn brief(&self) -> String {
        match self {
            ConnectError::Unreachable { source, .. } | ConnectError::Program { source, .. } => {
                system(source)
            }
            ConnectError::RuntimeDir(_) => "the place of the socket is not safe".to_owned(),
            ConnectError::Ended { .. } => "the program that carries the line ended".to_owned(),
            ConnectError::Text { .. } => "something printed text before the protocol".to_owned(),
            ConnectError::Route { .. } => "settings that cannot be used".to_owned(),
            ConnectError::Tcp { source, .. } => tcp(source),
            ConnectError::Nats { source, .. } => nats(source),
            ConnectError::Tls {
                source: TlsError::Deadline { .. },
                ..
            } => "no answer in time".to_owned(),
            ConnectError::Tls { .. } => {
                "no TLS there: another kind of server, or a penalty".to_owned()
            }
            ConnectError::HostKey { source, .. } => match &**source {
                HostKeyError::Changed { .. } => "ITS KEY HAS CHANGED",
                HostKeyError::Revoked { .. } => "its key is revoked",
                HostKeyError::Pinned { .. } => "another key than the one asked for",
                HostKeyError::Unknown { .. } => {
                    "its key is not known (redial keys trust, or --accept-new)"
                }
                HostKeyError::Key(_) | HostKeyError::File(_) => "its key cannot be checked",
            }
            .to_owned(),
            ConnectError::Login { source, .. } => match &**source {
                LoginError::NoKeys { .. } => "there is no key to log in with",
                LoginError::Denied { .. } => "login denied",
                _ => "login failed",
            }
            .to_owned(),
            ConnectError::HungUp { .. } => "the server hung up".to_owned(),
            ConnectError::Timeout { timeout, .. } => {
                format!("no answer within {} s", timeout.as_secs_f32())
            }
            ConnectError::Handshake { reason, .. } => reason.to_string(),
        }
    }
}

fn nats(error: &NatsError) -> String {
    match error {
        NatsError::Call(CallError::Broker(error)) => error.to_string(),
        NatsError::Call(CallError::Nobody(_)) => "no host answers to that name".to_owned(),
        NatsError::Call(CallError::Busy(_)) => "the host takes no more lines".to_owned(),
        NatsError::Call(CallError::Strange(_)) => "something else than redial answers".to_owned(),
        NatsError::Call(CallError::Socket(error)) => system(error),
        NatsError::Two { .. } => "two hosts answer to that name".to_owned(),
    }
}

fn tcp(error: &TcpError) -> String {
    match error {
        TcpError::Resolve { .. } => "no address of that name".to_owned(),
        TcpError::Family { .. } | TcpError::Bind { .. } => "cannot dial from --bind".to_owned(),
        TcpError::Unreachable { tried, .. } => match tried.last() {
            Some((_, error)) => system(error),
            None => "no address of that name".to_owned(),
        },
        TcpError::Deadline { .. } => "no answer in time".to_owned(),
    }
}

/// As strerror(3) has it.
fn system(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

impl StartError {
    /// As [`ConnectError::brief`].
    pub fn brief(&self) -> String {
        match self {
            StartError::Refused { code, text } => format!("{}{text}", refusal(*code)),
            StartError::Unsendable(text) => text.clone(),
            StartError::NotSent { reason, .. } | StartError::Lost { reason, .. } => {
                reason.to_string()
            }
            StartError::Random(_) => "no random numbers".to_owned(),
        }
    }
}

impl JobError {
    /// As [`ConnectError::brief`].
    pub fn brief(&self) -> String {
        match self {
            JobError::Start(error) => error.brief(),
            JobError::Lost { reason, .. } => reason.to_string(),
            JobError::Taken { .. } => "another client took the job".to_owned(),
            JobError::Incomplete { stream, .. } => format!("{stream} is not all that was written"),
            JobError::OtherStdin { .. } => "it was given another stdin than was sent".to_owned(),
            JobError::TooMuchOutput { .. } => "too much output".to_owned(),
        }
    }
}
