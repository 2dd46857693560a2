//! Every bound of the protocol: its unit in the name, and the attack it stops (PROTOCOL.md section 8).

use core::time::Duration;

/// The version of the protocol spoken here.
pub const VERSION: u16 = 1;

/// Bytes before a payload: length, kind, flags, stream, zero, channel.
pub const HEADER_BYTES: usize = 12;

/// Payload that every side must accept, and may send before it knows the peer's limits.
pub const PAYLOAD_MIN_BYTES: u32 = 65_544;

/// Longest payload at all. Stops a claimed length that allocates.
pub const PAYLOAD_MAX_BYTES: u32 = 262_144;

/// Bytes of a stream in one data frame. Stops one channel from holding up the others.
pub const DATA_MAX_BYTES: u32 = 65_536;

/// Payload of hello and authenticate. Stops strangers from filling memory.
pub const HELLO_MAX_BYTES: u32 = 16_384;

/// A start, all pieces together, that every side must accept.
pub const START_MIN_BYTES: u32 = 65_544;

/// A start that goes with a login: it may be in vain, and lies with the server until that is decided.
pub(crate) const START_WITH_LOGIN_BYTES: usize = 8_192;

/// A start, all pieces together. Stops users from filling memory.
pub const START_MAX_BYTES: u32 = 2_097_152;

/// Arguments plus environment entries of a start. Stops empty strings, one byte on the wire and
/// two dozen in memory, from multiplying.
pub const START_ITEMS_MAX: usize = 262_144;

/// Channels at once, unless configured. Stops slots without end.
pub const CHANNELS_DEFAULT: u32 = 1_024;

/// Stdin that may follow a start before its answer, unless configured: the server keeps it.
pub const EARLY_STDIN_DEFAULT_BYTES: u32 = 65_536;

/// Nesting of arrays and maps. Stops deep recursion.
pub const NESTING_MAX: usize = 8;

/// Any text without a limit of its own. Stops log flooding.
pub const TEXT_MAX_BYTES: usize = 1_024;

/// The agent named in a hello. Stops log flooding.
pub const AGENT_MAX_BYTES: usize = 128;

/// Features named in a hello. Stops strangers from filling memory.
pub const FEATURES_MAX: usize = 32;

/// The name of a feature. The same.
pub const FEATURE_MAX_BYTES: usize = 64;

/// Public keys offered at once. Stops a flood of key look-ups.
pub const KEYS_MAX: usize = 256;

/// Times a client may authenticate. Stops guessing.
pub const AUTHENTICATE_TRIES: u8 = 3;

/// Processes named in an outcome. Stops outcomes from growing with a fork bomb.
pub const HOLDERS_MAX: usize = 16;

/// The name of a process in an outcome. The same, by long names.
pub const HOLDER_NAME_MAX_BYTES: usize = 64;

/// The path in an outcome. The same.
pub const PATH_MAX_BYTES: usize = 4_096;

/// Time for hellos and authentication, and for the peer's goodbye after ours. Stops half-open
/// connections.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Shortest keepalive interval a peer may name. Stops a peer from having us send all the time.
pub const KEEPALIVE_MIN_MS: u32 = 100;

/// Keepalive intervals of silence after which the line counts as dropped. Stops dead peers.
pub const KEEPALIVE_INTERVALS: u32 = 3;

/// Control frames a server lets wait before it stops reading. Stops replies that are never read.
pub const WAITING_CONTROL_BYTES: usize = 262_144;

/// Requests a client lets wait before it refuses further ones: bounds its own memory.
pub const WAITING_REQUEST_BYTES: usize = 16_777_216;

/// Pieces of the two outputs of one channel whose order is kept. More can only arise when a
/// reader has stalled and the outputs alternate in tiny writes; pieces after that are sent with
/// the last one of their stream. (The keeper's log has the tighter bound.)
pub const PIECES_MAX: usize = 4_096;
/// Smallest share of the processor that a job may be limited to, in thousandths of a core: the kernel
/// counts in parts of a tenth of a second (cgroup-v2's cpu.max).
pub const CPU_MIN_MILLI: u32 = 10;
