//! Runs a command to completion and collects what it writes.

use std::time::Duration;

use crate::client::Client;
use crate::command::Command;
use crate::error::JobError;
use crate::job::{Job, JobEvent, Output};
use crate::outcome::Outcome;

/// What [`Client::run`] collects of each output at most.
const COLLECT_MAX_BYTES: usize = 64 << 20;

/// A command that has ended, and what it wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// How it ended.
    pub outcome: Outcome,
    /// All of its stdout.
    pub stdout: Vec<u8>,
    /// All of its stderr.
    pub stderr: Vec<u8>,
}

impl Client {
    /// Runs a command to its end and collects its outputs, at most 64 MiB of each.
    /// Dropping the future leaves the job to its drop policy.
    ///
    /// # Errors
    ///
    /// [`JobError`]; how the command itself ended is in the outcome.
    pub async fn run(&self, command: Command) -> Result<Finished, JobError> {
        self.run_within(command, COLLECT_MAX_BYTES).await
    }

    /// As [`Client::run`], with another limit in bytes for each output.
    ///
    /// # Errors
    ///
    /// As [`Client::run`].
    pub async fn run_within(&self, command: Command, limit: usize) -> Result<Finished, JobError> {
        let mut job = self.start(command.manual_acknowledge(false)).await?;
        collect(&mut job, limit).await
    }
}

async fn collect(job: &mut Job, limit: usize) -> Result<Finished, JobError> {
    let mut outputs = [Vec::new(), Vec::new()];
    let mut over = None;
    while let Some(event) = job.next().await {
        match event? {
            JobEvent::Data { stream, bytes, .. } if over.is_none() => {
                let output: &mut Vec<u8> = &mut outputs[stream.index()];
                if output.len() + bytes.len() > limit {
                    over = Some(stream);
                    // If it is over already, so much the better.
                    let _ = job.handle().cancel(Duration::ZERO);
                } else {
                    output.extend_from_slice(&bytes);
                }
            }
            JobEvent::Ended(outcome) => {
                let [stdout, stderr] = outputs;
                return match over {
                    None => Ok(Finished {
                        outcome: *outcome,
                        stdout,
                        stderr,
                    }),
                    Some(stream) => Err(too_much(job, stream, limit)),
                };
            }
            _ => {}
        }
    }
    // Events end with an outcome or an error, unless the limit broke it off.
    Err(too_much(job, over.unwrap_or(Output::Stdout), limit))
}

fn too_much(job: &Job, stream: Output, limit: usize) -> JobError {
    JobError::TooMuchOutput {
        job: job.id(),
        stream,
        limit,
    }
}
