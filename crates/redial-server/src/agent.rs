//! The program that brings lines by way of a NATS cluster to the server's door.

use std::io;
use std::os::fd::OwnedFd;

use redial_net::nats::{Broker, BrokerError, BrokerOptions, Serving, serve};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

/// Why an agent ended.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The system is in the way.
    #[error("{0}")]
    System(#[from] io::Error),
    /// The cluster cannot be used as it was said.
    #[error("{0}")]
    Broker(#[from] BrokerError),
}

/// Answers calls until `keeper`, the pipe from who has started it, ends. Runs a runtime of its own on this
/// thread.
///
/// # Errors
///
/// [`AgentError`].
pub fn agent(broker: &BrokerOptions, serving: Serving, keeper: OwnedFd) -> Result<(), AgentError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut keeper = pipe::Receiver::from_owned_fd(keeper)?;
        let name = serving.name.clone();
        let serving = async {
            let broker = Broker::connect_patiently(broker).await?;
            tracing::info!(%name, "hosts of this name are called through NATS");
            serve(broker, serving).await
        };
        tokio::select! {
            served = serving => Ok(served?),
            // Nothing is ever said there.
            _ = keeper.read_u8() => Ok(()),
        }
    })
}
