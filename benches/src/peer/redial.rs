//! The client library in this process, over one connection to a real server.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use redial_client::{Client, Command, ConnectOptions, Finished, Target};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use super::network::NetworkServer;
use super::server::Server;
use super::{Turns, per_second};

/// A connection and the runtime that drives it, in this thread, while it is used.
pub(crate) struct Redial {
    runtime: Runtime,
    client: Client,
}

impl Redial {
    /// Connects, and waits for the server's hello.
    ///
    /// # Errors
    /// There is no server.
    pub(crate) fn connect(server: &Server) -> anyhow::Result<Self> {
        let runtime = runtime()?;
        let client = runtime.block_on(connect(server))?;
        Ok(Redial { runtime, client })
    }

    /// The same over TCP and TLS, logged in.
    ///
    /// # Errors
    /// There is no server, or it lets nobody in.
    pub(crate) fn over_tls(network: &NetworkServer) -> anyhow::Result<Self> {
        let runtime = runtime()?;
        let client = runtime.block_on(network.connect())?;
        Ok(Redial { runtime, client })
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// One `true`, to its complete outcome.
    ///
    /// # Errors
    /// It failed, wrote something, or the connection is lost.
    pub(crate) fn once(&self) -> anyhow::Result<()> {
        self.runtime.block_on(run_true(&self.client))
    }

    /// `true` per second with `in_flight` at once.
    ///
    /// # Errors
    /// As [`Redial::once`].
    pub(crate) fn rate(&self, count: usize, in_flight: usize) -> anyhow::Result<f64> {
        let client = self.client.clone();
        rate_of_tasks(&self.runtime, in_flight, count, move || {
            let client = client.clone();
            async move { run_true(&client).await }
        })
    }

    /// Says goodbye and waits for the server's.
    pub(crate) fn close(self) {
        self.runtime.block_on(self.client.close());
    }
}

/// A runtime of one thread: the caller's.
pub(crate) fn runtime() -> anyhow::Result<Runtime> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.context("cannot make a runtime")
}

/// Lets `workers` tasks do `count` pieces of work, and says how many a second.
///
/// # Errors
/// The first that a worker had.
pub(crate) fn rate_of_tasks<Done>(
    runtime: &Runtime,
    workers: usize,
    count: usize,
    work: impl Fn() -> Done + Send + Sync + 'static,
) -> anyhow::Result<f64>
where
    Done: Future<Output = anyhow::Result<()>> + Send,
{
    let shared = Arc::new((Turns::new(count), work));
    let began = Instant::now();
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for _ in 0..workers {
            let shared = Arc::clone(&shared);
            tasks.spawn(async move {
                let (turns, work) = &*shared;
                while turns.take() {
                    work().await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.context("a worker")??;
        }
        anyhow::Ok(())
    })?;
    Ok(per_second(count, began.elapsed()))
}

/// One more connection to a server.
pub(crate) async fn connect(server: &Server) -> anyhow::Result<Client> {
    connect_with(server, ConnectOptions::default()).await
}

/// The same, in another way.
pub(crate) async fn connect_with(
    server: &Server,
    options: ConnectOptions,
) -> anyhow::Result<Client> {
    let target = Target::Unix(Some(server.socket()));
    Ok(Client::connect(&target, options).await?)
}

/// One `true` over a connection, to its complete outcome.
pub(crate) async fn run_true(client: &Client) -> anyhow::Result<()> {
    let Finished {
        outcome,
        stdout,
        stderr,
    } = client.run(Command::new(["true"])).await?;
    anyhow::ensure!(outcome.is_success(), "true {}", outcome.status);
    let silent = stdout.is_empty() && stderr.is_empty();
    anyhow::ensure!(silent, "true wrote something");
    Ok(())
}
