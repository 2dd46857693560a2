//! Job logs: the streams of attached jobs in shared memory, addressed by absolute
//! offset from the oldest byte kept to the newest.
//!
//! Nothing here knows a job, a front or a clock. Output is read from a pipe
//! straight into chunks; stdin is copied out of chunks into a pipe; the order in
//! which stdout and stderr arrived is a journal of its own.

mod chain;
mod input;
mod journal;
mod output;

pub(crate) use chain::Chain;
pub(crate) use input::{InputLog, Written};
pub(crate) use journal::Journal;
pub(crate) use output::{Filled, MAX_READ_BYTES, OutputLog};

#[cfg(test)]
mod tests;
