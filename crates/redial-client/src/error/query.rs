//! What a server refuses, in words; and questions without an answer.

use redial_net::proto::message::RefusedCode;

use super::Lost;

/// A question about jobs, or a request of who does not hold one, without an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The server refuses.
    #[error("{}{text}", refusal(*code))]
    Refused {
        /// PROTOCOL.md section 4, codes.
        code: u16,
        /// In the server's words.
        text: String,
    },
    /// It cannot be sent.
    #[error("{0}")]
    Unsendable(String),
    /// The connection ended first.
    #[error("no answer: {0}")]
    Lost(Lost),
    /// No random numbers for its name.
    #[error("no random numbers: {0}")]
    Random(String),
}

/// What a refusal's code means.
pub(super) fn refusal(code: u16) -> &'static str {
    const CODES: [(RefusedCode, &str); 11] = [
        (RefusedCode::Malformed, "refused as malformed: "),
        (
            RefusedCode::Channels,
            "refused, too much at once on this connection: ",
        ),
        (RefusedCode::Jobs, "refused, the server has too many jobs: "),
        (
            RefusedCode::LogPool,
            "refused, the server has no room for its output: ",
        ),
        (RefusedCode::NoSuchJob, ""),
        (
            RefusedCode::OtherCommand,
            "refused, this job is another command: ",
        ),
        (RefusedCode::Unknown, "unknown, it may have run: "),
        (RefusedCode::NotAllowed, "not allowed: "),
        (
            RefusedCode::ShuttingDown,
            "refused, the server is shutting down: ",
        ),
        // Their texts say it.
        (RefusedCode::Unsupported, ""),
        (RefusedCode::ServerFailure, "the server failed: "),
    ];
    let known = CODES.iter().find(|(known, _)| *known as u16 == code);
    known.map_or("refused: ", |(_, text)| text)
}
