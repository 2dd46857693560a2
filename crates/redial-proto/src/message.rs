//! The messages of PROTOCOL.md section 4, as types. Names and keys follow its CDDL.

mod job;
mod link;
mod outcome;
mod query;

pub use job::{
    Applied, Attach, Attached, Close, Control, ControlKind, Exited, Holder, Keep, Missed, OnDrop,
    Pty, Refused, RefusedCode, Resent, Resources, Start,
};
pub use link::{
    Authenticate, Authenticated, ClientHello, Goodbye, GoodbyeCode, LimitsMessage, ServerHello,
};
pub use outcome::{Cause, DigestMessage, Exit, Outcome, Status};
pub use query::{Answer, AnswerKind, JobEntry, JobState, Query, QueryKind};

pub use minicbor::bytes::{ByteArray, ByteVec};
