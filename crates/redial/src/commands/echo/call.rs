//! `redial echo call`: one message, or one after the other.

use std::io::{self, BufRead, BufReader, ErrorKind, IsTerminal, Read, Write};
use std::os::unix::ffi::OsStrExt;

use anyhow::{Context, bail};
use redial_classic::address::Address;
use redial_classic::echo::EchoCaller;

use super::shown::Shown;
use crate::args::EchoCallArgs;
use crate::stdio::{Stdin, Stdout};

/// A line is held whole, and its answer too: an endless one must not take all memory.
const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;

const PROMPT: &[u8] = b">>:";

/// Says it, or all that stdin says.
pub(super) fn call(args: &EchoCallArgs) -> anyhow::Result<()> {
    let address = Address::parse(&args.address)?;
    let caller = EchoCaller::connect(&address)?;
    if let Some(message) = &args.message {
        return say(&caller, message.as_bytes());
    }
    let interactive = io::stdin().is_terminal() && io::stdout().is_terminal();
    let mut input = BufReader::new(Stdin);
    let mut line = Vec::new();
    loop {
        if interactive {
            Stdout.write_all(PROMPT)?;
        }
        if !next_line(&mut input, &mut line)? {
            if interactive {
                // The shell's prompt begins on a line of its own.
                Stdout.write_all(b"\n")?;
            }
            return Ok(());
        }
        if !line.is_empty() {
            say(&caller, &line)?;
        }
    }
}

/// Our stdout was closed. As with other filters, that is not worth a word.
pub(super) fn nobody_reads(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

/// Prints what came of the answer even if it is not all.
fn say(caller: &EchoCaller, message: &[u8]) -> anyhow::Result<()> {
    let mut reply = Vec::new();
    let said = caller.say(message, &mut reply);
    if !reply.is_empty() || said.is_ok() {
        if io::stdout().is_terminal() {
            reply = Shown(&reply, usize::MAX).to_string().into_bytes();
        }
        reply.push(b'\n');
        Stdout.write_all(&reply).context("cannot write")?;
    }
    Ok(said?)
}

/// The next line without its end; `false` when there is none.
fn next_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> anyhow::Result<bool> {
    line.clear();
    let mut limited = input.take(MAX_MESSAGE_BYTES as u64 + 1);
    let read = limited.read_until(b'\n', line).context("stdin")?;
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if read > MAX_MESSAGE_BYTES {
        bail!("a line of stdin is longer than {MAX_MESSAGE_BYTES} bytes: cut it into several");
    }
    Ok(read > 0)
}
