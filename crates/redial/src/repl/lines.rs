//! Where the lines come from: an editor on a terminal, else plain lines of stdin. Both
//! block, so a thread reads them, one at a time and only when asked.

use std::io::{self, BufRead};
use std::sync::mpsc::{Receiver, Sender, channel};

use rustix::event::PollFlags;
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcsetattr};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::complete::Asked;
use super::editor;
use super::script::LINE_MAX_BYTES;
use crate::sinks::wait_or_fail;

/// What the user wants.
pub(crate) enum Input {
    /// A line; perhaps an empty one.
    Line(Vec<u8>),
    /// A line that no kernel would take as an argument.
    TooLong,
    /// To leave.
    End,
    /// Nothing: it cannot be read.
    Failed(io::Error),
    /// To know what a word may become. The line is not over.
    Complete(Asked),
}

/// The source of lines.
pub(crate) struct Lines {
    turns: Sender<()>,
    inputs: UnboundedReceiver<Input>,
    /// How the terminal was, if there is one.
    terminal: Option<Termios>,
}

impl Lines {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub(crate) fn start() -> io::Result<Self> {
        let (turns, turn) = channel();
        let (send, inputs) = unbounded_channel();
        let (stdin, stdout) = (rustix::stdio::stdin(), rustix::stdio::stdout());
        let interactive = isatty(stdin) && isatty(stdout);
        let body = move || match interactive {
            true => editor::read_lines(&turn, &send),
            false => read_plain(&turn, &send),
        };
        std::thread::Builder::new()
            .name("lines".to_owned())
            .spawn(body)?;
        let terminal = if interactive {
            tcgetattr(stdin).ok()
        } else {
            None
        };
        Ok(Lines {
            turns,
            inputs,
            terminal,
        })
    }

    /// Whether a person types them.
    pub(crate) fn interactive(&self) -> bool {
        self.terminal.is_some()
    }

    /// Asks for a line.
    pub(crate) fn ask(&self) {
        // If the thread is gone, it has said why.
        let _ = self.turns.send(());
    }

    /// What was wanted. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Input {
        self.inputs.recv().await.unwrap_or(Input::End)
    }

    /// Gives the terminal back as it was, whatever the editor is at.
    pub(crate) fn restore(&self) {
        if let Some(terminal) = &self.terminal {
            // If it is gone, there is nothing to restore.
            let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, terminal);
        }
    }
}

fn read_plain(turns: &Receiver<()>, inputs: &UnboundedSender<Input>) {
    let mut stdin = io::stdin().lock();
    while turns.recv().is_ok() {
        let input = read_line(&mut stdin).unwrap_or_else(Input::Failed);
        if inputs.send(input).is_err() {
            return;
        }
    }
}

/// The next line without its end; what is too long is read over.
fn read_line(from: &mut impl BufRead) -> io::Result<Input> {
    let (mut line, mut long) = (Vec::new(), false);
    loop {
        let there = match from.fill_buf() {
            Ok(there) => there,
            Err(error) => {
                let errno = rustix::io::Errno::from_io_error(&error).ok_or(error)?;
                wait_or_fail(rustix::stdio::stdin(), errno, PollFlags::IN)?;
                continue;
            }
        };
        let end = there.iter().position(|&byte| byte == b'\n');
        let part = &there[..end.unwrap_or(there.len())];
        long |= line.len() + part.len() > LINE_MAX_BYTES;
        if !long {
            line.extend_from_slice(part);
        }
        let (over, taken) = (there.is_empty(), part.len() + usize::from(end.is_some()));
        from.consume(taken);
        match (over, end, long) {
            (false, None, _) => {}
            (_, _, true) => return Ok(Input::TooLong),
            (true, ..) if line.is_empty() => return Ok(Input::End),
            _ => return Ok(Input::Line(line)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Vec<Option<Vec<u8>>> {
        let mut from = io::BufReader::with_capacity(7, text);
        let mut lines = Vec::new();
        loop {
            match read_line(&mut from).unwrap() {
                Input::Line(line) => lines.push(Some(line)),
                Input::TooLong => lines.push(None),
                _ => return lines,
            }
        }
    }

    #[test]
    fn lines_are_read_one_by_one_and_the_last_needs_no_end() {
        let some = |text: &str| Some(text.as_bytes().to_vec());
        assert_eq!(
            lines(b"one\n\nthree, which is longer\nfour"),
            [
                some("one"),
                some(""),
                some("three, which is longer"),
                some("four"),
            ]
        );
        assert_eq!(lines(b""), []);
    }

    #[test]
    fn a_line_at_the_limit_is_read_and_one_past_it_is_named_and_skipped() {
        let at = vec![b'x'; LINE_MAX_BYTES];
        let past = vec![b'y'; LINE_MAX_BYTES + 1];
        let text = [&at[..], b"\n", &past, b"\nz\n", &past].concat();
        assert_eq!(lines(&text), [Some(at), None, Some(b"z".to_vec()), None]);
    }
}
