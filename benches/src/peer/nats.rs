//! nats-server, and hosts that dial out to it.

use std::fs;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use redial_client::network::BrokerOptions;
use redial_client::network::auth::PrivateKey;
use redial_net::nats::{Broker, Serving, serve};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::Daemon;
use super::home::Home;
use super::network::NetworkServer;
use crate::patience::wait_for;
use crate::process;

const START_LIMIT: Duration = Duration::from_secs(10);
/// Until all hosts have connected.
const CROWD_LIMIT: Duration = Duration::from_secs(120);
/// Hosts that connect at once.
const AT_ONCE: usize = 64;

/// One broker; ended when dropped.
pub(crate) struct Nats {
    daemon: Daemon,
    port: u16,
    _dir: TempDir,
}

/// What a process has used, and has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Use {
    pub(crate) cpu: Duration,
    pub(crate) memory: u64,
}

impl Nats {
    /// # Errors
    /// There is none, or it does not start.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut command = Command::new("nats-server");
        command
            .args(["-a", "127.0.0.1", "-p", "-1", "--ports_file_dir"])
            .arg(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let daemon = Daemon::spawn(&mut command)?;
        let file = dir.path();
        let file = file.join(format!("nats-server_{}.ports", daemon.pid()));
        let mut port = None;
        wait_for("nats-server says its port", START_LIMIT, || {
            port = fs::read_to_string(&file)
                .ok()
                .and_then(|text| port_in(&text));
            port.is_some()
        })?;
        Ok(Nats {
            daemon,
            port: port.context("a port")?,
            _dir: dir,
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Until now.
    ///
    /// # Errors
    /// It is gone.
    pub(crate) fn used(&self) -> anyhow::Result<Use> {
        used(self.daemon.pid())
    }
}

/// CPU time of a process, and its resident memory.
///
/// # Errors
/// It is gone.
pub(crate) fn used(pid: u32) -> anyhow::Result<Use> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Ok(Use {
        cpu: process::stat(pid)?.cpu,
        memory: kib.context("VmRSS")? * 1024,
    })
}

/// `{"nats":["nats://127.0.0.1:34567"]}`
fn port_in(text: &str) -> Option<u16> {
    let (_, rest) = text.split_once("://127.0.0.1:")?;
    let (port, _) = rest.split_once('"')?;
    port.parse().ok()
}

/// A server that is dialled, and called by the name `bench` too.
pub(crate) struct Called {
    pub(crate) server: NetworkServer,
    url: String,
}

impl Called {
    /// # Errors
    /// The server does not start.
    pub(crate) fn start(home: &Arc<Home>, nats: &Nats, flags: &[&str]) -> anyhow::Result<Self> {
        let url = nats.url();
        let dials_out = ["--nats", &url, "--name", "bench"];
        let called = Called {
            server: NetworkServer::start(home, &[&dials_out, flags].concat())?,
            url,
        };
        let mut first = called.client(&["run", "--accept-new", "-q", "nats:bench", "--", "true"]);
        let is_there = || first.status().is_ok_and(|status| status.success());
        wait_for("the host answers to its name", START_LIMIT, is_there)?;
        Ok(called)
    }

    /// `redial WORDS` of who knows the broker.
    pub(crate) fn client(&self, words: &[&str]) -> Command {
        let mut client = self.server.client();
        // `hosts` has a second word before its flags.
        let (command, rest) = words.split_at(1 + usize::from(words[0] == "hosts"));
        client.args(command).args(["--nats", &self.url]).args(rest);
        client.stdout(Stdio::null()).stderr(Stdio::null());
        client
    }

    /// `redial run` by way of the broker, without its command.
    pub(crate) fn run(&self) -> Command {
        let mut client = self.server.client();
        client.args(["run", "--nats", &self.url, "nats:bench", "--"]);
        client
    }
}

/// Names `n00001`, … that are all this server, each with its own connection to the broker; on a thread of
/// this process, which ends with this.
pub(crate) struct Crowd {
    _end: OwnedFd,
    thread: u32,
}

impl Crowd {
    /// # Errors
    /// Not all of them have connected.
    pub(crate) fn start(
        home: &Home,
        nats: &Nats,
        called: &Called,
        count: usize,
    ) -> anyhow::Result<Self> {
        let text = fs::read_to_string(home.path().join("host_key"))?;
        let key = PrivateKey::public_key_in(&text)?;
        let mut door = called.server.server().socket().into_os_string();
        door.push(".nats");
        let all = (1..=count).map(|number| {
            let name = format!("n{number:05}").parse()?;
            anyhow::Ok(Serving {
                name,
                key: key.blob().to_vec().into(),
                door: door.clone().into(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                tags: [("role".to_owned(), "bench".to_owned())].into(),
            })
        });
        let all = all.collect::<Result<Vec<_>, _>>()?;
        let options = BrokerOptions {
            urls: vec![nats.url()],
            ..BrokerOptions::default()
        };
        let (end, ours) = rustix::pipe::pipe()?;
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let _ = tell.send(rustix::thread::gettid());
            live(&options, all, end)
        });
        let thread = told.recv_timeout(CROWD_LIMIT)?;
        Ok(Crowd {
            _end: ours,
            thread: thread.as_raw_nonzero().get().cast_unsigned(),
        })
    }

    /// CPU time of all of them.
    ///
    /// # Errors
    /// The thread is gone.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        process::thread_cpu(self.thread)
    }
}

/// Until the other end of this pipe is closed.
fn live(options: &BrokerOptions, all: Vec<Serving>, end: OwnedFd) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut hosts = JoinSet::new();
        let gate = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
        for serving in all {
            let (options, gate) = (options.clone(), Arc::clone(&gate));
            hosts.spawn(async move {
                let permit = gate.acquire().await;
                let broker = Broker::connect(&options).await?;
                drop(permit);
                serve(broker, serving).await
            });
        }
        let mut end = tokio::net::unix::pipe::Receiver::from_owned_fd(end)?;
        let ended = tokio::io::AsyncReadExt::read_u8(&mut end);
        tokio::select! {
            Some(ended) = hosts.join_next() => Ok(ended??),
            _ = ended => Ok(()),
        }
    })
}
