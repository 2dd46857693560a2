//! The command line of `redial demo`.

use clap::{Args, Subcommand, ValueEnum};

const STICKY_HELP: &str = "\
Every box is one call: what one send took, what one recv gave. All of it happens while you
watch, on real sockets of 127.0.0.1; nothing leaves this machine.

The language is that of --lang, else of the first of LC_ALL, LC_MESSAGES and LANG that is set:
Chinese if it begins with zh, else English.

--json: one object a line, in the order of the scenes. \"event\" is one of
  scene        \"scene\": glued, pieces, framed-glued, framed-pieces, datagrams,
               short-datagrams, partial-send or sendall; \"transport\": tcp or udp
  sent         a send took \"bytes\" of the \"asked\" ones, the first \"header\" of them a header
  would-block  a send of \"asked\" bytes took nothing (EAGAIN)
  received     a recv with \"room\" gave \"bytes\"
  message      by its header, a message of \"bytes\" was found
  summary      \"scene\", \"sends\", \"receives\", \"messages\", \"bytes_sent\", \"bytes_received\";
               true or false: \"boundaries_kept\" (each recv gave what one send took),
               \"bytes_kept\" (all that was sent came, in order), \"messages_kept\" (headers
               gave back the messages that were sent)
Up to 64 bytes stand beside \"bytes\" as \"hex\", and as \"text\" if they are UTF-8. Within a
scene each side's calls are in their order; sent comes first where both worked at once.

Exit code: 0; 125 if a socket call failed; 141 if nobody reads our stdout any more.

Examples:
  redial demo sticky
  redial demo sticky --lang zh
  redial demo sticky --json | grep '\"summary\"'";

/// `redial demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// What to show.
    #[command(subcommand)]
    pub(crate) what: DemoCommand,
}

/// What can be shown.
#[derive(Debug, Subcommand)]
pub(crate) enum DemoCommand {
    /// Sticky packets: how TCP glues messages and cuts them, how UDP does not, and the cure
    Sticky(StickyArgs),
}

/// `redial demo sticky`.
#[derive(Debug, Args)]
#[command(after_help = STICKY_HELP)]
pub(crate) struct StickyArgs {
    /// The language to explain in [default: that of the environment]
    #[arg(long, value_name = "LANG", conflicts_with = "json")]
    pub(crate) lang: Option<Language>,
    /// One JSON object per event
    #[arg(long)]
    pub(crate) json: bool,
}

/// A language we explain in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    /// English.
    En,
    /// Chinese.
    Zh,
}
