//! The keeper, driven through its link as a front would.
//!
//! Each test has a keeper in a process of its own: this executable again, as the
//! test `keeper_process`. So zombies, descriptors and memory are seen from outside.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

mod admission;
mod asked;
mod bounds;
mod drops;
mod endings;
mod front;
mod fronts;
mod harness;
mod hostile;
mod left;
mod limits;
mod login;
mod many;
mod once;
mod policy;
mod private;
mod program;
mod seen;
mod sockets;
mod streams;
mod users;

/// Not a test: what the others start. Returns at once otherwise.
#[test]
fn keeper_process() {
    if std::env::var_os(harness::KEEPER).is_some() {
        harness::be_keeper();
    }
}

/// Not a test either: the front that a keeper starts as a program.
#[test]
fn front_process() {
    if std::env::var_os(harness::PROGRAM).is_some() {
        program::be_front();
    }
}
