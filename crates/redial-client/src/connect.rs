//! Opens a line to a target and starts the driver on it.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command as Process, ExitStatus};
use std::sync::Arc;
use std::time::{Duration, Instant};

use redial_net::proto::message::{Authenticated, ServerHello};
use redial_net::proto::{Config, Connection, limits};
use redial_net::{Over, Program, Transport, drive, program};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::client::Lease;
use crate::error::{ConnectError, Lost};
use crate::network::{self, Entering, Haste};
use crate::options::ConnectOptions;
use crate::preamble::Preamble;
use crate::runtime_dir::default_socket;
use crate::session::{ClientSession, Held};
use crate::shared::Shared;
use crate::target::Target;

/// How long a program whose line is over may take to end by itself.
pub(crate) const END_GRACE: Duration = Duration::from_secs(1);
/// Silence after which a line through programs or a network is asked for a sign of life.
pub(crate) const KEEPALIVE_MS: u32 = 15_000;
/// Keeps the terminal's signals from the program: they reach the command through the
/// protocol, and cut no line. What is ignored stays so across exec.
const WITHOUT_SIGNALS: &str = "trap '' HUP INT QUIT; exec /bin/sh -c \"$1\"";

/// A line whose server has said hello.
pub(crate) struct Line {
    pub(crate) lease: Arc<Lease>,
    pub(crate) hello: ServerHello,
    /// True when the driver has ended, and the program of an `exec:` line has or was told to.
    pub(crate) over: watch::Receiver<bool>,
    /// What is left of it then.
    pub(crate) left: oneshot::Receiver<Held>,
}

/// Connects and shakes hands, within the timeout.
pub(crate) async fn open(target: &Target, options: &ConnectOptions) -> Result<Line, ConnectError> {
    let (line, entering) = reach(target, options, Haste::No).await?;
    debug_assert!(entering.is_none(), "it was not hasty");
    Ok(line)
}

/// The same; with haste, a login may be left without an answer, to be said with what is asked for next.
pub(crate) async fn reach(
    target: &Target,
    options: &ConnectOptions,
    haste: Haste,
) -> Result<(Line, Option<Entering>), ConnectError> {
    let (began, limit) = (Instant::now(), options.connect_timeout);
    #[cfg(feature = "simulation")]
    if let Some(dialled) = crate::simulation::dial(target) {
        let line = crate::simulation::open(target, options, dialled).await?;
        return Ok((line, None));
    }
    let (transport, program) = match target {
        Target::Network(host) => return network::open(target, host, options, haste).await,
        Target::Unix(path) => match timeout(limit, dial(target, path.as_deref(), options)).await {
            Ok(dialled) => (dialled?, None),
            Err(_) => return Err(too_late(target, options)),
        },
        Target::Local => {
            let mut command = Process::new(&options.local_program);
            command.args(["serve", "--stdio", "--private"]);
            start(target, command, Over::Socket)?
        }
        Target::Exec(text) => start(target, shell(text), Over::Pipes)?,
    };
    let left = limit.saturating_sub(began.elapsed());
    let line = shake_hands(target, options, left, transport, program).await?;
    Ok((line, None))
}

/// A connection that has begun: its driver runs.
pub(crate) struct Begun {
    pub(crate) lease: Arc<Lease>,
    /// The server's hello, once.
    pub(crate) hello: oneshot::Receiver<ServerHello>,
    /// Its answers to the login.
    pub(crate) answers: mpsc::Receiver<Authenticated>,
    /// True when the driver has ended.
    pub(crate) over: watch::Receiver<bool>,
    /// What is left of it then.
    pub(crate) left: oneshot::Receiver<Held>,
}

/// Starts the driver. When the lease goes, so does it.
pub(crate) fn begin<T>(stream: T, config: Config, window_bytes: u64) -> Begun
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let shared = Arc::new(Shared::default());
    let lease = Arc::new(Lease::new(Arc::clone(&shared)));
    let (say_hello, hello) = oneshot::channel();
    let (answer, answers) = mpsc::channel(usize::from(limits::AUTHENTICATE_TRIES));
    let session = ClientSession::new(shared, say_hello, answer, window_bytes);
    let (over_sender, over) = watch::channel(false);
    let (hold, left) = oneshot::channel();
    // In a box: tokio moves a future on its way into a task and out of it, and this one is large.
    tokio::spawn(Box::pin(run(stream, config, session, hold, over_sender)));
    Begun {
        lease,
        hello,
        answers,
        over,
        left,
    }
}

