//! A job's three streams: pipes on one side, logs on the other.

mod input;
mod output;
mod terminal;

use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec};

pub(super) use input::Input;
pub(super) use output::Output;

/// Whether `flag`, one of those that poll(2) always reports, is set now.
fn is_polled(pipe: &OwnedFd, flag: PollFlags) -> bool {
    let mut asked = [PollFd::new(pipe, PollFlags::empty())];
    let polled = rustix::event::poll(&mut asked, Some(&Timespec::default()));
    polled.is_ok() && asked[0].revents().contains(flag)
}
