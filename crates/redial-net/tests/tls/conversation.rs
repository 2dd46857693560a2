//! What is said arrives, to the byte.

use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use redial_net::proto::{Config, Connection, Time};
use redial_net::tls::{ALPN, EXPORTER_LABEL, TlsStream};
use redial_net::{Transport, drive};
use rustls::client::{ClientSessionMemoryCache, ClientSessionStore, Resumption};
use rustls::client::{Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;
use rustls::{HandshakeKind, NamedGroup};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::choppy::Choppy;
use crate::plain::{self, Wants};
use crate::sides::{Asking, Serving, pattern};
use crate::support::{Key, PATIENCE, connected, server, soon, tcp_pair, trusting};

async fn echo<A, B>((mut ours, mut theirs): (TlsStream<A>, TlsStream<B>))
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    for text in [&b"x"[..], b"hello", &[7; 20_000]] {
        ours.write_all(text).await.unwrap();
        ours.flush().await.unwrap();
        let mut heard = vec![0; text.len()];
        theirs.read_exact(&mut heard).await.unwrap();
        theirs.write_all(&heard).await.unwrap();
        theirs.flush().await.unwrap();
        let mut back = vec![0; text.len()];
        ours.read_exact(&mut back).await.unwrap();
        assert!(back == text);
    }
    ours.shutdown().await.unwrap();
    assert_eq!(theirs.read(&mut [0; 8]).await.unwrap(), 0, "a clean end");
    theirs.shutdown().await.unwrap();
    assert_eq!(ours.read(&mut [0; 8]).await.unwrap(), 0, "on both sides");
    assert!(ours.write(b"more").await.is_err(), "nothing follows an end");
}

#[tokio::test]
async fn an_echo_comes_back_over_a_socket_pair_and_over_tcp() {
    echo(connected(Transport::pair().unwrap()).await).await;
    echo(connected(tcp_pair()).await).await;
}

#[tokio::test]
async fn both_sides_know_the_servers_key_and_the_same_ciphers() {
    let (ours, theirs) = connected(Transport::pair().unwrap()).await;
    assert_eq!(ours.host_key(), &Key::ed25519(1).public);
    assert_eq!(ours.host_key(), theirs.host_key());
    assert_eq!(ours.ciphers(), theirs.ciphers());
    let group = if cfg!(feature = "post-quantum") {
        NamedGroup::X25519MLKEM768
    } else {
        NamedGroup::X25519
    };
    assert_eq!(
        ours.ciphers(),
        format!("{group:?}, TLS13_AES_128_GCM_SHA256")
    );
}

async fn converse<T>(ours: TlsStream<T>, theirs: TlsStream<T>, output: usize, input: usize)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut asking = Asking::new(output, input);
    let mut serving = Serving::new(output, input);
    let client = Connection::client(Config::client(), Time::ZERO);
    let server = Connection::server(Config::server([7; 16]), Time::ZERO);
    let both = async {
        tokio::join!(
            drive(ours, client, &mut asking),
            drive(theirs, server, &mut serving)
        )
    };
    let (asked, served) = timeout(PATIENCE, both).await.unwrap();
    asked.unwrap();
    served.unwrap();
    assert!(asking.output == pattern(output), "stdout is exact");
    assert!(serving.input == pattern(input), "stdin is exact");
}

#[tokio::test]
async fn a_whole_conversation_of_the_protocol_is_exact_inside_tls() {
    let (ours, theirs) = connected(Transport::pair().unwrap()).await;
    converse(ours, theirs, 3_000_000, 700_001).await;
    let (ours, theirs) = connected(tcp_pair()).await;
    converse(ours, theirs, 3_000_000, 700_001).await;
}

#[tokio::test]
async fn it_is_exact_wherever_the_line_cuts() {
    for seed in 1..=8 {
        let (ours, theirs) = tokio::io::duplex(9_001);
        let line = (Choppy::new(ours, seed), Choppy::new(theirs, !seed));
        let (ours, theirs) = connected(line).await;
        eprintln!("seed {seed}");
        converse(ours, theirs, 200_000, 150_000).await;
    }
}

#[tokio::test]
async fn a_quarter_of_a_gibibyte_arrives_intact() {
    const BLOCK: usize = 64 * 1024 + 12;
    const BLOCKS: u64 = (256 << 20) / BLOCK as u64 + 1;
    let block = |at: u64| {
        let mut block = vec![at as u8; BLOCK];
        block[..8].copy_from_slice(&at.to_be_bytes());
        block
    };
    let (mut ours, mut theirs) = connected(tcp_pair()).await;
    let write = async {
        for at in 0..BLOCKS {
            // As a frame lies: a head, and a body in two places.
            let block = block(at);
            let (head, body) = block.split_at(12);
            let (one, two) = body.split_at(at as usize % body.len());
            let mut slices = &mut [head, one, two].map(std::io::IoSlice::new)[..];
            while !slices.is_empty() {
                let written = theirs.write_vectored(slices).await.unwrap();
                std::io::IoSlice::advance_slices(&mut slices, written);
            }
        }
        theirs.shutdown().await.unwrap();
    };
    let read = async {
        let mut got = vec![0; BLOCK];
        for at in 0..BLOCKS {
            ours.read_exact(&mut got).await.unwrap();
            assert!(got == block(at), "block {at}");
        }
        assert_eq!(ours.read(&mut got).await.unwrap(), 0, "and no byte more");
    };
    let both = async { tokio::join!(write, read) };
    timeout(PATIENCE, both).await.unwrap();
}

