//! The telephone from both ends, over every kind of address.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

mod datagrams;
mod server;
mod streams;
