//! The command line of `redial demo`.

use clap::{Args, Subcommand, ValueEnum};

use crate::size;

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

const DROP_HELP: &str = "\
Nothing has to be set up: it starts a server of its own in a temporary directory, puts a line of
its own before it, and runs a job over it with what `redial run` itself is made of. What the job
prints is a function of the seed and the place, so each byte is checked against its place, and
the whole against the checksums. Server and directory are gone at the end, also after Ctrl-C.

The line carries --rate bytes a second, so that there is something to see. Where it is cut and
when the front (the server's network process) is killed by SIGKILL is a function of the seed too.

The language is chosen as by `redial demo sticky`.

--json: one object a line. \"event\" is one of
  start    \"seed\", and what is to come: \"bytes\", \"cuts\", \"kills\", exit \"status\"
  cut      the line was cut for the \"number\"th time; \"offset\" bytes had arrived
  kill     the front \"pid\" was killed; \"number\" and \"offset\" as above
  back     after \"pause_ms\" the output goes on at \"offset\"
  verdict  \"bytes\", \"missing\", \"doubled\", \"wrong\" (bytes not as they should be at their
           place), \"cuts\", \"kills\", \"longest_pause_ms\", \"outcome\" in words, \"checksum\" as the
           server says it, \"checksum_equal\", \"holds\" (true: all is as it was to be)

Exit code: 0 if all of it holds, 1 if not, 125 if it could not be run, 130 after Ctrl-C; 141 if
nobody reads our stdout any more.

Examples:
  redial demo drop
  redial demo drop --size 1GB --rate 200MB
  redial demo drop --json --seed 7 | tail -1";

const LEAST: u64 = 4_000_000;
const MOST: u64 = 1_000_000_000_000;

/// See on real sockets what networks do to messages, and to a line that drops
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
    /// A line that is cut ten times, a front that is killed twice, and every byte arrives once
    Drop(DropArgs),
    /// What the job of `drop` runs
    #[command(hide = true)]
    DropJob(DropJobArgs),
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

/// `redial demo drop`.
#[derive(Debug, Args)]
#[command(after_help = DROP_HELP)]
pub(crate) struct DropArgs {
    /// How much the job prints: 4MB to 1000GB
    #[arg(long, value_name = "SIZE", default_value = "200MB", value_parser = drop_size)]
    pub(crate) size: u64,
    /// What the line carries in a second, 100kB or more
    #[arg(long, value_name = "SIZE", default_value = "25MB", value_parser = rate)]
    pub(crate) rate: u64,
    /// Decides the bytes, and where the line is cut [default: another one each time]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// The language to tell it in [default: that of the environment]
    #[arg(long, value_name = "LANG", conflicts_with = "json")]
    pub(crate) lang: Option<Language>,
    /// One JSON object per event
    #[arg(long)]
    pub(crate) json: bool,
}

/// `redial demo drop-job`.
#[derive(Debug, Args)]
pub(crate) struct DropJobArgs {
    /// Decides the bytes and the exit status.
    #[arg(long)]
    pub(crate) seed: u64,
    /// How many bytes.
    #[arg(long)]
    pub(crate) size: u64,
}

/// Ten cuts need some room, and places in the stream are to stay far from any limit.
fn drop_size(text: &str) -> Result<u64, String> {
    let bytes = size::parse(text)?;
    let fits = (LEAST..=MOST).contains(&bytes);
    fits.then_some(bytes)
        .ok_or_else(|| format!("{text} is not between 4MB and 1000GB"))
}

fn rate(text: &str) -> Result<u64, String> {
    let bytes = size::parse(text)?;
    let fits = bytes >= 100_000;
    fits.then_some(bytes)
        .ok_or_else(|| format!("{text} a second is too slow; the least is 100kB"))
}

/// A language we explain in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    /// English.
    En,
    /// Chinese.
    Zh,
}
