//! Our own stdin and stdout as they are: unbuffered, and patient when somebody who shares
//! them has made them non-blocking.

use std::fmt;
use std::io::{self, Write as _};
use std::os::fd::BorrowedFd;

use rustix::event::PollFlags;

use crate::sinks::wait_or_fail;

/// Reads our stdin.
pub(crate) struct Stdin;

/// Writes to our stdout.
pub(crate) struct Stdout;

impl io::Read for Stdin {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let stdin = rustix::stdio::stdin();
        patiently(stdin, PollFlags::IN, || {
            rustix::io::read(stdin, &mut *buffer)
        })
    }
}

impl io::Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let stdout = rustix::stdio::stdout();
        patiently(stdout, PollFlags::OUT, || rustix::io::write(stdout, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a line to our stdout: in one write if it can be, so that lines of several processes
/// do not mix.
///
/// # Errors
/// As write(2); [`io::ErrorKind::BrokenPipe`] when nobody reads.
pub(crate) fn print_line(text: impl fmt::Display) -> io::Result<()> {
    Stdout.write_all(format!("{text}\n").as_bytes())
}

fn patiently(
    fd: BorrowedFd<'_>,
    until: PollFlags,
    mut call: impl FnMut() -> rustix::io::Result<usize>,
) -> io::Result<usize> {
    loop {
        match call() {
            Ok(count) => return Ok(count),
            Err(error) => wait_or_fail(fd, error, until)?,
        }
    }
}
