//! Messages about one job: start, attach, control, and their answers.

use alloc::string::String;
use alloc::vec::Vec;
use minicbor::bytes::{ByteArray, ByteVec};
use minicbor::{Decode, Encode};

use super::outcome::Exit;

/// Asks for a job. A sender sets one of `argv` and `shell` at most; with neither, the user's login
/// shell itself is run.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Start {
    /// The id the client chose.
    #[n(0)]
    pub job: ByteArray<16>,
    /// Program and arguments, run without a shell.
    #[n(1)]
    pub argv: Option<Vec<ByteVec>>,
    /// Text for the user's login shell.
    #[n(2)]
    pub shell: Option<ByteVec>,
    /// Working directory; the home directory when absent.
    #[n(3)]
    pub cwd: Option<ByteVec>,
    /// Environment asked for: name, value.
    #[n(4)]
    pub env: Option<Vec<(ByteVec, ByteVec)>>,
    /// Whether the job has a stdin; else /dev/null.
    #[n(5)]
    pub stdin: bool,
    /// A terminal for all three streams.
    #[n(6)]
    pub pty: Option<Pty>,
    /// Milliseconds after the spawn at which the tree is ended.
    #[n(7)]
    pub deadline_ms: Option<u64>,
    /// Milliseconds for which pipes held by others are read after the exit.
    #[n(8)]
    pub drain_ms: u32,
    /// What becomes of the job when the line drops.
    #[n(9)]
    pub on_drop: OnDrop,
    /// End what outlives the job.
    #[n(10)]
    pub reap: bool,
    /// A kept job: its output goes to a file and outlives the connection.
    #[n(11)]
    pub detach: bool,
    /// Credit for stdout, an absolute offset.
    #[n(12)]
    pub stdout_credit: u64,
    /// Credit for stderr, an absolute offset.
    #[n(13)]
    pub stderr_credit: u64,
    /// Set when this start was sent before on another connection.
    #[n(14)]
    pub resent: Option<Resent>,
    /// How output is kept, of a job that is kept; else as the server does by default.
    #[n(15)]
    pub keep: Option<Keep>,
    /// What it may take of the machine; else as much as its user may.
    #[n(16)]
    pub resources: Option<Resources>,
}

/// What a job may take of the machine, all its processes together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct Resources {
    /// Bytes of memory; when there is no more to be had, the job is ended.
    #[n(0)]
    pub memory: Option<u64>,
    /// Thousandths of one core.
    #[n(1)]
    pub cpu_milli: Option<u32>,
    /// Processes and threads.
    #[n(2)]
    pub pids: Option<u32>,
    /// Niceness, 0 to 19.
    #[n(3)]
    pub nice: Option<u8>,
}

/// How the output of a kept job is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Keep {
    /// Bytes of its file; then the command blocks, or the oldest go.
    #[n(0)]
    pub bytes: Option<u64>,
    /// The oldest go.
    #[n(1)]
    pub tail: bool,
    /// Milliseconds for which it is kept after its end.
    #[n(2)]
    pub time_ms: Option<u64>,
}

/// What a start that is sent again says about the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Resent {
    /// Milliseconds since it was first sent.
    #[n(0)]
    pub ago_ms: u64,
    /// The instance it was sent to.
    #[n(1)]
    pub instance: ByteArray<16>,
    /// Stdout is wanted from this offset.
    #[n(2)]
    pub stdout_from: u64,
    /// Stderr is wanted from this offset.
    #[n(3)]
    pub stderr_from: u64,
}

/// Size and kind of a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Pty {
    /// Rows of characters.
    #[n(0)]
    pub rows: u16,
    /// Columns of characters.
    #[n(1)]
    pub columns: u16,
    /// Width in pixels, 0 if unknown.
    #[n(2)]
    pub x_pixels: u16,
    /// Height in pixels, 0 if unknown.
    #[n(3)]
    pub y_pixels: u16,
    /// The value of TERM.
    #[n(4)]
    pub term: ByteVec,
}

/// What becomes of a job when its line drops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum OnDrop {
    /// End its tree.
    #[n(0)]
    Kill,
    /// Let it run.
    #[n(1)]
    Keep,
    /// Let it run for so many milliseconds, then end its tree.
    #[n(2)]
    KeepFor(#[n(0)] u64),
}

