//! `redial completion` and `redial manual`: what is made from the command line's definition.

use std::io::{ErrorKind, Write};

use crate::args::{self, CompletionArgs, ManualArgs};
use crate::exit_code::FAILED;
use crate::report;

/// Prints a script of completions.
pub(crate) fn completion(args: &CompletionArgs) -> u8 {
    let mut stdout = std::io::stdout().lock();
    let printed = stdout
        .write_all(&args::completion(args))
        .and_then(|()| stdout.flush());
    match printed {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            report::error(format_args!("cannot write to stdout: {error}"));
            FAILED
        }
        _ => 0,
    }
}

/// Writes the manual pages.
pub(crate) fn manual(args: &ManualArgs) -> u8 {
    for (name, page) in args::manual() {
        let path = args.dir.join(name);
        if let Err(error) = std::fs::write(&path, page) {
            report::error(format_args!("cannot write {}: {error}", path.display()));
            return FAILED;
        }
    }
    0
}
