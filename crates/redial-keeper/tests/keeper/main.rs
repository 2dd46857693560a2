//! The keeper, driven through its link as a front would.
//!
//! Each test has a keeper in a process of its own: this executable again, as the
//! test `keeper_process`. So zombies, descriptors and memory are seen from outside.

mod drops;
mod endings;
mod front;
mod fronts;
mod harness;
mod hostile;
mod many;
mod once;
mod sockets;
mod streams;

/// Not a test: what the others start. Returns at once otherwise.
#[test]
fn keeper_process() {
    if std::env::var_os(harness::KEEPER).is_some() {
        harness::be_keeper();
    }
}
