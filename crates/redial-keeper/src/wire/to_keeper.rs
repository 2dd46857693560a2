//! Front to keeper.

use minicbor::bytes::{ByteArray, ByteVec};
use minicbor::{Decode, Decoder, Encode, decode};

use super::{Ask, Capability};
use crate::outcome::ControlKind;

/// A request of the front. None of them is trusted: ids are looked up, offsets
/// clamped to what can be true, and what a capability may not do is refused.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum ToKeeper {
    /// The front is up; its build's [`super::VERSION`].
    #[n(0)]
    Ready(#[n(0)] u32),
    /// A piece of an encoded [`Command`] that is longer than a packet; the rest
    /// follows in more of these and a last [`ToKeeper::Start`]. One at a time.
    #[n(1)]
    StartPiece(#[n(0)] Capability, #[n(1)] ByteVec),
    /// Capability, the front's own number for the answer, and the (last piece of
    /// the) encoded [`Command`]. Answered by `Attached` or `Refused`, or by `Attached` with an
    /// outcome in its snapshot when the process could not be started.
    #[n(2)]
    Start(#[n(0)] Capability, #[n(1)] u32, #[n(2)] ByteVec),
    /// Capability, number for the answer, job, take the hold.
    #[n(3)]
    Attach(
        #[n(0)] Capability,
        #[n(1)] u32,
        #[n(2)] ByteArray<16>,
        #[n(3)] bool,
    ),
    /// Holder only: stdout and stderr are acknowledged up to these offsets.
    #[n(4)]
    Acknowledge(
        #[n(0)] Capability,
        #[n(1)] ByteArray<16>,
        #[n(2)] u64,
        #[n(3)] u64,
    ),
    /// Holder only: stdin lies in its chunks up to this offset.
    #[n(5)]
    Stdin(#[n(0)] Capability, #[n(1)] ByteArray<16>, #[n(2)] u64),
    /// Holder only: stdin ends at this offset.
    #[n(6)]
    StdinEnd(#[n(0)] Capability, #[n(1)] ByteArray<16>, #[n(2)] u64),
    /// Holder only: a numbered control.
    #[n(7)]
    Control(
        #[n(0)] Capability,
        #[n(1)] ByteArray<16>,
        #[n(2)] u64,
        #[n(3)] ControlKind,
    ),
    /// This reader leaves; true: its client has seen the outcome; true: it is the holder.
    #[n(8)]
    Leave(
        #[n(0)] Capability,
        #[n(1)] ByteArray<16>,
        #[n(2)] bool,
        #[n(3)] bool,
    ),
    /// The connection is over and its capability void. Jobs it held go by their drop policy.
    #[n(9)]
    Closed(#[n(0)] Capability),
    /// A connection from the network has finished TLS and said hello: it costs its peer more now.
    #[n(10)]
    Secured(#[n(0)] Capability),
    /// It says who it is. Answered by `Verdict`; one at a time.
    #[n(11)]
    Login(#[n(0)] Capability, #[n(1)] Box<Login>),
    /// Capability, number for the answer, question. Answered by `Answer` or `Refused`.
    #[n(12)]
    Query(#[n(0)] Capability, #[n(1)] u32, #[n(2)] Box<Ask>),
    /// The answer to [`super::ToFront::Echo`].
    #[n(13)]
    Echo(#[n(0)] u64),
    /// How far it has shut itself in: for the log.
    #[n(14)]
    Confined(#[n(0)] Confinement),
}

/// What a front cannot do any more, whatever becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct Confinement {
    /// A program that it executes gets no more rights (PR_SET_NO_NEW_PRIVS(2const)).
    #[n(0)]
    pub no_new_privileges: bool,
    /// Landlock keeps it from all files (landlock(7)).
    #[n(1)]
    pub files: bool,
    /// From opening connections and ports.
    #[n(2)]
    pub network: bool,
    /// From signalling other processes, and from their abstract sockets.
    #[n(3)]
    pub others: bool,
}

impl std::fmt::Display for Confinement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let reached = [
            (self.no_new_privileges, "new privileges"),
            (self.files, "opening files"),
            (self.network, "TCP of its own"),
            (self.others, "signals to others"),
        ];
        let reached = reached.iter().filter(|(is, _)| *is).map(|(_, what)| *what);
        let reached: Vec<&str> = reached.collect();
        match reached[..] {
            [] => f.write_str("from nothing"),
            _ => write!(f, "from {}", reached.join(", ")),
        }
    }
}

/// What a client says of itself (PROTOCOL.md, `authenticate` and section 9).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Login {
    /// The user's name.
    #[n(0)]
    pub user: String,
    /// Blobs of the keys offered.
    #[n(1)]
    pub keys: Vec<ByteVec>,
    /// An SSHSIG by the first of them.
    #[n(2)]
    pub signature: Option<ByteVec>,
    /// What binds the signature to the TLS connection; the front vouches for it.
    #[n(3)]
    pub exporter: ByteArray<32>,
}

/// Most arguments, and most variables, of a command: an empty one is a byte here
/// and two dozen in memory.
pub const MAX_COMMAND_ITEMS: usize = 131_072;

/// What to run, as the client asked.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Command {
    /// Chosen by the client.
    #[n(0)]
    pub job: ByteArray<16>,
    /// Program.
    #[n(1)]
    pub program: Program,
    /// Working directory; the home directory when absent.
    #[n(2)]
    pub cwd: Option<ByteVec>,
    /// Environment asked for: name, value. At most [`MAX_COMMAND_ITEMS`].
    #[cbor(n(3), decode_with = "bounded")]
    pub env: Vec<(ByteVec, ByteVec)>,
    /// Whether there is a stdin; else /dev/null.
    #[n(4)]
    pub stdin: bool,
    /// A terminal for all three streams.
    #[n(5)]
    pub pty: Option<PtyRequest>,
    /// Milliseconds after the spawn at which the tree is ended.
    #[n(6)]
    pub deadline_ms: Option<u64>,
    /// Milliseconds for which pipes held by others are read after the exit.
    #[n(7)]
    pub drain_ms: u32,
    /// What becomes of the job when its line drops.
    #[n(8)]
    pub on_drop: Drop,
    /// End what outlives the job.
    #[n(9)]
    pub reap: bool,
    /// A kept job.
    #[n(10)]
    pub detach: bool,
    /// Set when it was sent before.
    #[n(11)]
    pub resent: Option<Resent>,
    /// How it is kept, if it is; what is not said is as the keeper's limits say.
    #[n(12)]
    pub keep: Option<Keep>,
    /// What it may take of the machine.
    #[n(13)]
    pub resources: Option<Resources>,
}

/// What a job may take of the machine, all its processes together; what is none is not limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct Resources {
    /// Bytes of memory; beyond, it is ended.
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

impl Resources {
    /// Whether only a cgroup can see to them.
    pub fn need_cgroup(&self) -> bool {
        self.memory.is_some() || self.cpu_milli.is_some() || self.pids.is_some()
    }
}

/// How the output of a kept job is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct Keep {
    /// Bytes of its file.
    #[n(0)]
    pub bytes: Option<u64>,
    /// The oldest go when it is full; else the command blocks.
    #[n(1)]
    pub tail: bool,
    /// Milliseconds for which it is kept after its end.
    #[n(2)]
    pub time_ms: Option<u64>,
}

impl Command {
    /// Encoded, to be cut into [`ToKeeper::StartPiece`]s and a [`ToKeeper::Start`].
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // Writing to a `Vec` cannot fail, and the derived encoder has no errors of its own.
        let written = minicbor::encode(self, &mut bytes);
        debug_assert!(written.is_ok(), "a command encodes");
        bytes
    }
}

/// A program and its arguments, or text for a shell.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Program {
    /// Run without a shell. At most [`MAX_COMMAND_ITEMS`].
    #[n(0)]
    Argv(#[cbor(n(0), decode_with = "bounded")] Vec<ByteVec>),
    /// Given to the account's login shell.
    #[n(1)]
    Shell(#[n(0)] ByteVec),
    /// The account's login shell itself, as login(1) starts it.
    #[n(2)]
    Login,
}

/// Size and TERM of a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PtyRequest {
    /// Rows.
    #[n(0)]
    pub rows: u16,
    /// Columns.
    #[n(1)]
    pub columns: u16,
    /// Width in pixels.
    #[n(2)]
    pub x_pixels: u16,
    /// Height in pixels.
    #[n(3)]
    pub y_pixels: u16,
    /// TERM.
    #[n(4)]
    pub term: ByteVec,
}

/// What becomes of a job when its line drops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Drop {
    /// End its tree.
    #[n(0)]
    Kill,
    /// Let it run.
    #[n(1)]
    Keep,
    /// Let it run for so many milliseconds.
    #[n(2)]
    KeepFor(#[n(0)] u64),
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
}

/// A list that is given up, not collected, when it has more than
/// [`MAX_COMMAND_ITEMS`] items.
fn bounded<'b, C, T: Decode<'b, C>>(
    decoder: &mut Decoder<'b>,
    context: &mut C,
) -> Result<Vec<T>, decode::Error> {
    let position = decoder.position();
    let mut items = Vec::new();
    for item in decoder.array_iter_with(context)? {
        if items.len() == MAX_COMMAND_ITEMS {
            return Err(decode::Error::message("too many items").at(position));
        }
        items.push(item?);
    }
    Ok(items)
}
