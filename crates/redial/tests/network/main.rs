//! Servers and clients on the network, as their users have them: keys, policy, attacks.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

#[path = "../support/mod.rs"]
mod support;

mod acceptance;
mod before;
mod host_keys;
mod hosts;
mod keys;
mod lab;
mod limits;
mod listeners;
mod outlives;
mod policy;
mod proxy;
mod revocation;
mod secrets;
mod sshd;
mod stranger;
mod terminal;
mod turns;
