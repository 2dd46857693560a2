//! Somebody who speaks TLS and frames, byte by byte as the test wants them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use redial_net::Transport;
use redial_net::auth::PublicKey;
use redial_net::proto::Kind;
use redial_net::tls::{Decision, TlsClient, TlsStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::{Instant, timeout};

/// No answer takes as long, unless there is none.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A connection that has finished TLS.
pub(crate) struct Stranger {
    pub(crate) stream: TlsStream<Transport>,
    read: Vec<u8>,
}

/// A frame of the server's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) payload: Vec<u8>,
}

/// TCP to 127.0.0.1, from an address of ours.
pub(crate) async fn dial(port: u16, source: Ipv4Addr) -> io::Result<std::net::TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(IpAddr::V4(source), 0))?;
    let stream = socket.connect(SocketAddr::from(([127, 0, 0, 1], port)));
    stream.await?.into_std()
}

/// An address of the loopback for each number, so that one has no penalty for another.
pub(crate) fn source(number: u32) -> Ipv4Addr {
    let [_, a, b, c] = number.to_be_bytes();
    Ipv4Addr::new(127, 100 + a, b, c.max(1))
}

impl Stranger {
    pub(crate) async fn new(port: u16, source: Ipv4Addr) -> Self {
        Self::try_new(port, source).await.unwrap()
    }

    /// An error if who is there hangs up before TLS is done.
    pub(crate) async fn try_new(port: u16, source: Ipv4Addr) -> io::Result<Self> {
        let line = Transport::from_tcp(dial(port, source).await?)?;
        let client = TlsClient::new(|_| Decision::Accept);
        let stream = client.connect(line, Instant::now() + PATIENCE).await;
        Ok(Stranger {
            stream: stream.map_err(io::Error::other)?,
            read: Vec::new(),
        })
    }

    pub(crate) fn host_key(&self) -> PublicKey {
        PublicKey::from_spki(self.stream.host_key().spki()).unwrap()
    }

    /// All at once. The server may hang up before it has read it.
    pub(crate) async fn send(&mut self, frames: &[Vec<u8>]) {
        let _ = self.stream.write_all(&frames.concat()).await;
        let _ = self.stream.flush().await;
    }

    /// The next frame; none at the end, however it comes.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.take() {
                return Some(frame);
            }
            let mut piece = [0; 4096];
            match timeout(PATIENCE, self.stream.read(&mut piece)).await {
                Ok(Ok(len @ 1..)) => self.read.extend_from_slice(&piece[..len]),
                Ok(_) => return None,
                Err(_) => panic!("the server neither answers nor hangs up"),
            }
        }
    }

    fn take(&mut self) -> Option<Frame> {
        let length = u32::from_be_bytes(*self.read.first_chunk()?) as usize;
        if self.read.len() < 4 + length {
            return None;
        }
        let frame: Vec<u8> = self.read.drain(..4 + length).collect();
        Some(Frame {
            kind: frame[4],
            payload: frame[12..].to_vec(),
        })
    }

    /// Says hello, and is told the nonce, which stands last in the server's.
    pub(crate) async fn greet(&mut self) -> [u8; 32] {
        self.send(&[frame(Kind::Hello, &hello("test"))]).await;
        let hello = self.next().await.expect("a hello");
        assert_eq!(hello.kind, Kind::Hello as u8);
        *hello.payload.last_chunk().unwrap()
    }
}

/// A frame as it stands on the wire; on channel 1 where it needs one.
pub(crate) fn frame(kind: Kind, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(8 + payload.len()).unwrap();
    let number = kind as u8;
    let channel = u8::from(number >= 0x10);
    let stream = match kind {
        Kind::Data | Kind::Eof | Kind::Credit | Kind::Acknowledge => number & 1,
        _ => 0,
    };
    let head = [number, 0, stream, 0, 0, 0, 0, channel];
    [&length.to_be_bytes()[..], &head, payload].concat()
}

pub(crate) fn hello(agent: &str) -> Vec<u8> {
    let limits = map(&[uint(262_144), uint(16), uint(2_097_152), uint(0), uint(0)]);
    map(&[uint(1), uint(1), array(&[]), limits, text(agent)])
}

pub(crate) fn authenticate(user: &str, key: &[u8], signature: Option<&[u8]>) -> Vec<u8> {
    let mut fields = vec![text(user), array(&[bytes(key)])];
    fields.extend(signature.map(bytes));
    map(&fields)
}

pub(crate) fn start(argv: &[&str]) -> Vec<u8> {
    let argv: Vec<_> = argv.iter().map(|word| bytes(word.as_bytes())).collect();
    let (no, nothing) = (vec![0xf4], array(&[]));
    numbered(&[
        (0, bytes(&[0x5a; 16])),
        (1, array(&argv)),
        (5, no.clone()),
        (8, uint(0)),
        (9, array(&[uint(0), nothing])),
        (10, no.clone()),
        (11, no),
        (12, uint(65_536)),
        (13, uint(65_536)),
    ])
}

// CBOR (RFC 8949) of what is needed here.

fn head(major: u8, value: usize) -> Vec<u8> {
    let value = u32::try_from(value).unwrap();
    let [_, _, high, low] = value.to_be_bytes();
    match value {
        0..24 => vec![major << 5 | low],
        24..256 => vec![major << 5 | 24, low],
        256..65_536 => vec![major << 5 | 25, high, low],
        _ => [&[major << 5 | 26][..], &value.to_be_bytes()].concat(),
    }
}

pub(crate) fn uint(value: usize) -> Vec<u8> {
    head(0, value)
}

pub(crate) fn bytes(value: &[u8]) -> Vec<u8> {
    [head(2, value.len()), value.to_vec()].concat()
}

pub(crate) fn text(value: &str) -> Vec<u8> {
    [head(3, value.len()), value.as_bytes().to_vec()].concat()
}

pub(crate) fn array(items: &[Vec<u8>]) -> Vec<u8> {
    [head(4, items.len()), items.concat()].concat()
}

/// With the keys 0, 1, 2 and so on.
pub(crate) fn map(values: &[Vec<u8>]) -> Vec<u8> {
    let pairs: Vec<_> = values.iter().cloned().enumerate().collect();
    numbered(&pairs)
}

fn numbered(pairs: &[(usize, Vec<u8>)]) -> Vec<u8> {
    let each = pairs
        .iter()
        .map(|(key, value)| [uint(*key), value.clone()].concat());
    [head(5, pairs.len()), each.collect::<Vec<_>>().concat()].concat()
}
