//! Fronts as the product has them: this executable again, a child of the keeper.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use redial_keeper::wire::{
    Link, MAX_PACKET_BYTES, Outbox, ToFront, ToKeeper, VERSION, decode_packet,
};

use crate::harness::{Keeper, is_alive, millis, wait_until};

/// Tells every connection its process id and hangs up.
pub(crate) fn be_front() {
    let link = Link::from_fd(io::stdin().as_fd().try_clone_to_owned().unwrap()).unwrap();
    let mut out = Outbox::new();
    out.push(&ToKeeper::Ready(VERSION)).unwrap();
    out.flush(&link).unwrap();
    let mut buffer = vec![0; MAX_PACKET_BYTES];
    loop {
        let mut fds = [rustix::event::PollFd::new(
            &link,
            rustix::event::PollFlags::IN,
        )];
        rustix::event::poll(&mut fds, Some(&millis(60_000))).unwrap();
        let Ok(received) = link.receive(&mut buffer) else {
            return;
        };
        for message in decode_packet(&buffer[..received.len]) {
            match message.unwrap() {
                ToFront::Connection(who, _) => {
                    let socket = received.fds[0].try_clone().unwrap();
                    write!(UnixStream::from(socket), "{}", std::process::id()).unwrap();
                    out.push(&ToKeeper::Closed(who)).unwrap();
                    out.flush(&link).unwrap();
                }
                ToFront::ShuttingDown => return,
                _ => {}
            }
        }
        if received.len == 0 {
            return;
        }
    }
}

fn front_of(keeper: &Keeper) -> i32 {
    wait_until("the socket is there", || keeper.socket().exists());
    let mut text = String::new();
    keeper.dial().read_to_string(&mut text).unwrap();
    text.parse().unwrap()
}

#[test]
fn a_front_that_is_killed_is_replaced_and_the_last_one_ends_with_the_server() {
    let mut keeper = Keeper::start_with_program();
    let first = front_of(&keeper);
    assert_eq!(
        keeper.children().iter().map(|it| it.0).collect::<Vec<_>>(),
        [first]
    );
    let victim = rustix::process::Pid::from_raw(first).unwrap();
    rustix::process::kill_process(victim, rustix::process::Signal::KILL).unwrap();
    wait_until("it is reaped", || {
        !keeper.children().iter().any(|it| it.0 == first)
    });
    // Who dials in between waits in the queue of the socket.
    let second = front_of(&keeper);
    assert_ne!(first, second);
    keeper.shut_down();
    assert!(keeper.ended());
    assert!(!is_alive(second));
}
