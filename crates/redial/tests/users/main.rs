//! A server for all users of a machine: each gets in as themselves, reaches what is theirs, and
//! nobody gets more than that.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

#[path = "../support/mod.rs"]
mod support;

mod hostile;
mod identity;
mod refused;
mod theirs;
mod town;
