//! `redial echo`: the lesson's telephone, from both ends.

mod call;
pub(super) mod ending;
mod serve;
pub(super) mod shown;

use crate::args::EchoCommand;
use crate::exit_code;
use crate::report;

/// Does one of them; the exit code.
pub(crate) fn echo(what: &EchoCommand) -> u8 {
    let done = match what {
        EchoCommand::Serve(args) => serve::serve(args),
        EchoCommand::Call(args) => call::call(args),
    };
    match done {
        Ok(()) => 0,
        Err(error) if call::nobody_reads(&error) => exit_code::NOBODY_READS,
        Err(error) => {
            report::error(format_args!("echo: {error:#}"));
            exit_code::FAILED
        }
    }
}
