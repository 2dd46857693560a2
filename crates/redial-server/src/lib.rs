//! The front: listeners, protocol, sessions.
//!
//! A front is a process that the keeper started; [`front`] is all of it. It gets
//! connections from the keeper as descriptors, speaks the protocol on them, and turns
//! requests into messages to the keeper. It only looks at job logs (shared memory) and
//! holds nothing that cannot be lost: kill it, and the next one finds every job as it
//! was. What is absent: processes, signals, files, users. The keeper knows those.

mod agent;
mod channel;
mod confine;
mod front;
mod hub;
mod network;
mod notice;
mod readers;
mod session;
mod shares;
#[cfg(feature = "simulation")]
#[doc(hidden)]
pub mod simulation;
mod source;
mod translate;

pub use agent::{AgentError, agent};
pub use confine::{confine, confine_agent};
pub use front::{FrontError, front};

pub use redial_net::nats::Serving;
