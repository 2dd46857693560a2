//! The command line of `redial frame`.

use clap::{Args, Subcommand};

use crate::size;

const FRAME_HELP: &str = "\
Exit code: 0; 125 for wrong use, a bad number, message or frame, or an input that ends inside
a frame, with the reason on stderr. 141 if nobody reads our stdout any more.

Examples:
  redial frame pack i 1243 | redial frame unpack i
  printf 'hello\\nworld\\n' | redial frame encode | redial frame decode

docs/frames.md talks to a real service with them.";

const PACK_HELP: &str = "\
FMT is that of Python's struct: letters b B h H i I l L q Q n N, each after an optional count,
and x for a byte of padding. Before them the byte order: @ or nothing is native, with the sizes
and the alignment of C; = native, < little-endian, > or ! big-endian, with standard sizes.

Examples:
  redial frame pack i 1243                 db040000, on a little-endian machine
  redial frame pack '>HI' 1 0xffff         00010000ffff
  redial frame pack b -- -0x80             80
  redial frame pack '>I' 5 --raw | xxd";

const UNPACK_HELP: &str = "\
Prints a tuple as Python does. The letters are those of `redial frame pack`.

Examples:
  echo db040000 | redial frame unpack '<i'           (1243,)
  printf '\\0\\1\\0\\2' | redial frame unpack '>2H' --raw     (1, 2)";

const ENCODE_HELP: &str = "\
Examples:
  printf 'hello\\nworld\\n' | redial frame encode | nc HOST PORT
  redial frame encode --header '<H' --raw < message > frame
  printf '%s\\n' 'Qselect 1\\0' |
    redial frame encode --escape --prefix-bytes 1 --includes-header";

const DECODE_HELP: &str = "\
Each message is printed as soon as its last byte has come. When the input ends inside a frame,
all before it is printed, and the exit code is 125.

Examples:
  nc HOST PORT | redial frame decode
  nc HOST PORT | redial frame decode --header '<H' --hex
  redial frame decode --null < frames | xargs -0 -n 1 echo";

/// Integers as bytes, and messages with a length before them
#[derive(Debug, Args)]
#[command(after_help = FRAME_HELP, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct FrameArgs {
    #[command(subcommand)]
    pub(crate) what: FrameCommand,
}

/// The commands behind `redial frame`.
#[derive(Debug, Subcommand)]
pub(crate) enum FrameCommand {
    /// Print integers as bytes, in hexadecimal
    Pack(PackArgs),
    /// Print the integers in the bytes on stdin
    Unpack(UnpackArgs),
    /// Turn each line on stdin into a frame: a header with its length, then itself
    Encode(EncodeArgs),
    /// Turn each frame on stdin into a line
    Decode(DecodeArgs),
}

/// `redial frame pack`.
#[derive(Debug, Args)]
#[command(after_help = PACK_HELP)]
pub(crate) struct PackArgs {
    /// What they are, as in Python's struct: i, >I, <2Hq
    #[arg(value_name = "FMT")]
    pub(crate) format: String,
    /// Integers, decimal or with 0x, 0o, 0b
    #[arg(value_name = "N", allow_negative_numbers = true)]
    pub(crate) numbers: Vec<String>,
    /// Write the bytes themselves, not hexadecimal
    #[arg(long)]
    pub(crate) raw: bool,
}

/// `redial frame unpack`.
#[derive(Debug, Args)]
#[command(after_help = UNPACK_HELP)]
pub(crate) struct UnpackArgs {
    /// What they are, as in Python's struct: i, >I, <2Hq
    #[arg(value_name = "FMT")]
    pub(crate) format: String,
    /// Read the bytes themselves, not hexadecimal
    #[arg(long)]
    pub(crate) raw: bool,
}

/// `redial frame encode`.
#[derive(Debug, Args)]
#[command(after_help = ENCODE_HELP)]
pub(crate) struct EncodeArgs {
    #[command(flatten)]
    pub(crate) shape: ShapeArgs,
    #[command(flatten)]
    pub(crate) plain: MessageArgs,
}

/// `redial frame decode`.
#[derive(Debug, Args)]
#[command(after_help = DECODE_HELP)]
pub(crate) struct DecodeArgs {
    #[command(flatten)]
    pub(crate) shape: ShapeArgs,
    #[command(flatten)]
    pub(crate) plain: TextArgs,
}

/// How frames look.
#[derive(Debug, Args)]
pub(crate) struct ShapeArgs {
    /// The header: one integer as in Python's struct
    #[arg(long, value_name = "FMT", default_value = ">I")]
    pub(crate) header: String,
    /// The length counts the header too
    #[arg(long)]
    pub(crate) includes_header: bool,
    /// So many bytes of each message stand before the header, and are not counted by it
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=64))]
    pub(crate) prefix_bytes: u16,
    /// The longest payload that is allowed
    #[arg(long, value_name = "SIZE", default_value = "16MiB", value_parser = size::parse)]
    pub(crate) limit: u64,
}

/// How messages stand on stdin: a line each if nothing is said.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct MessageArgs {
    /// Each line is hexadecimal; spaces between bytes are skipped
    #[arg(long)]
    pub(crate) hex: bool,
    /// Lines have escapes: \n \r \t \0 \\ and \xHH
    #[arg(long)]
    pub(crate) escape: bool,
    /// A NUL ends each message, not a newline
    #[arg(short = '0', long)]
    pub(crate) null: bool,
    /// All of stdin is one message
    #[arg(long)]
    pub(crate) raw: bool,
}

/// How messages stand on stdout: as they are, a newline behind each, if nothing is said.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct TextArgs {
    /// A line of hexadecimal each
    #[arg(long)]
    pub(crate) hex: bool,
    /// A line each; what cannot be printed is \n, \r, \t, \0, \\ or \xHH
    #[arg(long)]
    pub(crate) escape: bool,
    /// A NUL behind each, not a newline
    #[arg(short = '0', long)]
    pub(crate) null: bool,
    /// As they are, one behind the other
    #[arg(long)]
    pub(crate) raw: bool,
}