/// Reads a job that was started before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Attach {
    /// Which job.
    #[n(0)]
    pub job: ByteArray<16>,
    /// Become the holder.
    #[n(1)]
    pub take: bool,
    /// Stdout is wanted from this offset.
    #[n(2)]
    pub stdout_from: u64,
    /// Stderr is wanted from this offset.
    #[n(3)]
    pub stderr_from: u64,
    /// Credit for stdout, an absolute offset.
    #[n(4)]
    pub stdout_credit: u64,
    /// Credit for stderr, an absolute offset.
    #[n(5)]
    pub stderr_credit: u64,
    /// Only the outcome is wanted, and nothing of the outputs.
    #[n(6)]
    pub outcome_only: Option<bool>,
    /// Outputs are wanted from so many bytes before their end, both together in the order in which
    /// they came, if that is behind the offsets given.
    #[n(7)]
    pub last: Option<u64>,
}

/// A numbered control, applied once and in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Control {
    /// From 1, one more each time.
    #[n(0)]
    pub number: u64,
    /// What to do.
    #[n(1)]
    pub kind: ControlKind,
}

/// What a [`Control`] does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum ControlKind {
    /// Sends this signal to the job's process group.
    #[n(0)]
    Signal(#[n(0)] u8),
    /// Rows, columns, width and height in pixels.
    #[n(1)]
    Resize(#[n(0)] u16, #[n(1)] u16, #[n(2)] u16, #[n(3)] u16),
    /// Nobody reads this output stream (1 or 2) any more.
    #[n(2)]
    Stop(#[n(0)] u8),
    /// TERM to the whole tree, KILL after so many milliseconds; 0 is KILL at once.
    #[n(3)]
    Cancel(#[n(0)] u32),
}

/// The client leaves the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Close {
    /// The outcome has arrived and may be forgotten.
    #[n(0)]
    pub outcome_seen: bool,
}

/// Bytes that were gone before they could be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Missed {
    /// 1 stdout, 2 stderr.
    #[n(0)]
    pub stream: u8,
    /// Offset of the first byte missed.
    #[n(1)]
    pub from: u64,
    /// Offset behind the last byte missed; data goes on here.
    #[n(2)]
    pub to: u64,
}

/// The job is there, and this is where its streams go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Attached {
    /// Started by this very request.
    #[n(0)]
    pub new: bool,
    /// Process id on the server.
    #[n(1)]
    pub pid: u32,
    /// Cancel reaches the tree exactly.
    #[n(2)]
    pub exact: bool,
    /// The receiver is the holder.
    #[n(3)]
    pub holder: bool,
    /// Stdin has arrived up to here; send from here.
    #[n(4)]
    pub stdin_from: u64,
    /// Credit for stdin.
    #[n(5)]
    pub stdin_credit: u64,
    /// Number of the last control applied.
    #[n(6)]
    pub applied: u64,
    /// Stdout follows from this offset.
    #[n(7)]
    pub stdout_from: u64,
    /// Stderr follows from this offset.
    #[n(8)]
    pub stderr_from: u64,
    /// The streams are a terminal; absent for false.
    #[n(9)]
    pub terminal: Option<bool>,
}

/// The request is not granted; the channel is closed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Refused {
    /// See [`RefusedCode`]; codes not known here are kept as numbers.
    #[n(0)]
    pub code: u16,
    /// For people; at most 1,024 bytes.
    #[n(1)]
    pub text: String,
}

/// Why a request is refused (PROTOCOL.md section 4, codes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum RefusedCode {
    /// Empty argv, NUL in an argument, and the like.
    Malformed = 1,
    /// Too many channels on this connection.
    Channels = 2,
    /// Too many jobs on this server.
    Jobs = 3,
    /// No room in the log pool.
    LogPool = 4,
    /// No such job.
    NoSuchJob = 5,
    /// The id is known with another command.
    OtherCommand = 6,
    /// It may have run; nobody can know any more.
    Unknown = 7,
    /// The key or the user may not do this.
    NotAllowed = 8,
    /// The server is shutting down.
    ShuttingDown = 9,
    /// Not supported by this server.
    Unsupported = 10,
    /// The server failed; the text says how.
    ServerFailure = 11,
}

/// Every control up to this number is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Applied {
    /// Number of the last control applied.
    #[n(0)]
    pub number: u64,
}

/// The process has exited; output may still follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Exited {
    /// How.
    #[n(0)]
    pub exit: Exit,
}

/// The receiver became, or is no longer, the holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Holder {
    /// Whether it is the holder now.
    #[n(0)]
    pub holder: bool,
}
