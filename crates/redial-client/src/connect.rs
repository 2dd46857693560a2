//! Opens a line to a target and starts the driver on it.

use std::process::{Command as Process, ExitStatus};
use std::sync::Arc;
use std::time::{Duration, Instant};

use redial_net::proto::message::ServerHello;
use redial_net::proto::{Config, Connection};
use redial_net::{Over, Program, Transport, drive, program};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use crate::client::Lease;
use crate::error::{ConnectError, Lost};
use crate::options::ConnectOptions;
use crate::preamble::Preamble;
use crate::runtime_dir::default_socket;
use crate::session::ClientSession;
use crate::shared::Shared;
use crate::target::Target;

/// How long a program whose line is over may take to end by itself.
const END_GRACE: Duration = Duration::from_secs(1);
/// Silence after which an `exec:` line is asked for a sign of life.
const KEEPALIVE_MS: u32 = 15_000;
/// Keeps the terminal's signals from the program: they reach the command through the
/// protocol, and cut no line. What is ignored stays so across exec.
const WITHOUT_SIGNALS: &str = "trap '' HUP INT QUIT; exec /bin/sh -c \"$1\"";

/// A line whose server has said hello.
pub(crate) struct Line {
    pub(crate) lease: Arc<Lease>,
    pub(crate) hello: ServerHello,
    /// True when the driver has ended, and the program of an `exec:` line has or was told to.
    pub(crate) over: watch::Receiver<bool>,
}

/// Connects and shakes hands, within the timeout.
pub(crate) async fn open(target: &Target, options: &ConnectOptions) -> Result<Line, ConnectError> {
    let (began, limit) = (Instant::now(), options.connect_timeout);
    match timeout(limit, dial(target, options)).await {
        Ok(dialled) => {
            let (transport, program) = dialled?;
            let left = limit.saturating_sub(began.elapsed());
            shake_hands(target, options, left, transport, program).await
        }
        Err(_) => Err(too_late(target, options)),
    }
}

/// Starts the driver and waits for the server's hello. If the caller gives up meanwhile,
/// the lease goes, and with it driver and program.
pub(crate) async fn shake_hands(
    target: &Target,
    options: &ConnectOptions,
    within: Duration,
    transport: Transport,
    program: Option<Program>,
) -> Result<Line, ConnectError> {
    let mut config = Config::client();
    if matches!(target, Target::Exec(_)) {
        config.limits.keepalive_ms = KEEPALIVE_MS;
    }
    let shared = Arc::new(Shared::default());
    let lease = Arc::new(Lease::new(Arc::clone(&shared)));
    let (hello, heard) = oneshot::channel();
    let session = ClientSession::new(shared, hello, options.window_bytes);
    let (over_sender, line_over) = watch::channel(false);
    let preamble = Preamble::default();
    if matches!(target, Target::Exec(_)) {
        let transport = preamble.of(transport);
        tokio::spawn(run(transport, config, session, over_sender));
    } else {
        tokio::spawn(run(transport, config, session, over_sender));
    }
    let (status_sender, status) = oneshot::channel();
    let (gone_sender, mut over) = watch::channel(false);
    match program {
        Some(program) => {
            let line = line_over.clone();
            tokio::spawn(mind(program, line, status_sender, gone_sender));
            if matches!(target, Target::Local) {
                over = line_over;
            }
        }
        None => {
            drop(status_sender);
            over = line_over;
        }
    }
    match timeout(within, heard).await {
        Ok(Ok(hello)) => Ok(Line { lease, hello, over }),
        Ok(Err(_)) => {
            let status = status.await.ok();
            wait_for(&mut over).await;
            Err(no_hello(target, lease.shared(), status, preamble.text()))
        }
        Err(_) => {
            drop(lease);
            wait_for(&mut over).await;
            Err(match preamble.text() {
                Some(text) => printed(target, text, None),
                None => too_late(target, options),
            })
        }
    }
}

/// Reaps a program, and ends one that outlives its line. Its status is told only if it has
/// ended by itself.
async fn mind(
    mut program: Program,
    mut line: watch::Receiver<bool>,
    status: oneshot::Sender<ExitStatus>,
    gone: watch::Sender<bool>,
) {
    let ended = tokio::select! {
        ended = program.wait() => Some(ended),
        () = wait_for(&mut line) => program.wait_or_terminate(END_GRACE).await,
    };
    match ended {
        // Whoever connected may have heard a hello.
        Some(Ok(ended)) => drop(status.send(ended)),
        _ => drop(status),
    }
    wait_for(&mut line).await;
    gone.send_replace(true);
    // Whether it was to be waited for or not: it is no zombie now.
    let _ = program.wait().await;
}

async fn wait_for(over: &mut watch::Receiver<bool>) {
    // A sender that is gone is an end too.
    let _ = over.wait_for(|over| *over).await;
}

async fn run(
    transport: impl AsyncRead + AsyncWrite + Unpin,
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
            command.args(["-c", WITHOUT_SIGNALS, "sh"]).arg(text);
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

fn too_late(target: &Target, options: &ConnectOptions) -> ConnectError {
    ConnectError::Timeout {
        target: target.clone(),
        timeout: options.connect_timeout,
    }
}

/// Why there was no hello. Where the line just ended, the program's end says more.
fn no_hello(
    target: &Target,
    shared: &Shared,
    status: Option<ExitStatus>,
    text: Option<String>,
) -> ConnectError {
    if let Some(text) = text {
        return printed(target, text, status);
    }
    let target = target.clone();
    let reason = shared.lost().unwrap_or_else(Lost::closed_here);
    match status {
        _ if !reason.without_a_word => ConnectError::Handshake { target, reason },
        Some(status) => ConnectError::Ended { target, status },
        None => ConnectError::HungUp { target, reason },
    }
}

fn printed(target: &Target, text: String, status: Option<ExitStatus>) -> ConnectError {
    ConnectError::Text {
        target: target.clone(),
        text,
        status,
    }
}
