//! Settings, limits and errors of the keeper.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use redial_auth::HostKey;

use super::metrics::MetricsTo;
use crate::audit::{AuditConfig, AuditTo};
use crate::login::KeyReader;
use crate::recording::RecordConfig;
use crate::service::{PassedSockets, ServiceManager};
use crate::spawn::Identity;

/// Every bound of the keeper, and what it stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; stops descriptors from running out. 256.
    pub connections: u32,
    /// Channels a connection, enforced by the front; slots without end. 1,024.
    pub channels: u32,
    /// Milliseconds for a handshake, enforced by the front; half-open
    /// connections. 10,000.
    pub handshake_ms: u32,
    /// Jobs that run or have output nobody has read; processes without end. 512.
    pub jobs: u32,
    /// Shared memory for output, in bytes, of which only touched pages cost. 64 MiB.
    pub output_pool_bytes: u64,
    /// Shared memory for stdin, in bytes. 32 MiB.
    pub stdin_pool_bytes: u64,
    /// Log of one stream, in bytes; one job that takes all the pool. 2 MiB.
    pub stream_bytes: u64,
    /// Commands that wait to be started, all together, in bytes; large starts sent
    /// while the spawning threads hang on a dead file system. 64 MiB.
    pub waiting_bytes: usize,
    /// Ended jobs remembered; memory that grows with every job. 16,384.
    pub ended_records: usize,
    /// Milliseconds for which an ended job is remembered. One hour.
    pub ended_ms: u64,
    /// Milliseconds between TERM and KILL at a deadline and at the server's end. 5,000.
    pub kill_after_ms: u64,
    /// Milliseconds to dial again after a front has died, for jobs that are to be
    /// killed when their line drops. 30,000.
    pub front_grace_ms: u64,
    /// Output of one kept job, in bytes, unless it says otherwise; one job that fills the disk.
    /// 1 GiB.
    pub keep_bytes: u64,
    /// Output of all kept jobs, in bytes; all of them together. 8 GiB.
    pub keep_quota_bytes: u64,
    /// Milliseconds for which a kept job is kept after its end, unless it says otherwise. A week.
    pub keep_ms: u64,
    /// Kept jobs; records without end. 20,000.
    pub kept_jobs: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            channels: 1_024,
            handshake_ms: 10_000,
            jobs: 512,
            output_pool_bytes: 64 * 1024 * 1024,
            stdin_pool_bytes: 32 * 1024 * 1024,
            stream_bytes: 2 * 1024 * 1024,
            waiting_bytes: 64 * 1024 * 1024,
            ended_records: 16_384,
            ended_ms: 60 * 60 * 1_000,
            kill_after_ms: 5_000,
            front_grace_ms: 30_000,
            keep_bytes: 1 << 30,
            keep_quota_bytes: 8 << 30,
            keep_ms: 7 * 86_400_000,
            kept_jobs: 20_000,
        }
    }
}

/// How a front is started: this very executable, with these arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FrontProgram {
    /// Arguments behind the program's name.
    pub args: Vec<OsString>,
    /// Variables set on top of our own environment.
    pub env: Vec<(OsString, OsString)>,
}

/// What [`crate::keeper::run`] is to do.
#[derive(Debug)]
pub struct KeeperConfig {
    /// Bounds.
    pub limits: Limits,
    /// Unix sockets to listen on, in directories that exist and are ours alone.
    pub listen: Vec<PathBuf>,
    /// Sockets that are listened on already, of those to be.
    pub passed: PassedSockets,
    /// The network, if it is to be listened on.
    pub network: Option<NetworkConfig>,
    /// Several users; else the one that we are.
    pub users: Option<ManyUsers>,
    /// Reads authorized_keys: for the network, and for several users.
    pub key_reader: Option<KeyReader>,
    /// Serve one client on these two (its input, its output), and end with it.
    pub stdio: Option<(OwnedFd, OwnedFd)>,
    /// Where jobs are kept; none where nothing can be (a private server).
    pub keep_in: Option<PathBuf>,
    /// Where what is done is written down, if it is.
    pub audit: Option<AuditConfig>,
    /// Where what terminals show is recorded, if it is.
    pub record: Option<RecordConfig>,
    /// Where a monitor asks for figures, if one does.
    pub metrics: Option<MetricsTo>,
    /// Who is told how we are, if somebody wants to know.
    pub service: Option<ServiceManager>,
    /// How the program is replaced in place, if it can be.
    pub upgrade: Option<UpgradeConfig>,
    /// The front.
    pub front: FrontProgram,
    /// Readable when the server is to end, as [`crate::signals::termination`]; once
    /// more, and everything is killed.
    pub shutdown: OwnedFd,
}

