//! `redial classic call`: one command, or one after the other.

use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::os::unix::ffi::OsStrExt;

use anyhow::{Context, bail};
use redial_classic::frames::FrameError;
use redial_classic::remote::{Client, Ending, Framed, MAX_COMMAND_BYTES, RemoteError};

use crate::args::ClassicCallArgs;
use crate::charset::{Charset, Decoding, losses};
use crate::commands::echo::shown::Shown;
use crate::report;
use crate::stdio::{Stdin, Stdout};

const PROMPT: &[u8] = b">>:";
/// Shown of a line that is too long.
const SHOWN_BYTES: usize = 32;

/// Sends it, or all that stdin says.
pub(super) fn call(args: &ClassicCallArgs) -> anyhow::Result<()> {
    let stream = super::connect(&args.address)?;
    let wire = super::wire(&args.wire);
    let mut conversation = Conversation {
        client: Client::new(stream, wire, args.deadline, args.max_reply, None),
        framed: wire.framed,
        charset: args.charset,
        replaced: 0,
        told: Told::Nothing,
    };
    let done = match &args.command {
        Some(command) => conversation.say(command.as_bytes()).map(drop),
        None => conversation.lines(),
    };
    let replaced = [0, conversation.replaced, 0];
    if let Some(losses) = args.charset.and_then(|it| losses(it, replaced)) {
        report::note(losses);
    }
    done
}

struct Conversation {
    client: Client<'static>,
    framed: Framed,
    charset: Option<Charset>,
    /// Places in the replies that were no characters.
    replaced: u64,
    told: Told,
}

/// Whether we have said that the end of a reply is a guess.
#[derive(PartialEq, Eq)]
enum Told {
    Nothing,
    Guess,
}

impl Conversation {
    fn lines(&mut self) -> anyhow::Result<()> {
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
            let command = line.trim_ascii();
            if command.is_empty() {
                continue;
            }
            let last = self.say(command)?;
            if interactive && last.is_some_and(|last| last != b'\n') {
                Stdout.write_all(b"\n")?;
            }
        }
    }

    /// Sends a command and prints its reply as it comes; the last byte printed.
    fn say(&mut self, command: &[u8]) -> anyhow::Result<Option<u8>> {
        let mut decoding = self.charset.map(Decoding::new);
        let (mut text, mut last) = (String::new(), None);
        let mut print = |bytes: &[u8]| {
            last = bytes.last().copied().or(last);
            Stdout.write_all(bytes)
        };
        let called = self.client.call(command, &mut |bytes| match &mut decoding {
            None => print(bytes),
            Some(decoding) => {
                text.clear();
                decoding.decode(bytes, &mut text);
                print(text.as_bytes())
            }
        });
        if let Some(mut decoding) = decoding {
            let mut text = String::new();
            decoding.finish(&mut text);
            self.replaced += decoding.replaced();
            print(text.as_bytes())?;
        }
        match called {
            Ok(Ending::Quiet) if self.told == Told::Nothing => {
                self.told = Told::Guess;
                report::note(
                    "without a length before it, nobody knows where a reply ends; it was taken \
                     to be over when the line was quiet (--quiet-ms)",
                );
            }
            Ok(_) => {}
            Err(error @ RemoteError::Silent(_)) if self.framed == Framed::Neither => {
                let unknown = "perhaps an empty reply, perhaps a slow command: without a length \
                               before it, nobody knows";
                return Err(anyhow::Error::new(error).context(unknown));
            }
            Err(
                error @ RemoteError::Frame(
                    FrameError::OverLimit { .. } | FrameError::Negative { .. },
                ),
            ) if self.framed != Framed::Neither => {
                let perhaps = "the reply is over --max-reply, or --framing and --header are not \
                               the server's";
                return Err(anyhow::Error::new(error).context(perhaps));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(last)
    }
}

/// The next line with its end; `false` when there is none.
fn next_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> anyhow::Result<bool> {
    line.clear();
    let mut limited = input.take(MAX_COMMAND_BYTES as u64 + 2);
    let read = limited.read_until(b'\n', line).context("stdin")?;
    if read > MAX_COMMAND_BYTES + 1 {
        let shown = Shown(line, SHOWN_BYTES);
        bail!("a line of stdin is over {MAX_COMMAND_BYTES} bytes, too long for a command: {shown}");
    }
    Ok(read > 0)
}
