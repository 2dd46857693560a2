//! What is printed on stdout and read by whoever likes.

use std::io::{self, BufWriter, StdoutLock, Write};

use crate::exit_code::FAILED;
use crate::report;

/// Prints it; the result is our exit code.
pub(super) fn print(text: impl FnOnce(&mut BufWriter<StdoutLock<'_>>) -> io::Result<()>) -> u8 {
    let mut stdout = BufWriter::new(io::stdout().lock());
    match text(&mut stdout).and_then(|()| stdout.flush()) {
        Ok(()) => 0,
        // Whoever reads us has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
        Err(error) => {
            report::error(format_args!("cannot write: {error}"));
            FAILED
        }
    }
}
