//! The command line of `redial classic`.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use redial_classic::frames::HeaderFormat;

use crate::charset::Charset;
use crate::{duration, size};

const CLASSIC_HELP: &str = "\
The server runs each command it is sent and answers with what that wrote. TCP carries bytes, not
messages, so where does a reply end? --framing, on both sides the same:
  none   Nothing says it: the lesson before its cure. Our client takes a reply to be over when
         the line is quiet, and says that this is a guess.
  reply  Before each reply stands its length: the lesson's cure, and the default.
  both   Before each command too.
--header is that length's form, in the notation of Python's struct: i is C's int as this machine
writes it, >I four bytes in network order.

Without a length before it, a command is what arrives until the line is quiet for --quiet-ms. A
busy machine may pause within a command, two commands sent at once become one, and a page in a
browser may post text to a local port (what looks like HTTP is refused). Only both is safe.

Whoever reaches the server runs commands as you, without being asked who he is: on a port of
127.0.0.1 that is every user of this machine, on unix:PATH only you and root. Other addresses are
refused; `redial serve` is for those.

ADDR, everywhere here: tcp:HOST:PORT or just HOST:PORT (localhost, 127.0.0.1, [::1]), unix:PATH.

Examples, in two terminals:
  redial classic serve --listen 127.0.0.1:8080
  redial classic call 127.0.0.1:8080 'ls -l'";

const SERVE_HELP: &str = "\
A command is any bytes, at most 128 KiB; /bin/sh -c runs it with /dev/null as its stdin, in a
process group of its own, both outputs read at once. At its deadline the group gets SIGTERM, 2 s
later SIGKILL; so it does when its client hangs up or the server ends. When the shell has ended
but something in the background holds its output open, the reply waits for 2 s more; what runs in
the background goes on, as with ssh.

The reply is what it wrote to stdout, then to stderr; --reply lesson: stderr if there is any, else
stdout. The wire knows no exit code and no errors, so what goes wrong is said in a reply that
begins with `redial: `: behind the output at the deadline, in its place when it is over --max-reply
or longer than its header can say. Unframed, an empty reply is sent as a newline: a client could
wait for nothing for ever.

Up to 256 KiB of each output are held in memory, then in a file without a name in $TMPDIR or /tmp:
at worst --max-clients times --max-reply. More clients wait until one hangs up.

The first line is `listening on ADDR`, with the port it got; then, for each call, the connection,
the client's address, and `from client: …` for each command. SIGINT (Ctrl-C) and SIGTERM end it.

Exit code: 0 when it was ended; 125 if it cannot listen.

Examples:
  redial classic serve --listen unix:/tmp/commands --framing both
  printf 'uname -a' | socat -t5 - TCP:127.0.0.1:8080 | redial frame decode --header i";

const CALL_HELP: &str = "\
Without COMMAND, each line of stdin is a command; on a terminal `>>:` asks for it. An empty line is
not sent, spaces around it neither. Ctrl-D hangs up. Which directory a command runs in is for the
server; `cd` does not last.

Exit code: 0 when the reply came; 124 when nothing came before the deadline; 125 if nobody answers,
or not completely; 141 if nobody reads our stdout. The command's own code does not come over this
wire: ask for it, 'ls /x; echo $?'.

Examples:
  redial classic call 127.0.0.1:8080
  redial classic call 127.0.0.1:8080 --charset gbk 'dir'
  redial classic call unix:/tmp/commands --framing both 'cat report' > report";

const PUT_HELP: &str = "\
On the wire: the file's length, as --header says (i: files below 2 GiB; q: any), then its bytes.
The receiver answers with a length too: 0, the file is stored; else that many bytes of text say
why not. Whoever runs `redial classic receive` says where the file goes; no name is sent.

Exit code: 0 when it is stored; 125 if not, or if nobody knows.

Examples:
  redial classic receive --listen 127.0.0.1:8080 copy.tar     # in one terminal
  redial classic put 127.0.0.1:8080 original.tar              # in another";

const RECEIVE_HELP: &str = "\
Takes one file that `redial classic put`, or any program that sends a length and so many bytes, has
sent whole; then it ends. One sender at a time: who is cut off, or sends nothing for the deadline,
leaves nothing behind, and the next one is taken. The file is written beside FILE under another
name and renamed when it is on disk, so nobody ever sees half of it.

Exit code: 0 when the file is there; 125 if not.

Examples:
  redial classic receive --listen 127.0.0.1:8080 copy.tar
  redial classic receive --listen unix:/tmp/in --force --header q --max-size 100GiB image";

/// Remote commands as the socket lesson has them, on this machine
#[derive(Debug, Args)]
#[command(after_help = CLASSIC_HELP, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct ClassicArgs {
    #[command(subcommand)]
    pub(crate) what: ClassicCommand,
}

