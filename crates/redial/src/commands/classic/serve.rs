//! `redial classic serve`: prints who calls and what is asked for.

use std::os::fd::AsFd;

use anyhow::{Context, ensure};
use redial_classic::address::{Address, Reach};
use redial_classic::listen::Listener;
use redial_classic::remote::{Event, Order, ServerSettings, serve as serve_on};

use crate::args::{ClassicServeArgs, ReplyArg};
use crate::commands::call_printer::CallPrinter;
use crate::commands::echo::ending::ending;

/// Callers who wait until they are accepted.
pub(super) const BACKLOG: u16 = 128;
/// Serves until it is ended.
pub(super) fn serve(args: &ClassicServeArgs) -> anyhow::Result<()> {
    ensure!(
        !args.deadline.is_zero(),
        "--deadline: must be longer than 0"
    );
    let address = Address::parse(&args.listen)?;
    let ending = ending().context("cannot hear signals")?;
    let listener = Listener::bind(&address, BACKLOG, Reach::ThisMachine)?;
    let settings = ServerSettings {
        wire: super::wire(&args.wire),
        order: match args.reply {
            ReplyArg::Both => Order::Both,
            ReplyArg::Lesson => Order::Lesson,
        },
        deadline: args.deadline,
        max_reply: args.max_reply,
        max_clients: args.max_clients.get(),
    };
    let printer = CallPrinter::default();
    printer.print(format_args!("listening on {}", listener.address()));
    let told = |event: &Event<'_>| tell(&printer, event);
    serve_on(&listener, &settings, ending.as_fd(), &told)?;
    Ok(())
}

fn tell(printer: &CallPrinter, event: &Event<'_>) {
    match event {
        Event::Connected { call, socket, from } => {
            printer.connected(*call, socket, from);
        }
        Event::Request { call, command } => {
            printer.heard(*call, command);
        }
        Event::Told { call, words } => printer.print(format_args!("call {call}: told: {words}")),
        Event::Gone { call, error: None } => {
            printer.print(format_args!("call {call}: the client has hung up"));
        }
        Event::Gone {
            call,
            error: Some(error),
        } => printer.print(format_args!("call {call}: the client is gone: {error}")),
        Event::NotAccepted(error) => {
            printer.print(format_args!("a client cannot be taken: {error}"));
        }
        Event::Full(clients) => {
            printer.print(format_args!(
                "{clients} clients are here: the next ones wait"
            ));
        }
    }
}
