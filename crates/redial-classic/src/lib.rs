//! The socket lesson's programs on plain sockets: the telephone that answers in upper case,
//! remote commands with a length before each reply, and struct's numbers as bytes.
//!
//! Nothing here authenticates anybody, so what runs commands listens on loopback and Unix
//! sockets only. It knows no redial protocol and no async runtime: a learner can read it.

pub mod address;
pub mod connect;
pub mod demo;
pub mod echo;
pub mod frames;
pub mod listen;
pub mod packing;
pub mod remote;

/// The programs of the lesson's page, which rustdoc runs.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/lesson.md")]
mod lesson {}
