//! What can go wrong: what, where, and what to do about it.

mod brief;
mod passing;
mod query;

use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use redial_net::proto::message::{GoodbyeCode, RefusedCode};
use redial_net::proto::{ErrorCode, JobId};
use redial_net::tls::TlsError;
use redial_net::{DriveError, TcpError};

use crate::job::Output;
use crate::network::{HostKeyError, LoginError, NatsError, RouteError};
use crate::outcome::Outcome;
use crate::runtime_dir::RuntimeDirError;
use crate::target::Target;

pub use query::QueryError;
use query::refusal;

/// There is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody listens, or we may not connect.
    #[error("{target:#} cannot connect to {}: {source}{}", path.display(), advice(source))]
    Unreachable {
        /// Where to.
        target: Target,
        /// The socket.
        path: std::path::PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The place of the default socket cannot be trusted.
    #[error("unix: {0}")]
    RuntimeDir(#[from] RuntimeDirError),
    /// The program that is to carry the line does not start.
    #[error("{target:#} cannot start {program}: {source}")]
    Program {
        /// Where to.
        target: Target,
        /// The program.
        program: String,
        /// Why not.
        source: io::Error,
    },
    /// The program ended instead of answering.
    #[error(
        "{target:#} the program ended before it answered ({status}); what it said, if anything, is above"
    )]
    Ended {
        /// Where to.
        target: Target,
        /// How.
        status: ExitStatus,
    },
    /// The program's stdout is not a line to a server: something else came first.
    #[error(
        "{target:#} the program printed text before the protocol, beginning with {text:?}{}; \
         it must carry a 'redial serve --stdio' and print nothing of its own on stdout",
        status.map(|status| format!(", and ended ({status})")).unwrap_or_default()
    )]
    Text {
        /// Where to.
        target: Target,
        /// The first line that is not empty, at most 200 bytes of it.
        text: String,
        /// How the program ended, if it did by itself.
        status: Option<ExitStatus>,
    },
    /// The way to a host on the network is not known.
    #[error("{target:#} {source}")]
    Route {
        /// Where to.
        target: Target,
        /// Why.
        source: Box<RouteError>,
    },
    /// Nobody answers there.
    #[error("{target:#} {source}{}", tcp_advice(source))]
    Tcp {
        /// Where to.
        target: Target,
        /// What each address said.
        source: TcpError,
    },
    /// The host cannot be called through the NATS cluster.
    #[error("{target:#} {source}")]
    Nats {
        /// Where to.
        target: Target,
        /// Why.
        source: Box<NatsError>,
    },
    /// There is no TLS with what answers.
    #[error(
        "{target:#} {source}{}; is there a redial server at that port, and has it not refused this \
         address for a while after failed logins?",
        status.map(|status| format!(
            "; the program that is to carry the line has ended ({status}), what it said, if \
             anything, is above"
        )).unwrap_or_default()
    )]
    Tls {
        /// Where to.
        target: Target,
        /// How far it came.
        source: TlsError,
        /// How the proxy's program ended, if it did by itself.
        status: Option<ExitStatus>,
    },
    /// The server is not known to be the right one.
    #[error("{target:#} {source}")]
    HostKey {
        /// Where to.
        target: Target,
        /// Why.
        source: Box<HostKeyError>,
    },
    /// The server does not let us in.
    #[error("{target:#} {source}")]
    Login {
        /// Where to.
        target: Target,
        /// Why.
        source: Box<LoginError>,
    },
    /// The line ended without a word.
    #[error(
        "{target:#} the server hung up before its hello: too many connections, or no redial server there ({reason})"
    )]
    HungUp {
        /// Where to.
        target: Target,
        /// How the line ended.
        reason: Lost,
    },
    /// It took too long.
    #[error("{target:#} no answer within {} s", timeout.as_secs_f32())]
    Timeout {
        /// Where to.
        target: Target,
        /// How long we waited.
        timeout: Duration,
    },
    /// What is there said no, or speaks something else.
    #[error("{target:#} {reason}")]
    Handshake {
        /// Where to.
        target: Target,
        /// Why.
        reason: Lost,
    },
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            "; is 'redial serve' running there?"
        }
        io::ErrorKind::PermissionDenied => "; a server serves its own user and root only",
        _ => "",
    }
}

fn tcp_advice(error: &TcpError) -> &'static str {
    match error {
        TcpError::Resolve { .. } => "; is the name right? ~/.ssh/config may say its HostName",
        TcpError::Family { .. } | TcpError::Bind { .. } => "",
        TcpError::Unreachable { .. } | TcpError::Deadline { .. } => {
            "; is 'redial serve --listen' running there, and may its port be reached?"
        }
    }
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Lost {
    reason: Arc<str>,
    /// The transport just ended: what is behind it may know more.
    pub(crate) without_a_word: bool,
    /// The line is gone, not the wish to talk: another may do.
    pub(crate) is_drop: bool,
}

impl Lost {
    pub(crate) fn closed_here() -> Self {
        Lost::because("the connection was closed on this side")
    }

