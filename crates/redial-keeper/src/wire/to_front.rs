//! Keeper to front.

use minicbor::bytes::{ByteArray, ByteVec};
use minicbor::{Decode, Encode};

use super::{Capability, Reply};
use crate::outcome::{Exit, Outcome, RefusedCode};
use crate::spool::SpoolState;

/// What the keeper tells the front. Facts about a job go to the front as long as
/// one of its connections reads that job.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum ToFront {
    /// First message: version, instance, settings. Descriptors: the output pool
    /// (read-only), the stdin pool, and where the network is listened on the link to the signer
    /// (see [`crate::signer`]).
    #[n(0)]
    Welcome(#[n(0)] u32, #[n(1)] ByteArray<16>, #[n(2)] FrontSettings),
    /// A connection. Descriptors: one socket, or two ends of a stdio.
    #[n(1)]
    Connection(#[n(0)] Capability, #[n(1)] ConnectionKind),
    /// Answer to a start or attach: the front's number, the job, started by this
    /// very request, and where the job stands. Descriptor, where the snapshot has a spool: the file
    /// to read its outputs from.
    #[n(2)]
    Attached(
        #[n(0)] u32,
        #[n(1)] ByteArray<16>,
        #[n(2)] bool,
        #[n(3)] Box<Snapshot>,
    ),
    /// Answer to a start or attach: the front's number, why not.
    #[n(3)]
    Refused(#[n(0)] u32, #[n(1)] RefusedCode, #[n(2)] String),
    /// Output has arrived: first the chunks that are new, then the pieces in order.
    #[n(4)]
    Output(
        #[n(0)] ByteArray<16>,
        #[n(1)] Vec<Chunk>,
        #[n(2)] Vec<Piece>,
    ),
    /// An output stream has ended; its length.
    #[n(5)]
    OutputEnd(#[n(0)] ByteArray<16>, #[n(1)] u8, #[n(2)] u64),
    /// One more chunk for stdin.
    #[n(6)]
    StdinChunk(#[n(0)] ByteArray<16>, #[n(1)] Chunk),
    /// The child has taken stdin up to this offset; chunks wholly before it are gone.
    #[n(7)]
    StdinTaken(#[n(0)] ByteArray<16>, #[n(1)] u64),
    /// The child reads no more.
    #[n(8)]
    StdinClosed(#[n(0)] ByteArray<16>),
    /// Every control up to this number is applied.
    #[n(9)]
    Applied(#[n(0)] ByteArray<16>, #[n(1)] u64),
    /// The process has exited.
    #[n(10)]
    Exited(#[n(0)] ByteArray<16>, #[n(1)] Exit),
    /// The job is over; after its output and both ends.
    #[n(11)]
    Ended(#[n(0)] ByteArray<16>, #[n(1)] Box<Outcome>),
    /// Another connection took the job; this capability is no longer its holder.
    #[n(12)]
    HolderLost(#[n(0)] Capability, #[n(1)] ByteArray<16>),
    /// The server is shutting down: no more starts; say goodbye when the jobs have ended.
    #[n(13)]
    ShuttingDown,
    /// Answer to a login on this connection.
    #[n(14)]
    Verdict(#[n(0)] Capability, #[n(1)] Verdict),
    /// The connection is to go; its capability is void already.
    #[n(15)]
    Dismissed(#[n(0)] Capability, #[n(1)] Dismissal),
    /// The job's file is written up to here.
    #[n(16)]
    Spooled(#[n(0)] ByteArray<16>, #[n(1)] SpoolState),
    /// From now on the job's outputs are in a file, from what was not acknowledged on; no more
    /// `Output` comes. Descriptor: the file.
    #[n(17)]
    Kept(#[n(0)] ByteArray<16>, #[n(1)] SpoolState),
    /// Answer to a query: the front's number, what is answered.
    #[n(18)]
    Answer(#[n(0)] u32, #[n(1)] Box<Reply>),
    /// To be sent back ([`super::ToKeeper::Echo`]) when all that came before is done with: no bytes
    /// of the output pool that it named are read any more, except by who holds their job.
    #[n(19)]
    Echo(#[n(0)] u64),
}

/// What the keeper says to a [`super::Login`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Verdict {
    /// The capability is good from now on.
    #[n(0)]
    In,
    /// These of the offered keys, by index, may be proved.
    #[n(1)]
    Prove(#[n(0)] Vec<u8>),
    /// No.
    #[n(2)]
    Out,
    /// That cannot be found out now, which is not the client's fault.
    #[n(3)]
    Failed,
}

/// Why a connection is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Dismissal {
    /// It never said who it is, and others want its place, or its time is over.
    #[n(0)]
    Stranger,
    /// Its key lets nobody in any more.
    #[n(1)]
    Revoked,
    /// There are as many connections as there may be.
    #[n(2)]
    Full,
}

/// Where a connection came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum ConnectionKind {
    /// Accepted on a Unix socket: the peer's uid, gid, pid as the kernel says.
    #[n(0)]
    Unix(#[n(0)] u32, #[n(1)] u32, #[n(2)] u32),
    /// The stdio this server was started with.
    #[n(1)]
    Stdio,
    /// Accepted from the network: nobody, until it has logged in.
    #[n(2)]
    Tcp(#[n(0)] TcpPeer),
    /// A Unix socket whose other end somebody carries elsewhere: nobody, as from the network. Its
    /// address is unspecified.
    #[n(3)]
    Carried(#[n(0)] TcpPeer),
}

/// A connection from the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct TcpPeer {
    /// The peer's address, an IPv4 one mapped (RFC 4291 section 2.5.5.2): for the log.
    #[n(0)]
    pub address: ByteArray<16>,
    /// The peer's port.
    #[n(1)]
    pub port: u16,
    /// What a proof on this connection must cover.
    #[n(2)]
    pub nonce: ByteArray<32>,
}

/// What the front has to know to serve.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct FrontSettings {
    /// Connections at once.
    #[n(0)]
    pub connections: u32,
    /// Channels a connection.
    #[n(1)]
    pub channels: u32,
    /// Milliseconds for a handshake.
    #[n(2)]
    pub handshake_ms: u32,
    /// Chunks in the output pool, of 64 KiB each.
    #[n(3)]
    pub output_chunks: u32,
    /// Chunks in the stdin pool, of 64 KiB each.
    #[n(4)]
    pub stdin_chunks: u32,
    /// A private server: one connection, no `keep`, no `detach`.
    #[n(5)]
    pub private: bool,
    /// Where the network is listened on: the host key's blob (RFC 4253 section 6.6).
    #[n(6)]
    pub host_key: Option<ByteVec>,
}

/// Chunk `number` of a stream (its bytes `number * 65,536 ..`) lies in slot `slot` of the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Chunk {
    /// 0 stdin, 1 stdout, 2 stderr.
    #[n(0)]
    pub stream: u8,
    /// Which 64 KiB of the stream.
    #[n(1)]
    pub number: u64,
    /// Which 64 KiB of the pool.
    #[n(2)]
    pub slot: u32,
}

/// So many bytes of this stream arrived next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Piece {
    /// 1 stdout, 2 stderr.
    #[n(0)]
    pub stream: u8,
    /// Bytes.
    #[n(1)]
    pub len: u64,
}

/// One output stream, as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub struct StreamState {
    /// Offset of the oldest byte kept.
    #[n(0)]
    pub oldest: u64,
    /// Offset behind the newest byte.
    #[n(1)]
    pub end: u64,
    /// Nothing will follow.
    #[n(2)]
    pub ended: bool,
}

/// Where a job stands when a connection attaches to it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct Snapshot {
    /// Process id; 0 if there never was one.
    #[n(0)]
    pub pid: u32,
    /// Cancel reaches the tree exactly.
    #[n(1)]
    pub exact: bool,
    /// The asking connection is the holder.
    #[n(2)]
    pub holder: bool,
    /// Stdin has arrived up to here.
    #[n(3)]
    pub stdin_arrived: u64,
    /// Number of the last control applied.
    #[n(4)]
    pub applied: u64,
    /// Stdout.
    #[n(5)]
    pub stdout: StreamState,
    /// Stderr.
    #[n(6)]
    pub stderr: StreamState,
    /// Every chunk of the three streams.
    #[n(7)]
    pub chunks: Vec<Chunk>,
    /// The order in which the bytes from `oldest` on arrived.
    #[n(8)]
    pub pieces: Vec<Piece>,
    /// The child reads stdin no more (or never did).
    #[n(9)]
    pub stdin_closed: bool,
    /// It has exited.
    #[n(10)]
    pub exit: Option<Exit>,
    /// It is over.
    #[n(11)]
    pub outcome: Option<Outcome>,
    /// Its outputs are in a file, not in chunks.
    #[n(12)]
    pub spool: Option<SpoolState>,
    /// Its streams are a terminal.
    #[n(13)]
    pub terminal: bool,
}
