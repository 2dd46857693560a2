//! Which failures may be gone in a while, so that trying again makes sense.

use redial_net::proto::message::RefusedCode;

use super::{ConnectError, StartError};

impl ConnectError {
    /// Whether another attempt, later, may succeed: the server or the way to it was not there. What it
    /// said no to, and what is wrong on this side, stays so; and failed logins are counted there.
    pub fn may_pass(&self) -> bool {
        match self {
            ConnectError::Unreachable { .. }
            | ConnectError::Ended { .. }
            | ConnectError::Tcp { .. }
            | ConnectError::Tls { .. }
            | ConnectError::HungUp { .. }
            | ConnectError::Timeout { .. } => true,
            // Too many connections, a shutdown; another version is rare, and costs a few attempts.
            ConnectError::Handshake { .. } => true,
            ConnectError::Nats { source, .. } => source.may_pass(),
            ConnectError::RuntimeDir(_)
            | ConnectError::Program { .. }
            | ConnectError::Text { .. }
            | ConnectError::Route { .. }
            | ConnectError::HostKey { .. }
            | ConnectError::Login { .. } => false,
        }
    }
}

impl StartError {
    /// Whether nothing ran, and another attempt, later, may succeed.
    pub fn may_pass(&self) -> bool {
        const FULL: [RefusedCode; 4] = [
            RefusedCode::Channels,
            RefusedCode::Jobs,
            RefusedCode::LogPool,
            RefusedCode::ShuttingDown,
        ];
        match self {
            StartError::Refused { code, .. } => FULL.iter().any(|full| *full as u16 == *code),
            StartError::NotSent { .. } => true,
            StartError::Unsendable(_) | StartError::Lost { .. } | StartError::Random(_) => false,
        }
    }

    /// Whether the server knows no job of that id.
    pub fn is_unknown_job(&self) -> bool {
        matches!(self, StartError::Refused { code, .. } if *code == RefusedCode::NoSuchJob as u16)
    }
}
