//! `redial classic`: remote commands as the lesson has them, from both ends, and a file.

mod call;
mod serve;
mod transfer;

use std::ffi::OsStr;
use std::io;
use std::time::Duration;

use anyhow::ensure;
use redial_classic::address::Address;
use redial_classic::connect::Stream;
use redial_classic::remote::{Framed, RemoteError, Wire};

use crate::args::{ClassicCommand, FramingArg, WireArgs};
use crate::{exit_code, report};

/// Does one of them; the exit code.
pub(crate) fn classic(what: &ClassicCommand) -> u8 {
    let done = match what {
        ClassicCommand::Serve(args) => serve::serve(args),
        ClassicCommand::Call(args) => call::call(args),
        ClassicCommand::Put(args) => transfer::put(args),
        ClassicCommand::Receive(args) => transfer::receive(args),
    };
    let Err(error) = done else {
        return 0;
    };
    let code = failure_code(&error);
    if code != exit_code::NOBODY_READS {
        report::error(format_args!("classic: {error:#}"));
    }
    code
}

fn failure_code(error: &anyhow::Error) -> u8 {
    let nobody = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    match error.downcast_ref::<RemoteError>() {
        Some(RemoteError::Sink(error)) if nobody(error) => exit_code::NOBODY_READS,
        Some(RemoteError::Silent(_)) => exit_code::DEADLINE,
        Some(_) => exit_code::FAILED,
        None => match error.downcast_ref::<io::Error>() {
            Some(error) if nobody(error) => exit_code::NOBODY_READS,
            _ => exit_code::FAILED,
        },
    }
}

/// A connection within this machine: nobody would be asked who he is, so nothing is sent to
/// another one.
fn connect(address: &OsStr) -> anyhow::Result<Stream> {
    let address = Address::parse(address)?;
    let local = "is not on this machine, and nobody there would be asked who he is: this wire is \
                 for 127.0.0.1, [::1] and unix:PATH; `redial serve` and `redial run` are for others";
    ensure!(address.is_local()?, "{address} {local}");
    let stream = Stream::connect(&address)?;
    // A name may have become another's since.
    ensure!(stream.peer()?.is_local(), "{address} {local}");
    Ok(stream)
}

fn wire(args: &WireArgs) -> Wire {
    Wire {
        framed: match args.framing {
            FramingArg::None => Framed::Neither,
            FramingArg::Reply => Framed::Reply,
            FramingArg::Both => Framed::Both,
        },
        header: args.header,
        quiet: Duration::from_millis(args.quiet_ms.into()),
    }
}
