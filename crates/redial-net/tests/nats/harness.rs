//! A broker, hosts that say back what they hear, and lines to them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use redial_net::Transport;
use redial_net::nats::{Broker, BrokerOptions, CallError, Name, Rival, Serving, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// What is waited for at most; a test waits for events, not for time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A broker of our own; gone with this.
pub(crate) struct Nats {
    child: Child,
    dir: tempfile::TempDir,
    pub(crate) port: u16,
}

impl Nats {
    pub(crate) fn start(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Nats::start_on(-1, config, dir)
    }

    pub(crate) fn start_on(port: i32, config: &str, dir: tempfile::TempDir) -> Self {
        let file = dir.path().join("nats.conf");
        let text = format!(
            "listen: \"127.0.0.1:{port}\"\nports_file_dir: {:?}\n{config}\n",
            dir.path()
        );
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new("nats-server");
        command.arg("-c").arg(&file);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.expect("nats-server (Debian's package of that name) can be started");
        let ports = dir.path().join(format!("nats-server_{}.ports", child.id()));
        let began = Instant::now();
        let port = loop {
            if let Some(port) = port_in(&ports) {
                break port;
            }
            assert!(began.elapsed() < PATIENCE, "nats-server does not start");
            std::thread::yield_now();
        };
        Nats { child, dir, port }
    }

    pub(crate) fn options(&self) -> BrokerOptions {
        BrokerOptions {
            urls: vec![format!("nats://127.0.0.1:{}", self.port)],
            ..BrokerOptions::default()
        }
    }

    pub(crate) async fn client(&self) -> Broker {
        Broker::connect(&self.options()).await.unwrap()
    }

    /// A death without a word; gives what the next needs to take its place.
    pub(crate) fn kill(mut self) -> (u16, tempfile::TempDir) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let dir = std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap());
        (self.port, dir)
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `{"nats":["nats://127.0.0.1:34567"]}`
pub(crate) fn port_in(path: &Path) -> Option<u16> {
    let text = std::fs::read_to_string(path).ok()?;
    let (_, rest) = text.split_once("://127.0.0.1:")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit())?;
    rest[..digits].parse().ok()
}

/// A host that says back what it hears, until it is told that there is no more.
pub(crate) struct EchoHost {
    _dir: tempfile::TempDir,
    tasks: Vec<JoinHandle<()>>,
}

impl EchoHost {
    pub(crate) async fn start(nats: &Nats, name: &str, key: &'static [u8]) -> Self {
        let (dir, door, listener) = door();
        let broker = Broker::connect_patiently(&nats.options()).await.unwrap();
        let serving = serving(name, key, door);
        let echo = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(echo(socket));
            }
        });
        let host = tokio::spawn(async move { serve(broker, serving).await.unwrap() });
        EchoHost {
            _dir: dir,
            tasks: vec![echo, host],
        }
    }
}

impl Drop for EchoHost {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// What a host of the tests is.
pub(crate) fn serving(name: &str, key: &'static [u8], door: PathBuf) -> Serving {
    Serving {
        name: name.parse().unwrap(),
        key: Bytes::from_static(key),
        door,
        version: "1.2.3".to_owned(),
        tags: BTreeMap::from([("role".to_owned(), "echo".to_owned())]),
    }
}

pub(crate) fn door() -> (tempfile::TempDir, PathBuf, UnixListener) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("door");
    let listener = UnixListener::bind(&path).unwrap();
    (dir, path, listener)
}

pub(crate) async fn echo(mut socket: UnixStream) {
    let (mut input, mut output) = socket.split();
    let _ = tokio::io::copy(&mut input, &mut output).await;
    let _ = output.shutdown().await;
}

/// A line to it, as soon as it answers.
pub(crate) async fn line(broker: &Broker, name: &str) -> (Transport, Rival) {
    let name: Name = name.parse().unwrap();
    let began = Instant::now();
    loop {
        match timeout(PATIENCE, broker.dial(&name)).await.unwrap() {
            Ok(line) => return line,
            Err(CallError::Nobody(_)) if began.elapsed() < PATIENCE => {
                tokio::task::yield_now().await
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Bytes of which no two places look alike.
pub(crate) fn content(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        bytes.extend((state >> 11).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Says all of it, hears all of it again.
pub(crate) async fn is_said_back(transport: Transport, said: Vec<u8>) {
    let (mut input, mut output) = tokio::io::split(transport);
    let expected = said.clone();
    let saying = tokio::spawn(async move {
        output.write_all(&said).await.unwrap();
        output.shutdown().await.unwrap();
    });
    let mut heard = Vec::new();
    let read = timeout(PATIENCE, input.read_to_end(&mut heard)).await;
    read.expect("in time").unwrap();
    saying.await.unwrap();
    assert!(heard == expected, "{} of {}", heard.len(), expected.len());
}

/// A certificate for 127.0.0.1 that vouches for itself, and its key.
pub(crate) fn certificate(dir: &Path) -> (PathBuf, PathBuf) {
    let (cert, key, config) = (dir.join("cert.pem"), dir.join("key.pem"), dir.join("cnf"));
    let text = "[req]\ndistinguished_name = dn\nx509_extensions = ext\n[dn]\n[ext]\n\
                basicConstraints = critical, CA:FALSE\nsubjectAltName = IP:127.0.0.1\n";
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt"]);
    command.args(["ec_paramgen_curve:P-256", "-nodes", "-days", "2"]);
    command
        .args(["-subj", "/CN=broker", "-config"])
        .arg(&config);
    command.arg("-out").arg(&cert).arg("-keyout").arg(&key);
    let made = command.stderr(Stdio::null()).status();
    assert!(made.expect("openssl can be started").success());
    (cert, key)
}
