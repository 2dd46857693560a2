//! `redial frame`: struct and length-prefixed frames from a shell.

use std::io::{self, ErrorKind, Read, Write};

use anyhow::{Context, anyhow, ensure};
use redial_classic::frames::{
    self, Decoded, FramesError, Framing, HeaderFormat, Plain, Shape, read_hex, write_hex,
};
use redial_classic::packing::{Packing, integer};

use crate::args::{
    DecodeArgs, EncodeArgs, FrameCommand, MessageArgs, PackArgs, ShapeArgs, TextArgs, UnpackArgs,
};
use crate::exit_code;
use crate::report;
use crate::stdio::{Stdin, Stdout};

/// Does one of them; the exit code.
pub(crate) fn frame(what: &FrameCommand) -> u8 {
    let done = match what {
        FrameCommand::Pack(args) => pack(args),
        FrameCommand::Unpack(args) => unpack(args),
        FrameCommand::Encode(args) => encode(args),
        FrameCommand::Decode(args) => decode(args),
    };
    match done {
        Ok(()) => 0,
        Err(error) if nobody_reads(&error) => exit_code::NOBODY_READS,
        Err(error) => {
            report::error(format_args!("frame: {error:#}"));
            exit_code::FAILED
        }
    }
}

/// Our stdout was closed. As with other filters, that is not worth a word.
fn nobody_reads(error: &anyhow::Error) -> bool {
    let broken = |error: &io::Error| error.kind() == ErrorKind::BrokenPipe;
    match error.downcast_ref() {
        Some(FramesError::Output(error)) => broken(error),
        _ => false,
    }
}

fn pack(args: &PackArgs) -> anyhow::Result<()> {
    let packing: Packing = args.format.parse()?;
    let numbers: Result<Vec<i128>, _> = args.numbers.iter().map(|text| integer(text)).collect();
    let packed = packing.pack(&numbers?)?;
    match args.raw {
        true => print(&packed),
        false => print(format!("{}\n", write_hex(&packed)).as_bytes()),
    }
}

fn unpack(args: &UnpackArgs) -> anyhow::Result<()> {
    let packing: Packing = args.format.parse()?;
    let size = packing.size();
    let packed = match args.raw {
        true => {
            let mut packed = Vec::new();
            let input = Stdin.take(size as u64 + 1);
            let read = io::BufReader::new(input).read_to_end(&mut packed);
            read.map(|_| packed).context("stdin")?
        }
        false => read_hex(Stdin, size).map_err(|error| match error.kind() {
            ErrorKind::InvalidData => anyhow!("stdin: {error} (bytes as they are: --raw)"),
            _ => anyhow!("stdin: {error}"),
        })?,
    };
    ensure!(
        packed.len() <= size,
        "wrong count of bytes: the format takes exactly {size}, stdin has more"
    );
    let numbers: Vec<String> = packing
        .unpack(&packed)?
        .iter()
        .map(ToString::to_string)
        .collect();
    print(match numbers.as_slice() {
        [one] => format!("({one},)\n"),
        all => format!("({})\n", all.join(", ")),
    })
}

fn encode(args: &EncodeArgs) -> anyhow::Result<()> {
    let shape = shape(&args.shape)?;
    let plain = match args.plain {
        MessageArgs { hex: true, .. } => Plain::Hex,
        MessageArgs { escape: true, .. } => Plain::Escaped,
        MessageArgs { null: true, .. } => Plain::Nul,
        MessageArgs { raw: true, .. } => Plain::Raw,
        _ => Plain::Lines,
    };
    Ok(frames::encode(Stdin, Stdout, plain, &shape)?)
}

fn decode(args: &DecodeArgs) -> anyhow::Result<()> {
    let shape = shape(&args.shape)?;
    let plain = match args.plain {
        TextArgs { hex: true, .. } => Plain::Hex,
        TextArgs { escape: true, .. } => Plain::Escaped,
        TextArgs { null: true, .. } => Plain::Nul,
        TextArgs { raw: true, .. } => Plain::Raw,
        _ => Plain::Lines,
    };
    let mut decoded = Decoded::default();
    let done = frames::decode(Stdin, Stdout, plain, &shape, &mut decoded);
    if decoded.ambiguous > 0 {
        let Decoded { frames, ambiguous } = decoded;
        report::note(format_args!(
            "frame: {ambiguous} of {frames} messages have what separates them inside; --escape \
             or --hex keeps them apart"
        ));
    }
    done.map_err(|error| match error {
        FramesError::Frame { .. } => {
            anyhow!("{error} (is this the header? --header, --includes-header, --limit)")
        }
        error => error.into(),
    })
}

fn shape(args: &ShapeArgs) -> anyhow::Result<Shape> {
    let format: HeaderFormat = args.header.parse().context("--header")?;
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let framing = Framing::new(format)
        .with_includes_header(args.includes_header)
        .with_max_payload(limit);
    Ok(Shape {
        framing,
        prefix_bytes: usize::from(args.prefix_bytes),
    })
}

fn print(text: impl AsRef<[u8]>) -> anyhow::Result<()> {
    let written = Stdout.write_all(text.as_ref());
    Ok(written.map_err(FramesError::Output)?)
}
