//! What is to run, and how.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use bytes::Bytes;
use redial_net::proto::JobId;
use redial_net::proto::message::{self, ByteVec, ControlKind, Pty, Start};

/// How long pipes that others hold are read after the exit, unless said otherwise.
const DRAIN: Duration = Duration::from_secs(2);

/// A command, as it will be asked for.
///
/// ```
/// use std::time::Duration;
/// use redial_client::Command;
///
/// let sorted = Command::new(["sort", "-u"])
///     .env("LC_ALL", "C")
///     .deadline(Duration::from_secs(30))
///     .input("b\na\n");
/// let text = Command::shell("ls *.log | wc -l").cwd("/var/log");
/// ```
#[derive(Debug, Clone)]
pub struct Command {
    program: Program,
    cwd: Option<ByteVec>,
    env: Vec<(ByteVec, ByteVec)>,
    stdin: bool,
    terminal: Option<Terminal>,
    deadline: Option<Duration>,
    drain: Duration,
    on_drop: Option<OnDrop>,
    reap: bool,
    manual: bool,
    input: Option<Bytes>,
    detach: Option<Keep>,
    resources: Resources,
}

/// What a job may take of the server's machine, all its processes together; what is none is not
/// limited. A server that cannot see to it refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resources {
    /// Bytes of memory; beyond, the kernel ends it.
    pub memory: Option<u64>,
    /// Thousandths of one core, 10 at least.
    pub cpu_milli: Option<u32>,
    /// Processes and threads.
    pub pids: Option<u32>,
    /// Niceness, 0 to 19.
    pub nice: Option<u8>,
}

/// How a detached job is kept; what is none is as the server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keep {
    /// Bytes of its output.
    pub bytes: Option<u64>,
    /// When there are more, the oldest go; else the command waits.
    pub tail: bool,
    /// So long after its end.
    pub time: Option<Duration>,
}

/// A terminal for a command: what it writes there is one stream, its stdout, and stdin is what is
/// typed. The end of stdin is typed as the terminal's character for it (Ctrl-D, mostly).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terminal {
    /// What TERM is to be: a name in the terminals' database, `xterm-256color`.
    pub kind: OsString,
    /// How large it is at first.
    pub size: TerminalSize,
}

/// How large a terminal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalSize {
    /// Lines of characters.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
    /// Width in pixels; 0 if that is not known.
    pub x_pixels: u16,
    /// Height in pixels; 0 if that is not known.
    pub y_pixels: u16,
}

impl TerminalSize {
    pub(crate) fn to_control(self) -> ControlKind {
        ControlKind::Resize(self.rows, self.columns, self.x_pixels, self.y_pixels)
    }
}

#[derive(Debug, Clone)]
enum Program {
    Argv(Vec<ByteVec>),
    Shell(ByteVec),
    Login,
}

/// What becomes of a job when its line drops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDrop {
    /// Its whole tree is ended.
    Kill,
    /// It runs on.
    Keep,
    /// It runs on for so long, then its tree is ended.
    KeepFor(Duration),
}

impl Command {
    /// A program and its arguments, run without a shell, byte for byte. The first is the
    /// program: a path if it has a slash, else looked for in the remote PATH.
    pub fn new<I>(argv: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        let argv = argv.into_iter().map(|word| bytes_of(word.as_ref()));
        Command::of(Program::Argv(argv.collect()))
    }

    /// Text for the remote user's login shell.
    pub fn shell(text: impl AsRef<OsStr>) -> Self {
        Command::of(Program::Shell(bytes_of(text.as_ref())))
    }

    /// The remote user's login shell itself, as a login starts it: what there is for it to do comes
    /// from stdin or a terminal.
    pub fn login_shell() -> Self {
        Command::of(Program::Login)
    }

    fn of(program: Program) -> Self {
        Command {
            program,
            cwd: None,
            env: Vec::new(),
            stdin: false,
            terminal: None,
            deadline: None,
            drain: DRAIN,
            on_drop: None,
            reap: false,
            manual: false,
            input: None,
            detach: None,
            resources: Resources::default(),
        }
    }

    /// The directory to run in; the remote user's home if not set.
    pub fn cwd(mut self, dir: impl AsRef<OsStr>) -> Self {
        self.cwd = Some(bytes_of(dir.as_ref()));
        self
    }

