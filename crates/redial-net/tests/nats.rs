//! Lines through a real nats-server.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use redial_net::Transport;
use redial_net::nats::{Broker, BrokerOptions, CallError, Name, Rival, Serving, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// What is waited for at most; a test waits for events, not for time.
const PATIENCE: Duration = Duration::from_secs(20);

/// A broker of our own; gone with this.
struct Nats {
    child: Child,
    dir: tempfile::TempDir,
    port: u16,
}

impl Nats {
    fn start(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Nats::start_on(-1, config, dir)
    }

    fn start_on(port: i32, config: &str, dir: tempfile::TempDir) -> Self {
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

    fn options(&self) -> BrokerOptions {
        BrokerOptions {
            urls: vec![format!("nats://127.0.0.1:{}", self.port)],
            ..BrokerOptions::default()
        }
    }

    async fn client(&self) -> Broker {
        Broker::connect(&self.options()).await.unwrap()
    }

    /// A death without a word; gives what the next needs to take its place.
    fn kill(mut self) -> (u16, tempfile::TempDir) {
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
fn port_in(path: &Path) -> Option<u16> {
    let text = std::fs::read_to_string(path).ok()?;
    let (_, rest) = text.split_once("nats://127.0.0.1:")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit())?;
    rest[..digits].parse().ok()
}

/// A host that says back what it hears, until it is told that there is no more.
struct EchoHost {
    _dir: tempfile::TempDir,
    tasks: Vec<JoinHandle<()>>,
}

impl EchoHost {
    async fn start(nats: &Nats, name: &str, key: &'static [u8]) -> Self {
        let (dir, door, listener) = door();
        let broker = Broker::connect_patiently(&nats.options()).await.unwrap();
        let serving = Serving {
            name: name.parse().unwrap(),
            key: Bytes::from_static(key),
            door,
        };
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

fn door() -> (tempfile::TempDir, PathBuf, UnixListener) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("door");
    let listener = UnixListener::bind(&path).unwrap();
    (dir, path, listener)
}

async fn echo(mut socket: UnixStream) {
    let (mut input, mut output) = socket.split();
    let _ = tokio::io::copy(&mut input, &mut output).await;
    let _ = output.shutdown().await;
}

/// A line to it, as soon as it answers.
async fn line(broker: &Broker, name: &str) -> (Transport, Rival) {
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
fn content(len: usize) -> Vec<u8> {
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
async fn is_said_back(transport: Transport, said: Vec<u8>) {
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

#[tokio::test]
async fn a_line_carries_every_byte_both_ways_and_then_its_end() {
    let nats = Nats::start("");
    let _host = EchoHost::start(&nats, "web1.example", b"key").await;
    let broker = nats.client().await;
    for len in [0, 1, 70_000, 5_000_000] {
        let (transport, rival) = line(&broker, "web1.example").await;
        is_said_back(transport, content(len)).await;
        assert_eq!(rival.seen(), None);
    }
}

#[tokio::test]
async fn a_broker_that_takes_short_messages_only_gets_short_ones() {
    let nats = Nats::start("max_payload: 1024");
    let _host = EchoHost::start(&nats, "web1", b"key").await;
    let broker = nats.client().await;
    let (transport, _) = line(&broker, "web1").await;
    is_said_back(transport, content(300_000)).await;
}

#[tokio::test]
async fn many_lines_at_once_do_not_mix() {
    let nats = Nats::start("");
    let _host = EchoHost::start(&nats, "web1", b"key").await;
    let broker = nats.client().await;
    let mut all = Vec::new();
    for number in 1..=40 {
        let (transport, _) = line(&broker, "web1").await;
        let said = content(number * 10_007).split_off(number);
        all.push(tokio::spawn(is_said_back(transport, said)));
    }
    for one in all {
        one.await.unwrap();
    }
}

#[tokio::test]
async fn where_nobody_answers_that_is_said_at_once() {
    let nats = Nats::start("");
    let broker = nats.client().await;
    let nobody: Name = "nobody".parse().unwrap();
    let error = timeout(PATIENCE, broker.dial(&nobody))
        .await
        .unwrap()
        .unwrap_err();
    assert!(matches!(error, CallError::Nobody(name) if name == nobody));
}

#[tokio::test]
async fn two_hosts_that_answer_to_one_name_end_the_line_and_both_keys_are_told() {
    let nats = Nats::start("");
    let _first = EchoHost::start(&nats, "web1", b"one key").await;
    let _second = EchoHost::start(&nats, "web1", b"another").await;
    let broker = nats.client().await;
    let began = Instant::now();
    let keys = loop {
        // The second may not be there yet.
        let (mut transport, rival) = line(&broker, "web1").await;
        transport.write_all(b"hello").await.unwrap();
        let mut heard = [0; 64];
        while matches!(transport.read(&mut heard).await, Ok(1..)) && rival.seen().is_none() {
            let _ = transport.write_all(b"again").await;
        }
        if let Some(keys) = rival.seen() {
            break keys;
        }
        assert!(began.elapsed() < PATIENCE);
    };
    let mut keys = keys.map(|key| key.to_vec());
    keys.sort();
    assert_eq!(keys, [b"another".to_vec(), b"one key".to_vec()]);
}

#[tokio::test]
async fn a_broker_that_dies_ends_its_lines_and_the_next_one_finds_the_host_again() {
    let nats = Nats::start("");
    let _host = EchoHost::start(&nats, "web1", b"key").await;
    let broker = nats.client().await;
    let (mut transport, _) = line(&broker, "web1").await;
    transport.write_all(b"hello").await.unwrap();
    let mut heard = [0; 5];
    transport.read_exact(&mut heard).await.unwrap();
    let (port, dir) = nats.kill();
    let end = timeout(PATIENCE, transport.read(&mut heard)).await.unwrap();
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    let nats = Nats::start_on(port.into(), "", dir);
    let again = nats.client().await;
    let (transport, _) = line(&again, "web1").await;
    is_said_back(transport, content(100_000)).await;
}

#[tokio::test]
async fn what_a_broker_says_twice_or_leaves_out_ends_the_line() {
    let nats = Nats::start("");
    let _host = EchoHost::start(&nats, "web1", b"key").await;
    let broker = nats.client().await;
    let url = format!("nats://127.0.0.1:{}", nats.port);
    let eavesdropper = async_nats::connect(&url).await.unwrap();
    let mut heard = eavesdropper.subscribe("redial.line.>").await.unwrap();
    eavesdropper.flush().await.unwrap();
    let mut last = String::new();
    for is_repeated in [true, false] {
        let (mut transport, _) = line(&broker, "web1").await;
        transport.write_all(b"hello").await.unwrap();
        let mut back = [0; 5];
        timeout(PATIENCE, transport.read_exact(&mut back))
            .await
            .unwrap()
            .unwrap();
        // What the client has said, once more, or as if something had been before it.
        let said = loop {
            let message = timeout(PATIENCE, heard.next()).await.unwrap().unwrap();
            let is_new = message.subject.as_str() != last;
            if is_new && message.subject.ends_with(".up") && message.payload.ends_with(b"hello") {
                break message;
            }
        };
        last = said.subject.to_string();
        let mut payload = said.payload.to_vec();
        if !is_repeated {
            payload[8] = 77;
        }
        let again = eavesdropper.publish(said.subject, payload.into()).await;
        again.unwrap();
        let end = timeout(PATIENCE, transport.read(&mut back)).await.unwrap();
        assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    }
}

#[tokio::test]
async fn who_does_not_read_is_sent_a_window_and_no_more_and_others_go_on() {
    let nats = Nats::start("");
    let broker = nats.client().await;
    let (_dir, door, listener) = door();
    let at_host = Broker::connect_patiently(&nats.options()).await.unwrap();
    let serving = Serving {
        name: "web1".parse().unwrap(),
        key: Bytes::from_static(b"key"),
        door,
    };
    let host = tokio::spawn(async move { serve(at_host, serving).await.unwrap() });
    let (transport, _) = line(&broker, "web1").await;
    let (stalled, _) = listener.accept().await.unwrap();
    let (mut input, mut output) = tokio::io::split(transport);
    let said = content(8_000_000);
    let expected = said.clone();
    let saying = tokio::spawn(async move {
        output.write_all(&said).await.unwrap();
        output.shutdown().await.unwrap();
    });
    // Another line of the same host carries more than the first could have under way.
    let (busy, _) = line(&broker, "web1").await;
    let (socket, _) = listener.accept().await.unwrap();
    tokio::spawn(echo(socket));
    is_said_back(busy, content(4_000_000)).await;
    assert!(!saying.is_finished(), "8 MB were taken by nobody");
    // Now somebody reads.
    tokio::spawn(echo(stalled));
    let mut heard = Vec::new();
    let read = timeout(PATIENCE, input.read_to_end(&mut heard)).await;
    read.unwrap().unwrap();
    assert!(heard == expected);
    saying.await.unwrap();
    host.abort();
}
