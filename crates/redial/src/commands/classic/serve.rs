//! `redial classic serve`: prints who calls and what is asked for.

use std::fmt;
use std::os::fd::AsFd;
use std::sync::Mutex;

use anyhow::{Context, ensure};
use redial_classic::address::{Address, Reach};
use redial_classic::listen::Listener;
use redial_classic::remote::{Event, Order, ServerSettings, serve as serve_on};

use crate::args::{ClassicServeArgs, ReplyArg};
use crate::commands::echo::ending::ending;
use crate::commands::echo::shown::Shown;
use crate::report::Harmless;
use crate::stdio::print_line;

/// Callers who wait until they are accepted.
pub(super) const BACKLOG: u16 = 128;
/// Shown of a command.
const SHOWN_BYTES: usize = 1024;

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
    let printer = Printer::default();
    printer.print(format_args!("listening on {}", listener.address()));
    let tell = |event: &Event<'_>| printer.tell(event);
    serve_on(&listener, &settings, ending.as_fd(), &tell)?;
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
            Event::Request { call, command } => {
                let command = Shown(command, SHOWN_BYTES);
                // It is harmless already.
                self.line(format_args!("call {call}: from client: {command}"));
            }
            Event::Told { call, words } => self.print(format_args!("call {call}: told: {words}")),
            Event::Gone { call, error: None } => {
                self.print(format_args!("call {call}: the client has hung up"));
            }
            Event::Gone {
                call,
                error: Some(error),
            } => self.print(format_args!("call {call}: the client is gone: {error}")),
            Event::NotAccepted(error) => {
                self.print(format_args!("a client cannot be taken: {error}"));
            }
            Event::Full(clients) => {
                self.print(format_args!(
                    "{clients} clients are here: the next ones wait"
                ));
            }
        }
    }

    /// A client may have chosen the name of its socket.
    fn print(&self, text: fmt::Arguments<'_>) {
        self.line(Harmless(text));
    }

    fn line(&self, line: impl fmt::Display) {
        let _turn = self.turn.lock();
        // Commands are run though nobody watches.
        let _ = print_line(line);
    }
}