    /// One variable more in the environment the server builds. The last of a name wins.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        let (name, value) = (bytes_of(name.as_ref()), bytes_of(value.as_ref()));
        self.env.retain(|(known, _)| *known != name);
        self.env.push((name, value));
        self
    }

    /// Whether there is a stdin to be written with [`crate::JobHandle::write_stdin`];
    /// else it is /dev/null. Default: no.
    pub fn stdin(mut self, stdin: bool) -> Self {
        self.stdin = stdin;
        self
    }

    /// A terminal for it. Most want [`Command::stdin`] too, to type.
    pub fn terminal(mut self, terminal: Terminal) -> Self {
        self.terminal = Some(terminal);
        self
    }

    /// All of stdin, written by the client itself; the stream ends behind it.
    pub fn input(mut self, bytes: impl Into<Bytes>) -> Self {
        self.input = Some(bytes.into());
        self.stdin = true;
        self
    }

    /// Its tree is ended so long after the spawn: TERM, 5 s later KILL.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// How long outputs that other processes hold open are read after the exit.
    /// Default: 2 s. At most 49 days.
    pub fn drain(mut self, drain: Duration) -> Self {
        self.drain = drain;
        self
    }

    /// What becomes of it when the line drops. Default: `Kill` for `local:` and `unix:`,
    /// `KeepFor` 5 minutes for `exec:` and the network where the server can keep jobs.
    pub fn on_drop(mut self, policy: OnDrop) -> Self {
        self.on_drop = Some(policy);
        self
    }

    /// Ends what outlives the job; else such children stay, as with ssh.
    pub fn reap(mut self, reap: bool) -> Self {
        self.reap = reap;
        self
    }

    /// It is kept: its output goes to a file on the server, and it outlives connections.
    pub fn detach(mut self, keep: Keep) -> Self {
        self.detach = Some(keep);
        self
    }

    /// What it may take of the server's machine.
    pub fn resources(mut self, resources: Resources) -> Self {
        self.resources = resources;
        self
    }

    /// Output counts as taken only when [`crate::JobHandle::acknowledge`] says so, not
    /// already when its event is. For callers that write it somewhere first.
    pub fn manual_acknowledge(mut self, manual: bool) -> Self {
        self.manual = manual;
        self
    }

    pub(crate) fn is_manual(&self) -> bool {
        self.manual
    }

    pub(crate) fn has_policy(&self) -> bool {
        self.on_drop.is_some() || self.detach.is_some()
    }

    pub(crate) fn input_bytes(&self) -> Option<Bytes> {
        self.input.clone()
    }

    /// The message, with this much credit for each output.
    pub(crate) fn to_start(&self, job: JobId, default: OnDrop, window: u64) -> Start {
        let (argv, shell) = match &self.program {
            Program::Argv(argv) => (Some(argv.clone()), None),
            Program::Shell(text) => (None, Some(text.clone())),
            Program::Login => (None, None),
        };
        Start {
            job: (*job.as_bytes()).into(),
            argv,
            shell,
            cwd: self.cwd.clone(),
            env: (!self.env.is_empty()).then(|| self.env.clone()),
            stdin: self.stdin,
            pty: self.terminal.as_ref().map(|terminal| Pty {
                rows: terminal.size.rows,
                columns: terminal.size.columns,
                x_pixels: terminal.size.x_pixels,
                y_pixels: terminal.size.y_pixels,
                term: bytes_of(&terminal.kind),
            }),
            deadline_ms: self.deadline.map(millis),
            drain_ms: u32::try_from(millis(self.drain)).unwrap_or(u32::MAX),
            on_drop: match self.on_drop.unwrap_or(default) {
                OnDrop::Kill => message::OnDrop::Kill,
                OnDrop::Keep => message::OnDrop::Keep,
                OnDrop::KeepFor(time) => message::OnDrop::KeepFor(millis(time)),
            },
            reap: self.reap,
            detach: self.detach.is_some(),
            stdout_credit: window,
            stderr_credit: window,
            resent: None,
            resources: (self.resources != Resources::default()).then_some(message::Resources {
                memory: self.resources.memory,
                cpu_milli: self.resources.cpu_milli,
                pids: self.resources.pids,
                nice: self.resources.nice,
            }),
            keep: self.detach.map(|keep| message::Keep {
                bytes: keep.bytes,
                tail: keep.tail,
                time_ms: keep.time.map(millis),
            }),
        }
    }
}

/// Rounded up, so that what is short does not become nothing.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

fn bytes_of(text: &OsStr) -> ByteVec {
    text.as_bytes().to_vec().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(command: Command) -> Start {
        command.to_start(JobId::from_bytes([7; 16]), OnDrop::Kill, 1 << 20)
    }

    #[test]
    fn arguments_and_text_stay_byte_for_byte() {
        let odd = OsStr::from_bytes(b"\xff\n");
        let argv = start(Command::new([OsStr::new("x"), OsStr::new(""), odd]))
            .argv
            .unwrap();
        let words: Vec<&[u8]> = argv.iter().map(|word| word.as_slice()).collect();
        assert_eq!(words, [&b"x"[..], b"", b"\xff\n"]);
        let text = start(Command::shell(odd));
        assert_eq!(
            (text.argv, text.shell),
            (None, Some(b"\xff\n".to_vec().into()))
        );
    }

    #[test]
    fn a_short_time_does_not_become_none() {
        let start = start(Command::new(["x"]).deadline(Duration::from_nanos(1)));
        assert_eq!(start.deadline_ms, Some(1));
        assert_eq!(start.drain_ms, 2000);
    }

    #[test]
    fn the_last_value_of_a_variable_wins() {
        let start = start(
            Command::new(["x"])
                .env("A", "1")
                .env("B", "2")
                .env("A", "3"),
        );
        let env = start.env.unwrap();
        let names: Vec<&[u8]> = env.iter().map(|(name, _)| name.as_slice()).collect();
        assert_eq!(names, [b"B", b"A"]);
    }

    #[test]
    fn input_makes_a_stdin() {
        assert!(!start(Command::new(["cat"])).stdin);
        assert!(start(Command::new(["cat"]).input("x")).stdin);
    }
}
