//! What ends a conversation before its time.

use std::io;
use std::time::Duration;

use redial_frame::FrameError;

/// Why a conversation, or a file's transfer, failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The socket, or something else of the system, failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A header that announces nonsense, or a message that was cut off. After it the place of the
    /// next message is unknown.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The shutdown that the caller gave was used.
    #[error("asked to end")]
    Stopped,
    /// The other side hung up where its answer was due.
    #[error("the other side hung up without an answer")]
    NoAnswer,
    /// For so long nothing came, or nothing more was taken.
    #[error("nothing came from the other side, or was taken by it, for {}", seconds(*.0))]
    Silent(Duration),
    /// The other side said in words why it refuses.
    #[error("the other side says: {0}")]
    Refused(String),
    /// The caller's sink of a reply failed.
    #[error("cannot write the reply: {0}")]
    Sink(io::Error),
    /// The file to send or to write failed.
    #[error("{what}: {error}")]
    File {
        /// Which file, or which step of writing it.
        what: String,
        /// The cause.
        error: io::Error,
    },
    /// The file to send has no length that is known beforehand, or it changed.
    #[error("{0}")]
    NotSendable(String),
}

/// A time in words, such as `60 s` or `0.25 s`.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}
