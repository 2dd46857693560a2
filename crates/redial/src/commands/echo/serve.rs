//! `redial echo serve`: prints what happens on the telephone.

use std::os::fd::AsFd;

use anyhow::{Context, ensure};
use redial_classic::address::{Address, Kind};
use redial_classic::echo::{Answers, DEFAULT_BACKLOG, EchoServer, Event, Gone};

use super::ending::ending;
use crate::args::EchoServeArgs;
use crate::commands::call_printer::CallPrinter;

/// Serves until it is ended or done.
pub(super) fn serve(args: &EchoServeArgs) -> anyhow::Result<()> {
    let address = Address::parse(&args.listen)?;
    ensure!(
        args.backlog.is_none() || address.kind() == Kind::Stream,
        "--backlog is for streams: nobody waits to be picked up at {address}"
    );
    let ending = ending().context("cannot hear signals")?;
    let server = EchoServer::bind(&address, args.backlog.unwrap_or(DEFAULT_BACKLOG))?;
    let printer = CallPrinter::default();
    printer.print(format_args!("listening on {}", server.address()));
    let answers = match args.once {
        true => Answers::Once,
        false => Answers::ForEver,
    };
    server.serve(answers, ending.as_fd(), move |event| tell(&printer, &event))?;
    Ok(())
}

fn tell(printer: &CallPrinter, event: &Event<'_>) {
    match event {
        Event::Connected { call, socket, from } => {
            printer.connected(*call, socket, from);
        }
        Event::Heard { call, bytes } => {
            printer.heard(*call, bytes);
        }
        Event::HungUp { call, gone } => match gone {
            Gone::Client => printer.print(format_args!("call {call}: the client has hung up")),
            Gone::Server => printer.print(format_args!("call {call}: we have hung up")),
            Gone::Vanished(error) => {
                printer.print(format_args!("call {call}: the client is gone: {error}"));
            }
        },
        Event::Mailbox { socket } => printer.print(format_args!("socket {socket}")),
        Event::Datagram { call, from } => {
            printer.print(format_args!("call {call}: the client's address {from}"));
        }
        Event::Unanswered { call, reason } => {
            printer.print(format_args!("call {call}: not answered: {reason}"));
        }
    }
}
