//! The process that holds the children.
//!
//! The keeper starts processes, reads what they write into logs in shared memory,
//! feeds them stdin, keeps the timers, reaps, and ends trees. It knows no transport
//! and no protocol: a *front*, a child of its own that may die at any time, talks to
//! the network and to the keeper over a socket pair ([`wire`]). What the front says
//! is treated as hostile; what it needs to send output is mapped once ([`pool`]).
//!
//! [`keeper::run`] is the whole of it. [`spawn`] and [`tree`] start processes and
//! end all that came of them, and are useful on their own. Linux only; no async.
//! This is the one crate with unsafe code, each block of it with its reason.

pub mod account;
pub mod audit;
pub mod keeper;
mod log;
pub mod login;
pub mod outcome;
pub mod pool;
mod quota;
pub mod recording;
pub mod service;
pub mod signals;
pub mod signer;
#[cfg(feature = "simulation")]
#[doc(hidden)]
pub mod simulation {
    //! What a simulation needs of the keeper.

    pub use crate::keeper::simulation::{Begun, Keeper, Rest, Walk};
}
pub mod spawn;
pub mod spool;
mod state;
pub mod tree;
pub mod wire;

pub use redial_auth::HostKey;
