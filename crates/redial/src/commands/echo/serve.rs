//! `redial echo serve`: prints what happens on the telephone.

use std::fmt;
use std::os::fd::AsFd;
use std::sync::Mutex;

use anyhow::{Context, ensure};
use redial_classic::address::{Address, Kind};
use redial_classic::echo::{Answers, DEFAULT_BACKLOG, EchoServer, Event, Gone};

use super::ending::ending;
use super::shown::Shown;
use crate::args::EchoServeArgs;
use crate::report::Harmless;
use crate::stdio::print_line;

/// Shown of what one recv brought.
const SHOWN_BYTES: usize = 1024;

/// Serves until it is ended or done.
pub(super) fn serve(args: &EchoServeArgs) -> anyhow::Result<()> {
    let address = Address::parse(&args.listen)?;
    ensure!(
        args.backlog.is_none() || address.kind() == Kind::Stream,
        "--backlog is for streams: nobody waits to be picked up at {address}"
    );
    let ending = ending().context("cannot hear signals")?;
    let server = EchoServer::bind(&address, args.backlog.unwrap_or(DEFAULT_BACKLOG))?;
    let printer = Printer::default();
    printer.print(format_args!("listening on {}", server.address()));
    let answers = match args.once {
        true => Answers::Once,
        false => Answers::ForEver,
    };
    server.serve(answers, ending.as_fd(), move |event| printer.tell(&event))?;
    Ok(())
}

/// Whole lines, though several threads print.
#[derive(Default)]
struct Printer {
    turn: Mutex<()>,
}

impl Printer {
    fn tell(&self, event: &Event<'_>) {
        match event {
            Event::Connected { call, socket, from } => {
                self.print(format_args!("call {call}: connection {socket}"));
                self.print(format_args!("call {call}: the client's address {from}"));
            }
            Event::Heard { call, bytes } => {
                let bytes = Shown(bytes, SHOWN_BYTES);
                // It is harmless already.
                self.line(format_args!("call {call}: from client: {bytes}"));
            }
            Event::HungUp { call, gone } => match gone {
                Gone::Client => self.print(format_args!("call {call}: the client has hung up")),
                Gone::Server => self.print(format_args!("call {call}: we have hung up")),
                Gone::Vanished(error) => {
                    self.print(format_args!("call {call}: the client is gone: {error}"));
                }
            },
            Event::Mailbox { socket } => self.print(format_args!("socket {socket}")),
            Event::Datagram { call, from } => {
                self.print(format_args!("call {call}: the client's address {from}"));
            }
            Event::Unanswered { call, reason } => {
                self.print(format_args!("call {call}: not answered: {reason}"));
            }
        }
    }

    /// A client may have chosen the name of its socket.
    fn print(&self, text: fmt::Arguments<'_>) {
        self.line(Harmless(text));
    }

    fn line(&self, line: impl fmt::Display) {
        let _turn = self.turn.lock();
        // The telephone works though nobody watches.
        let _ = print_line(line);
    }
}
