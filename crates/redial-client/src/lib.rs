//! Connect to a redial server, start commands, read and write their streams.
//!
//! A [`Client`] is one connection to one [`Target`]; it is cheap to clone, and any
//! number of commands run over it at once. Servers on the [`network`] are known by their
//! keys, and know us by those that people have for ssh. What is absent: arguments, settings,
//! terminals, exit codes. Those belong to the program that uses this.
//!
//! Run to completion:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use redial_client::{Client, Command, ConnectOptions, Target};
//!
//! let target: Target = "unix:".parse()?;
//! let client = Client::connect(&target, ConnectOptions::default()).await?;
//! let finished = client.run(Command::new(["uname", "-a"])).await?;
//! assert!(finished.outcome.is_success());
//! print!("{}", String::from_utf8_lossy(&finished.stdout));
//! client.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! Stream, write stdin, and cancel: see [`Job`] and [`JobHandle`]. Without a runtime:
//! see [`blocking`].
//!
//! Every stream's length and checksum are compared with what the server says at the
//! end. A difference is [`JobError::Incomplete`], never a clean exit.

pub mod blocking;
mod client;
mod collect;
mod command;
mod connect;
mod error;
mod job;
mod jobs;
mod lock;
pub mod network;
mod options;
mod outcome;
mod pending;
mod preamble;
mod redial;
mod runtime_dir;
mod session;
mod shared;
#[cfg(feature = "simulation")]
#[doc(hidden)]
pub mod simulation;
mod target;
#[cfg(test)]
mod tests;

pub use bytes::Bytes;
pub use client::{Client, SentBefore, new_job_id};
pub use collect::Finished;
pub use command::{Command, Keep, OnDrop, Resources, Terminal, TerminalSize};
pub use error::{ConnectError, ControlError, JobError, Lost, QueryError, StartError, StdinError};
pub use job::{Job, JobEvent, JobHandle, Output};
pub use jobs::{AttachOptions, JobInfo, Place};
pub use network::{HostOverrides, Interaction, NetworkOptions, NewHost};
pub use options::ConnectOptions;
pub use outcome::{Cause, Digest, Exit, Holder, Outcome, Status};
pub use pending::{BeginError, PendingLogin};
pub use redial_net::proto::{JobId, StreamDigest};
pub use runtime_dir::{RuntimeDirError, default_socket, runtime_dir};
pub use target::{DEFAULT_PORT, HostError, HostTarget, Target, TargetError};
