//! What is asked for, what comes back, and what can go wrong.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::account::Account;

/// What is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// These arguments, byte for byte, without a shell. The first is the program:
    /// a path if it has a slash, else looked for in the request's PATH as
    /// execvp(3) does (but a file that is no program is never given to a shell).
    Argv(Vec<Vec<u8>>),
    /// This text, by the account's login shell: `SHELL -c TEXT`.
    Shell(Vec<u8>),
    /// The account's login shell as login(1) starts it: its name begins with a dash.
    Login,
}

/// What stdin, stdout or stderr is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdio3 {
    /// A pipe, whose other end comes back in [`Spawned`].
    Pipe,
    /// /dev/null.
    Null,
}

/// The size of a terminal, in characters, and in pixels where that is known (else 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PtySize {
    /// Width.
    pub columns: u16,
    /// Height.
    pub rows: u16,
    /// Width in pixels.
    pub x_pixels: u16,
    /// Height in pixels.
    pub y_pixels: u16,
}

impl PtySize {
    pub(crate) fn winsize(self) -> rustix::termios::Winsize {
        rustix::termios::Winsize {
            ws_row: self.rows,
            ws_col: self.columns,
            ws_xpixel: self.x_pixels,
            ws_ypixel: self.y_pixels,
        }
    }
}

/// Who the process is to be. Setting it needs root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Real, effective and saved user id.
    pub uid: u32,
    /// Real, effective and saved group id.
    pub gid: u32,
    /// The supplementary groups, all of them.
    pub groups: Vec<u32>,
}

/// One process to be started.
#[derive(Debug, Clone)]
pub struct SpawnRequest {
    /// What is to be run.
    pub program: Program,
    /// Whose home and shell are the defaults; `identity` alone changes the user.
    pub account: Arc<Account>,
    /// Working directory; the account's home where there is none. Entered with the
    /// permissions of `identity`.
    pub cwd: Option<Vec<u8>>,
    /// The whole environment, as [`crate::account::environment`] builds it.
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
    /// Standard input.
    pub stdin: Stdio3,
    /// Standard output.
    pub stdout: Stdio3,
    /// Standard error.
    pub stderr: Stdio3,
    /// The ends that the child writes to are given to us as well, see [`Spawned::writers`].
    pub keep_writers: bool,
    /// A terminal of this size takes the place of all three; without a stdin nothing is typed.
    pub pty: Option<PtySize>,
    /// Another user; `None` stays who we are.
    pub identity: Option<Identity>,
    /// Directory of a cgroup v2 the process is born in.
    pub cgroup: Option<Arc<OwnedFd>>,
    /// Resource limits: `RLIMIT_*`, soft, hard (getrlimit(2)).
    pub limits: Vec<(u32, u64, u64)>,
    /// File mode creation mask; `None` keeps ours.
    pub umask: Option<u32>,
    /// Niceness, absolute (-20 to 19); `None` keeps ours.
    pub nice: Option<i32>,
}

impl SpawnRequest {
    /// A request for `program` with three pipes, an empty environment, in the home
    /// directory of `account`, and nothing else changed.
    pub fn new(program: Program, account: Arc<Account>) -> Self {
        Self {
            program,
            account,
            cwd: None,
            env: Vec::new(),
            stdin: Stdio3::Pipe,
            stdout: Stdio3::Pipe,
            stderr: Stdio3::Pipe,
            keep_writers: false,
            pty: None,
            identity: None,
            cgroup: None,
            limits: Vec::new(),
            umask: None,
            nice: None,
        }
    }
}

/// A process that runs the program asked for (its exec has succeeded).
///
/// Our ends are non-blocking and close-on-exec. Who drops this has not reaped the
/// child: wait for it by its pidfd.
#[derive(Debug)]
pub struct Spawned {
    /// Process id; also its session and process group.
    pub pid: i32,
    /// Readable when the process has ended (pidfd_open(2)).
    pub pidfd: OwnedFd,
    /// Where its standard input is written. Of a terminal, our side of it.
    pub stdin: Option<OwnedFd>,
    /// Where its standard output is read. Of a terminal, our side of it.
    pub stdout: Option<OwnedFd>,
    /// Where its standard error is read.
    pub stderr: Option<OwnedFd>,
    /// The ends of the last two that it writes to, if they were asked for: while we have one, its
    /// pipe does not end.
    pub writers: [Option<OwnedFd>; 2],
}

/// How far a start had come when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpawnStage {
    /// An argument holds a NUL, or there is none (EINVAL). Nothing was started.
    Argument,
    /// A variable holds a NUL or its name is not one (EINVAL). Nothing was started.
    Environment,
    /// Pipes or terminal could not be made. Nothing was started.
    Pipe,
    /// No new process. Nothing was started.
    Clone,
    /// The cgroup would not take it; without one it may work. Nothing was started.
    Cgroup,
    /// Signal dispositions or mask.
    Signals,
    /// Its descriptors.
    Descriptors,
    /// The session.
    Session,
    /// The controlling terminal.
    Terminal,
    /// Umask, niceness or a resource limit.
    Limits,
    /// It took too long, and was ended (ETIMEDOUT): its directory or program hangs, or its user has
    /// stopped it.
    Hung,
    /// A limit that only a cgroup can keep cannot be kept here; why is in the error's path. Nothing was
    /// started.
    Unlimited,
    /// User and groups, or the proof that they cannot be undone.
    Identity,
    /// The working directory that was asked for.
    Cwd,
    /// The account's home, since no directory was asked for.
    Home,
    /// The program itself.
    Exec,
    /// The program is there, but what is to run it is not (ENOENT). The error's path is
    /// that interpreter, or empty where its name could not be found out.
    Interpreter,
}

impl fmt::Display for SpawnStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Argument => "argument",
            Self::Environment => "environment",
            Self::Pipe => "pipes",
            Self::Clone => "new process",
            Self::Cgroup => "cgroup",
            Self::Signals => "signals",
            Self::Descriptors => "descriptors",
            Self::Session => "session",
            Self::Terminal => "terminal",
            Self::Limits | Self::Unlimited => "limits",
            Self::Hung => "start in the directory",
            Self::Identity => "user and groups",
            Self::Cwd => "directory",
            Self::Home => "home directory",
            Self::Exec => "program",
            Self::Interpreter => "interpreter",
        })
    }
}

/// A process that could not be started. Nothing is left of it: no child, no
/// descriptor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot start: {stage} {}: {}", String::from_utf8_lossy(path).escape_debug(), io::Error::from_raw_os_error(*errno))]
pub struct SpawnError {
    /// What failed.
    pub stage: SpawnStage,
    /// Why (errno(3)).
    pub errno: i32,
    /// What it was about: directory, program, argument or variable; else empty.
    pub path: Vec<u8>,
}
