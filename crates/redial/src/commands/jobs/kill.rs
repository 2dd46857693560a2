//! `redial kill`: a signal to jobs, or the end of their trees.

use std::time::Duration;

use redial_client::{Client, JobId, QueryError};

use super::rm::for_each;
use crate::settings::JobName;

/// What is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Blow {
    Signal(u8),
    /// TERM to the tree, KILL after this.
    Tree(Duration),
}

/// Sends it; the result is our exit code.
pub(crate) fn kill(names: &[JobName], blow: Blow, json: bool) -> u8 {
    for_each(
        names,
        json,
        async |client: &Client, id: JobId| -> Result<(), QueryError> {
            match blow {
                Blow::Signal(signal) => client.signal_job(id, signal).await,
                Blow::Tree(grace) => client.cancel_job(id, grace).await,
            }
        },
    )
}
