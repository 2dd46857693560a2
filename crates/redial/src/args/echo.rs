//! The command line of `redial echo`.

use std::ffi::OsString;

use clap::{Args, Subcommand};

const ECHO_HELP: &str = "\
A socket is a telephone. The one who is called:
  socket   buy a telephone          recv     hear
  bind     put in its number        send     speak
  listen   switch it on             close    hang up
  accept   pick it up
The one who calls buys a telephone too, and dials: connect. A datagram (udp:, unixgram:) is a
letter: no call, each for itself, and the post may lose it.

ADDR, everywhere here: tcp:HOST:PORT or just HOST:PORT (a name, 127.0.0.1, [::1]),
udp:HOST:PORT, unix:PATH, unixgram:PATH.

Examples, in two terminals:
  redial echo serve --listen 127.0.0.1:8080 --once
  redial echo call 127.0.0.1:8080 hello";

const SERVE_HELP: &str = "\
Says all it hears back in upper case: the bytes a to z, as bytes.upper() does in Python.

The first line is `listening on ADDR`, with the port it got. Then, for each call: the
connection (file descriptor, family, type, both addresses), the client's address, and
`from client: …` for each recv, not for each message: of those, a stream knows nothing.
Control characters are shown as \\n or \\u{1b}, long texts cut.

Each client has a thread of its own, at most 256 at once; the next ones wait in the backlog.
The port can be had again at once after a restart. A socket file left by a dead server is
replaced, and the new one is this user's alone. SIGINT (Ctrl-C) and SIGTERM hang up, remove
the socket file, and end the server. Everybody who gets through is answered: on 0.0.0.0 that
is whoever the network lets in.

Exit code: 0 when it was ended or, with --once, is done; 125 if it cannot listen.

Examples:
  redial echo serve --listen 127.0.0.1:8080
  redial echo serve --listen udp:localhost:8080
  redial echo serve --listen unix:/tmp/telephone --once";

const CALL_HELP: &str = "\
Without MESSAGE, each line of stdin is a message; on a terminal `>>:` asks for it. An empty
line is not sent: the server would hear nothing, and both would wait. Ctrl-D hangs up.

How does it know that the answer is complete? An echo is as long as the message: over a stream
it reads until it has as many bytes, however they come. A datagram is one message, answered by
one message; after 5 s without it counts as lost. A message that does not fit into a datagram
is refused.

On a terminal, control characters in the answer are shown as \\u{1b}; else it is printed as it is.

Exit code: 0; 125 if nobody answers, or not completely; 141 if nobody reads our stdout.

Examples:
  redial echo call 127.0.0.1:8080 hello
  redial echo call udp:127.0.0.1:8080
  printf 'one\\ntwo\\n' | redial echo call unix:/tmp/telephone";

/// The telephone: a server that answers in upper case, and its client
#[derive(Debug, Args)]
#[command(after_help = ECHO_HELP, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct EchoArgs {
    #[command(subcommand)]
    pub(crate) what: EchoCommand,
}

/// The commands behind `redial echo`.
#[derive(Debug, Subcommand)]
pub(crate) enum EchoCommand {
    /// Be called: say what is heard back in upper case
    Serve(EchoServeArgs),
    /// Call: say something, print the answer
    Call(EchoCallArgs),
}

/// `redial echo serve`.
#[derive(Debug, Args)]
#[command(after_help = SERVE_HELP)]
pub(crate) struct EchoServeArgs {
    /// Our number: where clients reach us; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: OsString,
    /// Take one call, answer it until the line is quiet for 0.2 s, and hang up; nobody else
    /// gets through meanwhile. Of letters: answer one
    #[arg(long)]
    pub(crate) once: bool,
    /// How many callers may wait until the telephone is picked up (streams only; the system
    /// may round it) [default: 5]
    #[arg(long, value_name = "N")]
    pub(crate) backlog: Option<u16>,
}

/// `redial echo call`.
#[derive(Debug, Args)]
#[command(after_help = CALL_HELP)]
pub(crate) struct EchoCallArgs {
    /// The number to dial
    #[arg(value_name = "ADDR")]
    pub(crate) address: OsString,
    /// What to say; without it, the lines of stdin
    #[arg(value_name = "MESSAGE", allow_hyphen_values = true)]
    pub(crate) message: Option<OsString>,
}
