//! redial over TCP and TLS: a server that listens there too, and those who log in to it.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use redial_client::{Client, ConnectOptions, HostTarget, NetworkOptions, NewHost, Target};
use tokio::runtime::Runtime;

use super::home::Home;
use super::redial::{self, rate_of_tasks};
use super::server::Server;
use crate::patience::until;

const START_LIMIT: Duration = Duration::from_secs(10);

/// A server on the network; ended when dropped.
#[derive(Debug)]
pub(crate) struct NetworkServer {
    server: Server,
    door: Door,
}

/// How one gets in.
#[derive(Debug, Clone)]
struct Door {
    home: Arc<Home>,
    port: u16,
}

impl NetworkServer {
    /// Starts it, with the key of this home as the one that may log in, and lets the
    /// home know the server's.
    ///
    /// # Errors
    /// It is not there, does not listen, or lets nobody in.
    pub(crate) fn start(home: &Arc<Home>, options: &[&str]) -> anyhow::Result<Self> {
        let (host, keys) = (home.path().join("host_key"), home.authorized_keys());
        let (host, keys) = (
            host.to_str().context("a path")?,
            keys.to_str().context("a path")?,
        );
        let network = [
            "--listen",
            "127.0.0.1:0",
            "--host-key",
            host,
            "--authorized-keys",
            keys,
        ];
        let server = Server::start(&[&network, options].concat())?;
        let mut port = None;
        // It is bound before the Unix socket takes anybody, but not said yet.
        until(START_LIMIT, || {
            port = port_in(&server.log());
            port.is_some()
        });
        let port = port.with_context(|| format!("no port in: {}", server.log()))?;
        let door = Door {
            home: Arc::clone(home),
            port,
        };
        redial::runtime()?.block_on(async {
            let client = door.connect(NewHost::Accept).await?;
            client.close().await;
            anyhow::Ok(())
        })?;
        Ok(NetworkServer { server, door })
    }

    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// `redial run` over the network, without its command: who uses it has a key, and
    /// knows the server.
    pub(crate) fn run(&self) -> Command {
        self.run_with(self.door.port, &[])
    }

    /// By way of another port, which is met at the first time.
    pub(crate) fn run_at(&self, port: u16) -> Command {
        self.run_with(port, &["--accept-new", "-q"])
    }

    fn run_with(&self, port: u16, flags: &[&str]) -> Command {
        let mut command = self.client();
        let target = format!("{}@127.0.0.1:{port}", self.door.home.login());
        command.arg("run").args(flags).args([&target, "--"]);
        command
    }

    /// The program, with this home and nothing of the caller's.
    pub(crate) fn client(&self) -> Command {
        let mut command = self.server.program();
        command
            .env("HOME", self.door.home.path())
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_STATE_HOME")
            .env_remove("SSH_AUTH_SOCK");
        command
    }

    /// On 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.door.port
    }

    /// One more connection, logged in.
    ///
    /// # Errors
    /// It is refused.
    pub(crate) async fn connect(&self) -> anyhow::Result<Client> {
        self.door.connect(NewHost::Refuse).await
    }

    /// Logins per second, each on a connection of its own that ends with a goodbye, from
    /// so many tasks.
    ///
    /// # Errors
    /// One was refused.
    pub(crate) fn logins(
        &self,
        runtime: &Runtime,
        tasks: usize,
        count: usize,
    ) -> anyhow::Result<f64> {
        let door = self.door.clone();
        rate_of_tasks(runtime, tasks, count, move || {
            let door = door.clone();
            async move {
                let client = door.connect(NewHost::Refuse).await?;
                client.close().await;
                Ok(())
            }
        })
    }
}

impl Door {
    async fn connect(&self, new_host: NewHost) -> anyhow::Result<Client> {
        let target = Target::Network(HostTarget {
            user: Some(self.home.login().to_owned()),
            host: "127.0.0.1".to_owned(),
            port: Some(self.port),
        });
        let network = NetworkOptions::default()
            .home(self.home.path())
            .agent(None)
            .new_host(new_host);
        let options = ConnectOptions::default().network(network);
        Ok(Client::connect(&target, options).await?)
    }
}

/// The port that the log of a server names.
fn port_in(log: &str) -> Option<u16> {
    let (_, rest) = log.split_once(" address=127.0.0.1:")?;
    let (port, _) = rest.split_once(char::is_whitespace)?;
    port.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_found_in_the_log() {
        let log =
            "INFO listening socket=/a\nINFO listening address=127.0.0.1:4242 host_key=\"S\"\n";
        assert_eq!(port_in(log), Some(4242));
        assert_eq!(port_in("INFO listening socket=/a"), None);
    }
}