/// The commands behind `redial classic`.
#[derive(Debug, Subcommand)]
pub(crate) enum ClassicCommand {
    /// Run the commands that clients on this machine send
    Serve(ClassicServeArgs),
    /// Send a command, print the reply
    Call(ClassicCallArgs),
    /// Send a file, its length before it
    Put(ClassicPutArgs),
    /// Take a file that is sent with its length before it
    Receive(ClassicReceiveArgs),
}

/// How both sides speak.
#[derive(Debug, Args)]
pub(crate) struct WireArgs {
    /// What has its length before it
    #[arg(long, value_name = "WHAT", default_value = "reply")]
    pub(crate) framing: FramingArg,
    /// The length's form, one integer as in Python's struct
    #[arg(long, value_name = "FMT", default_value = "i", value_parser = HeaderFormat::parse)]
    pub(crate) header: HeaderFormat,
    /// What has no length is over when nothing comes for so many milliseconds
    #[arg(long, value_name = "MS", default_value = "5", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) quiet_ms: u16,
}

/// What has its length before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FramingArg {
    /// Nothing
    None,
    /// Replies
    Reply,
    /// Commands and replies
    Both,
}

/// What a reply is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReplyArg {
    /// stdout, then stderr
    Both,
    /// stderr if there is any, else stdout
    Lesson,
}

/// `redial classic serve`.
#[derive(Debug, Args)]
#[command(after_help = SERVE_HELP)]
pub(crate) struct ClassicServeArgs {
    /// Where clients reach us, on this machine; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: OsString,
    #[command(flatten)]
    pub(crate) wire: WireArgs,
    /// What a reply is made of
    #[arg(long, value_name = "WHAT", default_value = "both")]
    pub(crate) reply: ReplyArg,
    /// A command that runs longer is ended
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration::parse)]
    pub(crate) deadline: Duration,
    /// A command that says more is ended
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = size::parse)]
    pub(crate) max_reply: u64,
    /// Clients at once
    #[arg(long, value_name = "N", default_value = "64")]
    pub(crate) max_clients: NonZeroUsize,
}

/// `redial classic call`.
#[derive(Debug, Args)]
#[command(after_help = CALL_HELP)]
pub(crate) struct ClassicCallArgs {
    /// Where the server is
    #[arg(value_name = "ADDR")]
    pub(crate) address: OsString,
    /// Text for the server's shell; without it, the lines of stdin
    #[arg(value_name = "COMMAND", allow_hyphen_values = true)]
    pub(crate) command: Option<OsString>,
    #[command(flatten)]
    pub(crate) wire: WireArgs,
    /// Give up when nothing comes for so long: the server's deadline, and a little more
    #[arg(long, value_name = "TIME", default_value = "75s", value_parser = duration::parse)]
    pub(crate) deadline: Duration,
    /// A longer reply is an error
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = size::parse)]
    pub(crate) max_reply: u64,
    /// The replies' charset, any label of the Encoding Standard, such as gbk; UTF-8 is printed
    /// [default: bytes as they come]
    #[arg(long, value_name = "LABEL", value_parser = Charset::parse)]
    pub(crate) charset: Option<Charset>,
}

/// `redial classic put`.
#[derive(Debug, Args)]
#[command(after_help = PUT_HELP)]
pub(crate) struct ClassicPutArgs {
    /// Where the receiver is
    #[arg(value_name = "ADDR")]
    pub(crate) address: OsString,
    /// The file; a regular one, since its length must be known
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The length's form, one integer as in Python's struct
    #[arg(long, value_name = "FMT", default_value = "i", value_parser = HeaderFormat::parse)]
    pub(crate) header: HeaderFormat,
    /// The receiver does not say what became of the file: be content with having sent it
    #[arg(long)]
    pub(crate) no_answer: bool,
    /// Give up when nothing is taken or answered for so long
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration::parse)]
    pub(crate) deadline: Duration,
}

/// `redial classic receive`.
#[derive(Debug, Args)]
#[command(after_help = RECEIVE_HELP)]
pub(crate) struct ClassicReceiveArgs {
    /// Where the sender reaches us, on this machine; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: OsString,
    /// Where the file goes
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Replace FILE if it is there
    #[arg(long)]
    pub(crate) force: bool,
    /// The length's form, one integer as in Python's struct
    #[arg(long, value_name = "FMT", default_value = "i", value_parser = HeaderFormat::parse)]
    pub(crate) header: HeaderFormat,
    /// A longer file is refused
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = size::parse)]
    pub(crate) max_size: u64,
    /// Give a sender up when nothing comes for so long
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration::parse)]
    pub(crate) deadline: Duration,
}
