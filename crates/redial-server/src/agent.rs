//! The program that brings lines by way of a NATS cluster to the server's door.

use std::io;
use std::os::fd::OwnedFd;

use redial_net::nats::{Broker, BrokerError, BrokerOptions, Serving, serve};
use rustix::process::{Resource, Rlimit};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

/// What it may take of memory: a thousand lines, all full, take a quarter. A broker that sends without an end
/// ends the agent, and not the machine; the keeper starts another.
const MEMORY_MAX_BYTES: u64 = 1 << 30;

/// Why an agent ended.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The system is in the way.
    #[error(transparent)]
    System(#[from] io::Error),
    /// The cluster cannot be used as it was said.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

/// Answers calls until `keeper`, the pipe from who has started it, ends. Runs a runtime of its own on this
/// thread.
///
/// # Errors
///
/// [`AgentError`].
pub fn agent(broker: &BrokerOptions, serving: Serving, keeper: OwnedFd) -> Result<(), AgentError> {
    bound_memory();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut keeper = pipe::Receiver::from_owned_fd(keeper)?;
        let serving = async {
            let broker = Broker::connect_patiently(broker).await?;
            serve(broker, serving).await
        };
        tokio::select! {
            served = serving => Ok(served?),
            // Nothing is ever said there.
            _ = keeper.read_u8() => Ok(()),
        }
    })
}

fn bound_memory() {
    let limit = Rlimit {
        current: Some(MEMORY_MAX_BYTES),
        maximum: Some(MEMORY_MAX_BYTES),
    };
    // A limit that is lower already stays.
    let before = rustix::process::getrlimit(Resource::Data).current;
    if before.is_none_or(|before| before > MEMORY_MAX_BYTES)
        && let Err(error) = rustix::process::setrlimit(Resource::Data, limit)
    {
        tracing::warn!(%error, "the agent's memory has no limit");
    }
}