    pub(crate) fn of(end: &Result<(), DriveError>) -> Self {
        match end {
            Ok(()) => Lost::because("the server closed the connection"),
            Err(DriveError::Goodbye(goodbye)) => {
                let (what, code) = (farewell(goodbye.code), goodbye.code);
                let reason = match goodbye.text.as_str() {
                    "" => Lost::because(format!("{what} (goodbye {code})")),
                    text => Lost::because(format!("{what} (goodbye {code}: {text})")),
                };
                Lost {
                    is_drop: code == GoodbyeCode::Silent as u16,
                    ..reason
                }
            }
            Err(DriveError::Protocol(error)) if error.code == ErrorCode::Silent => Lost {
                is_drop: true,
                ..Lost::because("nothing was heard of the server any more")
            },
            Err(DriveError::Protocol(error)) => Lost::because(format!(
                "what the other side says is not redial's protocol: {error}"
            )),
            Err(error @ DriveError::Dropped { .. }) => Lost {
                without_a_word: true,
                is_drop: true,
                ..Lost::because(error.to_string())
            },
        }
    }

    pub(crate) fn because(reason: impl Into<Arc<str>>) -> Self {
        Lost {
            reason: reason.into(),
            without_a_word: false,
            is_drop: false,
        }
    }
}

fn farewell(code: u16) -> &'static str {
    const CODES: [(GoodbyeCode, &str); 7] = [
        (GoodbyeCode::Protocol, "the server did not understand us"),
        (
            GoodbyeCode::Version,
            "the server speaks another version of the protocol",
        ),
        (GoodbyeCode::Handshake, "the server waited too long for us"),
        (GoodbyeCode::Unauthenticated, "the server does not know us"),
        (GoodbyeCode::ShuttingDown, "the server is shutting down"),
        (
            GoodbyeCode::TooManyConnections,
            "the server has too many connections; try again later",
        ),
        (GoodbyeCode::Silent, "the server had not heard from us"),
    ];
    let known = CODES.iter().find(|(known, _)| *known as u16 == code);
    known.map_or("the server closed the connection", |(_, text)| text)
}

/// A command that was not started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The server said no; nothing ran.
    #[error("{}{text}", refusal(*.code))]
    Refused {
        /// See PROTOCOL.md section 4, codes.
        code: u16,
        /// The server's words.
        text: String,
    },
    /// The command cannot be sent: too long, and the like. Nothing ran.
    #[error("the command cannot be sent: {0}")]
    Unsendable(String),
    /// The connection went before the command was sent. Nothing ran.
    #[error("job {job} was not sent, nothing ran: {reason}")]
    NotSent {
        /// The job.
        job: JobId,
        /// Why the connection ended.
        reason: Lost,
    },
    /// The connection went before there was an answer: it may have run.
    #[error("job {job}: whether it started is not known: {reason}")]
    Lost {
        /// The job.
        job: JobId,
        /// Why the connection ended.
        reason: Lost,
    },
    /// No random numbers for its id.
    #[error("no random numbers for a job's id: {0}")]
    Random(String),
}

impl StartError {
    /// Whether the server cannot do this at all, as it is.
    pub(crate) fn is_unsupported(&self) -> bool {
        matches!(self, StartError::Refused { code, .. } if *code == RefusedCode::Unsupported as u16)
    }
}

/// A job whose outcome is not known, or not to be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// It was not started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The connection ended first.
    #[error("job {job}: lost before its outcome was known: {reason}")]
    Lost {
        /// The job.
        job: JobId,
        /// Why the connection ended.
        reason: Lost,
    },
    /// Another client reads and controls it now. It runs on.
    #[error("job {job}: another client took this job; nothing more of it is seen here")]
    Taken {
        /// The job.
        job: JobId,
    },
    /// What arrived is not what the command wrote.
    #[error("job {job}: {stream} is not what the command wrote: {reason}")]
    Incomplete {
        /// The job.
        job: JobId,
        /// Which stream.
        stream: Output,
        /// The difference.
        reason: String,
        /// How the command ended, all the same.
        outcome: Box<Outcome>,
    },
    /// What the command was given is not what was written.
    #[error("job {job}: the command was given another stdin than was written: {reason}")]
    OtherStdin {
        /// The job.
        job: JobId,
        /// The difference.
        reason: String,
        /// How the command ended, all the same.
        outcome: Box<Outcome>,
    },
    /// More output than [`crate::Client::run`] may collect; the job was cancelled.
    #[error("job {job}: {stream} is longer than {limit} bytes; read it as a stream instead")]
    TooMuchOutput {
        /// The job.
        job: JobId,
        /// Which stream.
        stream: Output,
        /// The limit.
        limit: usize,
    },
}

/// Stdin that cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StdinError {
    /// The command reads no more, or has ended. What was not sent is not wanted.
    #[error("the command reads no more of its stdin")]
    Closed,
    /// The command was started without stdin, or its end was already said.
    #[error("this job has no stdin, or its end was already said")]
    NoStdin,
}

/// A control that was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// The job is over, or its connection is.
    #[error("the job is over")]
    Over,
    /// The server has not taken the ones before.
    #[error("{limit} controls are on their way already", limit = crate::job::CONTROLS_MAX)]
    TooMany,
}
