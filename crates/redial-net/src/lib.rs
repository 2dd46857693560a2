//! Transports, and the one driver that moves bytes between a transport and the
//! protocol, for both sides.
//!
//! A [`Transport`] is an ordered byte stream: a Unix socket, TCP, or the stdio of this
//! or another program. [`tls`] is a layer over any of them, and one again. [`drive`] owns it together with a [`proto::Connection`] and asks
//! a [`Session`] (the client's, or the front's) for commands and for the bytes of
//! outgoing streams. What is absent: jobs, processes, files. The session knows those.

mod driver;
mod inbox;
#[cfg(feature = "nats")]
pub mod nats;
mod outbox;
mod program;
mod session;
mod socket;
mod tcp;
pub mod tls;
mod transport;

pub use driver::{DriveError, drive, drive_since};
pub use program::{Over, Program, program};
pub use redial_auth as auth;
pub use redial_proto as proto;
pub use session::{Session, Slices};
pub use tcp::{Bind, TcpError, TcpOptions, TcpTarget};
pub use transport::Transport;