/// How this program is replaced by the one that lies in its place now.
#[derive(Debug)]
pub struct UpgradeConfig {
    /// Readable when that is to be done, as [`crate::signals::hangup`].
    pub hangup: OwnedFd,
    /// All arguments, the program's name first: the new one gets the same.
    pub args: Vec<OsString>,
    /// Where the new program lies: where this one did when it was started. It may have been moved
    /// out of the way since.
    pub program: PathBuf,
}

/// How the network is served. There is no way to serve it without keys.
#[derive(Debug)]
pub struct NetworkConfig {
    /// Addresses to listen on; port 0 is any.
    pub listen: Vec<SocketAddr>,
    /// Who we are to those who dial.
    pub host_key: HostKey,
    /// Where somebody brings lines from elsewhere.
    pub door: Option<DoorConfig>,
}

/// A Unix socket for lines that are not dialled here: those who come in there are strangers, as on
/// the network, whoever brings them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoorConfig {
    /// The socket, in a directory that is ours alone.
    pub path: PathBuf,
    /// Who brings them: this very executable, with these arguments. It is kept running, and ends when
    /// its stdin does.
    pub agent: FrontProgram,
}

/// A server, running as root, with the jobs of many users: each has its own keys, and its jobs run
/// as itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManyUsers {
    /// Who the front is: nobody else's, and without any power.
    pub front: Identity,
    /// Root is a user like others. Else nothing runs as root.
    pub allow_root: bool,
}

/// Why the keeper could not start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// Something the keeper cannot do without.
    #[error("cannot {what}: {source}")]
    Setup {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// Neither a socket to listen on nor a client on stdio.
    #[error("nothing to serve: neither a socket to listen on nor a client on stdio")]
    NothingToServe,
    /// Another server holds this socket.
    #[error(
        "{} is already served by another process; end that one first or choose another --listen",
        path.display()
    )]
    AlreadyServed {
        /// The socket.
        path: PathBuf,
    },
    /// There is no directory to put the socket into.
    #[error(
        "the directory {path} does not exist; make it (mkdir -m 0700 {path}), or listen elsewhere",
        path = path.display()
    )]
    NoDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// The directory of a socket is not ours alone, so others could take its place.
    #[error(
        "the directory {} must belong to this user and be writable by nobody else (chmod 0700)",
        path.display()
    )]
    Directory {
        /// The directory.
        path: PathBuf,
    },
    /// A socket could not be made.
    #[error("cannot listen on {}: {source}", path.display())]
    Listen {
        /// The socket.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A TCP socket could not be made.
    #[error("cannot listen on {address}: {source}")]
    ListenTcp {
        /// The address.
        address: SocketAddr,
        /// Why it failed.
        source: io::Error,
    },
    /// What is done could not be written down.
    #[error(
        "cannot write the audit to {to}: {source}; name another file (--audit), or have commands run \
         all the same (--audit-best-effort)"
    )]
    Audit {
        /// Where it was to go.
        to: AuditTo,
        /// Why not.
        source: io::Error,
    },
    /// What terminals show could not be recorded.
    #[error("cannot record terminals in {}: {source} (--record)", dir.display().to_string().escape_debug())]
    Record {
        /// Where.
        dir: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Nobody could log in.
    #[error(
        "no key is authorised, so nobody could log in over the network ({0}); add a public key to \
         ~/.ssh/authorized_keys, or listen on unix: only"
    )]
    NoKeys(String),
    /// Whether anybody could log in cannot be found out.
    #[error("{0}")]
    Keys(String),
    /// A monitor cannot ask there.
    #[error("cannot serve metrics on {to}: {source}")]
    Metrics {
        /// Where.
        to: MetricsTo,
        /// Why not.
        source: io::Error,
    },
    /// A socket was handed to us that nobody has asked for.
    #[error(
        "the service manager listens on {0}, which is not among what is to be listened on: name it there (--listen)"
    )]
    Passed(String),
    /// There is nothing that looks users up.
    #[error("nothing reads the keys of users")]
    NoReader,
    /// Several users are for root to serve.
    #[error("only root can run commands as several users")]
    NotRoot,
    /// A private server's front has died; its jobs were ended.
    #[error("the front has died, and with it the only client's connection")]
    FrontDied,
}

impl KeeperError {
    /// For `map_err`, with what was being done.
    pub(super) fn setup<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Setup {
            what,
            source: source.into(),
        }
    }
}