#[tokio::test]
async fn the_exporter_is_the_same_at_both_ends_and_another_on_every_line() {
    let mut seen = Vec::new();
    for _ in 0..4 {
        let (ours, theirs) = connected(Transport::pair().unwrap()).await;
        assert_eq!(ours.exporter().as_bytes(), theirs.exporter().as_bytes());
        assert!(!seen.contains(ours.exporter()), "no two lines share one");
        seen.push(ours.exporter().clone());
    }
    assert!(
        !format!("{:?}", seen[0]).contains(char::is_numeric),
        "never printed"
    );
}

#[tokio::test]
async fn the_exporter_is_the_one_that_rustls_computes_itself() {
    let (line, theirs) = UnixStream::pair().unwrap();
    let config = Arc::new(plain::client(&[ALPN], Wants::RawKey));
    let peer = plain::dial(&config, line);
    let line = Transport::from_socket(theirs).unwrap();
    let key = Key::ed25519(1);
    let stream = answered(server(&key).accept(line, soon()).await.unwrap()).await;
    let peer = peer.join().unwrap().unwrap();
    assert_eq!(EXPORTER_LABEL, redial_auth::EXPORTER_LABEL);
    let exporter = peer.export_keying_material([0; 32], EXPORTER_LABEL, None);
    assert_eq!(stream.exporter().as_bytes(), &exporter.unwrap());
}

#[tokio::test]
async fn what_a_server_says_first_comes_with_its_part_of_the_handshake() {
    let key = Key::ed25519(1);
    let (ours, theirs) = Transport::pair().unwrap();
    let server = server(&key);
    let accepting = server.accept_saying(theirs, b"who are you?", soon());
    let mut accepting = pin!(accepting);
    let client = trusting(&key.public).finishes_with_first_write();
    let dialling = async {
        let mut stream = client.connect(ours, soon()).await.unwrap();
        let mut said = [0; 12];
        stream.read_exact(&mut said).await.unwrap();
        // Whoever only reads has not said yet that he is content.
        stream.flush().await.unwrap();
        (stream, said)
    };
    let (mut stream, said) = tokio::select! {
        biased;
        _ = &mut accepting => panic!("the client has finished before it wrote"),
        dialled = dialling => dialled,
    };
    assert_eq!(&said, b"who are you?");
    stream.write_all(b"me").await.unwrap();
    stream.flush().await.unwrap();
    let mut accepted = accepting.await.unwrap();
    let mut answer = [0; 2];
    accepted.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"me");
    assert_eq!(stream.exporter(), accepted.exporter());
}

#[tokio::test]
async fn another_client_hears_what_a_server_says_first_once_it_is_in() {
    let key = Key::ed25519(1);
    let (ours, theirs) = Transport::pair().unwrap();
    let (server, client) = (server(&key), trusting(&key.public));
    let (accepted, dialled) = tokio::join!(
        server.accept_saying(theirs, b"hello", soon()),
        client.connect(ours, soon())
    );
    let (_accepted, mut said) = (accepted.unwrap(), [0; 5]);
    dialled.unwrap().read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"hello");
}

/// Plays what `plain::dial` expects.
async fn answered(mut stream: TlsStream<Transport>) -> TlsStream<Transport> {
    let mut said = [0; 5];
    stream.read_exact(&mut said).await.unwrap();
    stream.write_all(&said).await.unwrap();
    stream.flush().await.unwrap();
    stream
}

/// Counts the tickets that servers give, and keeps them for the next connection.
#[derive(Debug)]
struct Tickets {
    given: AtomicUsize,
    kept: ClientSessionMemoryCache,
}

impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}
    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }
    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}
    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }
    fn remove_tls12_session(&self, _: &ServerName<'static>) {}
    fn insert_tls13_ticket(&self, name: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        self.given.fetch_add(1, Ordering::SeqCst);
        self.kept.insert_tls13_ticket(name, ticket);
    }
    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.kept.take_tls13_ticket(name)
    }
}

#[tokio::test]
async fn no_ticket_is_given_and_none_is_taken() {
    let key = Key::ed25519(1);
    let tickets = Arc::new(Tickets {
        given: AtomicUsize::new(0),
        kept: ClientSessionMemoryCache::new(8),
    });
    let mut config = plain::client(&[ALPN], Wants::RawKey);
    config.resumption = Resumption::store(tickets.clone());
    let config = Arc::new(config);
    // A server with our key that does give tickets, so that there is one to offer.
    let generous = Arc::new(plain::server(&[ALPN], &key));
    for _ in 0..2 {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let server = plain::answer(&generous, theirs);
        plain::dial(&config, ours).join().unwrap().unwrap();
        server.join().unwrap().unwrap();
    }
    let given = tickets.given.load(Ordering::SeqCst);
    assert!(given > 0, "the peer can take tickets");
    for _ in 0..2 {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let peer = plain::dial(&config, ours);
        let line = Transport::from_socket(theirs).unwrap();
        answered(server(&key).accept(line, soon()).await.unwrap()).await;
        let peer = peer.join().unwrap().unwrap();
        assert_eq!(peer.handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(
            tickets.given.load(Ordering::SeqCst),
            given,
            "no ticket came"
        );
    }
}
