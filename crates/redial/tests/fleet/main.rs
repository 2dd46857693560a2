//! One command on many hosts, on real sockets: which hosts, how many at once, what is shown, and what
//! is written down.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

#[path = "../support/mod.rs"]
mod support;

mod again;
mod ends;
mod habits;
mod inventory;
mod output;
mod resume;
mod site;
mod stops;