/// Starts the driver and waits for the server's hello. If the caller gives up meanwhile,
/// the lease goes, and with it driver and program.
pub(crate) async fn shake_hands(
    target: &Target,
    options: &ConnectOptions,
    within: Duration,
    transport: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    program: Option<Program>,
) -> Result<Line, ConnectError> {
    let mut config = Config::client();
    let preamble = Preamble::default();
    let begun = if matches!(target, Target::Exec(_)) {
        config.limits.keepalive_ms = KEEPALIVE_MS;
        begin(preamble.of(transport), config, options.window_bytes)
    } else {
        begin(transport, config, options.window_bytes)
    };
    let (lease, line_over) = (begun.lease, begun.over);
    let (status, mut over) = match program {
        Some(program) => {
            let (status, gone) = mind(program, line_over.clone());
            match target {
                Target::Local => (Some(status), line_over),
                _ => (Some(status), gone),
            }
        }
        None => (None, line_over),
    };
    match timeout(within, begun.hello).await {
        // It would wait for ever for a login.
        Ok(Ok(hello)) if hello.auth => Err(ConnectError::Handshake {
            target: target.clone(),
            reason: Lost::because("the server asks for a login, which is made over TLS only"),
        }),
        Ok(Ok(hello)) => Ok(Line {
            lease,
            hello,
            over,
            left: begun.left,
        }),
        Ok(Err(_)) => {
            let status = ended_with(status).await;
            wait_for(&mut over).await;
            Err(no_hello(
                target,
                why(begun.left).await,
                status,
                preamble.text(),
            ))
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

/// Looks after a program until its line is over and it has ended or was told to: then
/// the second says true. Its status is told only if it has ended by itself.
pub(crate) fn mind(
    program: Program,
    line: watch::Receiver<bool>,
) -> (oneshot::Receiver<ExitStatus>, watch::Receiver<bool>) {
    let (status_sender, status) = oneshot::channel();
    let (gone_sender, gone) = watch::channel(false);
    tokio::spawn(reap(program, line, status_sender, gone_sender));
    (status, gone)
}

/// Reaps a program, and ends one that outlives its line. Its status is told only if it has
/// ended by itself.
async fn reap(
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

/// How a line's program has ended, if it has one and has ended by itself.
pub(crate) async fn ended_with(
    status: Option<oneshot::Receiver<ExitStatus>>,
) -> Option<ExitStatus> {
    status?.await.ok()
}

/// Why a line has ended that nobody goes on with.
pub(crate) async fn why(left: oneshot::Receiver<Held>) -> Lost {
    let held = left.await.ok();
    held.map_or_else(Lost::closed_here, |held| held.lost().clone())
}

pub(crate) async fn wait_for(over: &mut watch::Receiver<bool>) {
    // A sender that is gone is an end too.
    let _ = over.wait_for(|over| *over).await;
}

async fn run(
    transport: impl AsyncRead + AsyncWrite + Unpin,
    config: Config,
    mut session: ClientSession,
    hold: oneshot::Sender<Held>,
    over: watch::Sender<bool>,
) {
    let connection = Connection::client(config, Duration::ZERO);
    let ended = drive(transport, connection, &mut session).await;
    if let Err(error) = &ended {
        tracing::debug!(%error, "the connection ended");
    }
    // If nobody takes it, that is the end of all jobs.
    let _ = hold.send(session.suspend(Lost::of(&ended)));
    over.send_replace(true);
}

async fn dial(
    target: &Target,
    path: Option<&Path>,
    options: &ConnectOptions,
) -> Result<Transport, ConnectError> {
    let path = path.map_or_else(default_socket, |path| Ok(path.to_owned()))?;
    let connected = match options.network.as_uid {
        Some(uid) => Transport::unix_as(&path, uid).await,
        None => Transport::unix(&path).await,
    };
    connected.map_err(|source| ConnectError::Unreachable {
        target: target.clone(),
        path,
        source,
    })
}

/// A command line that the terminal's signals do not reach.
pub(crate) fn shell(text: &OsStr) -> Process {
    let mut command = Process::new("/bin/sh");
    command.args(["-c", WITHOUT_SIGNALS, "sh"]).arg(text);
    command
}

/// The transport, and the program behind it.
pub(crate) fn start(
    target: &Target,
    command: Process,
    over: Over,
) -> Result<(Transport, Option<Program>), ConnectError> {
    let name = command.get_program().to_string_lossy().into_owned();
    let (transport, child) = program(command, over).map_err(|source| ConnectError::Program {
        target: target.clone(),
        program: name,
        source,
    })?;
    Ok((transport, Some(child)))
}

pub(crate) fn too_late(target: &Target, options: &ConnectOptions) -> ConnectError {
    ConnectError::Timeout {
        target: target.clone(),
        timeout: options.connect_timeout,
    }
}

/// Why there was no hello. Where the line just ended, the program's end says more.
pub(crate) fn no_hello(
    target: &Target,
    reason: Lost,
    status: Option<ExitStatus>,
    text: Option<String>,
) -> ConnectError {
    if let Some(text) = text {
        return printed(target, text, status);
    }
    let target = target.clone();
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
