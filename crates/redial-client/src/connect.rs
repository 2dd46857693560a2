//! Opens a line to a target and starts the driver on it.

use std::process::Command as Process;
use std::sync::Arc;
use std::time::Duration;

use redial_net::proto::message::ServerHello;
use redial_net::proto::{Config, Connection};
use redial_net::{Over, Program, Transport, drive, program};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use crate::error::{ConnectError, Lost};
use crate::options::ConnectOptions;
use crate::runtime_dir::default_socket;
use crate::session::ClientSession;
use crate::shared::Shared;
use crate::target::Target;

/// How long a program that has closed its line may take to end, for its exit status.
const STATUS_TIMEOUT: Duration = Duration::from_secs(1);
/// Silence after which an `exec:` line is asked for a sign of life.
const KEEPALIVE_MS: u32 = 15_000;

/// A line whose server has said hello.
pub(crate) struct Line {
    pub(crate) shared: Arc<Shared>,
    pub(crate) hello: ServerHello,
    /// True when the driver has ended.
    pub(crate) over: watch::Receiver<bool>,
}

/// Connects and shakes hands, within the timeout.
pub(crate) async fn open(target: &Target, options: &ConnectOptions) -> Result<Line, ConnectError> {
    let limit = options.connect_timeout;
    let opened = timeout(limit, open_untimed(target, options)).await;
    opened.unwrap_or_else(|_| {
        Err(ConnectError::Timeout {
            target: target.clone(),
            timeout: limit,
        })
    })
}

async fn open_untimed(target: &Target, options: &ConnectOptions) -> Result<Line, ConnectError> {
    let (transport, program) = dial(target, options).await?;
    shake_hands(target, options, transport, program).await
}

/// Starts the driver and waits for the server's hello.
pub(crate) async fn shake_hands(
    target: &Target,
    options: &ConnectOptions,
    transport: Transport,
    program: Option<Program>,
) -> Result<Line, ConnectError> {
    let mut config = Config::client();
    if matches!(target, Target::Exec(_)) {
        config.limits.keepalive_ms = KEEPALIVE_MS;
    }
    let shared = Arc::new(Shared::default());
    let (hello, heard) = oneshot::channel();
    let session = ClientSession::new(Arc::clone(&shared), hello, options.window_bytes);
    let (over_sender, over) = watch::channel(false);
    tokio::spawn(run(transport, config, session, over_sender));
    match heard.await {
        Ok(hello) => {
            if let Some(mut program) = program {
                // Reaps it; how a server ends after its hello is no news.
                tokio::spawn(async move { program.wait().await });
            }
            Ok(Line {
                shared,
                hello,
                over,
            })
        }
        Err(_) => Err(no_hello(target, &shared, program).await),
    }
}

async fn run(
    transport: Transport,
    config: Config,
    mut session: ClientSession,
    over: watch::Sender<bool>,
) {
    let connection = Connection::client(config, Duration::ZERO);
    let ended = drive(transport, connection, &mut session).await;
    if let Err(error) = &ended {
        tracing::debug!(%error, "the connection ended");
    }
    session.end(Lost::of(&ended));
    over.send_replace(true);
}

/// The transport, and the program behind it if there is one.
async fn dial(
    target: &Target,
    options: &ConnectOptions,
) -> Result<(Transport, Option<Program>), ConnectError> {
    let (command, over) = match target {
        Target::Unix(path) => {
            let path = path.clone().map_or_else(default_socket, Ok)?;
            let connected = Transport::unix(&path).await;
            return connected
                .map(|transport| (transport, None))
                .map_err(|source| ConnectError::Unreachable {
                    target: target.clone(),
                    path,
                    source,
                });
        }
        Target::Local => {
            let mut command = Process::new(&options.local_program);
            command.args(["serve", "--stdio", "--private"]);
            (command, Over::Socket)
        }
        Target::Exec(text) => {
            let mut command = Process::new("/bin/sh");
            command.arg("-c").arg(text);
            (command, Over::Pipes)
        }
    };
    let name = command.get_program().to_string_lossy().into_owned();
    let (transport, child) = program(command, over).map_err(|source| ConnectError::Program {
        target: target.clone(),
        program: name,
        source,
    })?;
    Ok((transport, Some(child)))
}

/// Why there was no hello. Where the line just ended, the program's end says more.
async fn no_hello(target: &Target, shared: &Shared, program: Option<Program>) -> ConnectError {
    let target = target.clone();
    let reason = shared.lost().unwrap_or_else(Lost::closed_here);
    if let Some(mut program) = program
        && reason.without_a_word
        && let Ok(Ok(status)) = timeout(STATUS_TIMEOUT, program.wait()).await
    {
        return ConnectError::Ended { target, status };
    }
    ConnectError::Handshake { target, reason }
}
