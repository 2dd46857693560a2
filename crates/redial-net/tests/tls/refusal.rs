//! Who is not meant gets nothing, and is told as much as is good.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use redial_net::Transport;
use redial_net::tls::{ALPN, HostKey, SignError, Step, Stranger, TlsError, TlsServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::plain::{self, Wants};
use crate::support::{AnotherKey, Impostor, Key, server, soon, trusting};

async fn both(server: &TlsServer, trusted: &HostKey) -> (TlsError, TlsError) {
    let (ours, theirs) = Transport::pair().unwrap();
    let client = trusting(trusted);
    let (client, server) =
        tokio::join!(client.connect(ours, soon()), server.accept(theirs, soon()));
    (client.unwrap_err(), server.unwrap_err())
}

#[tokio::test]
async fn another_key_is_refused_with_the_callers_own_reason() {
    let (meant, shown) = (Key::ed25519(1), Key::ed25519(2));
    let (client, server) = both(&server(&shown), &meant.public).await;
    let TlsError::Refused { key, reason } = client else {
        panic!("{client:?}");
    };
    assert_eq!(*key, shown.public, "the caller can name the key");
    assert_eq!(reason.downcast_ref(), Some(&AnotherKey));
    assert!(matches!(server, TlsError::Alert { .. }), "{server:?}");
}

#[tokio::test]
async fn a_key_that_the_server_cannot_prove_is_not_even_asked_about() {
    let (meant, thief) = (Key::ed25519(1), Key::ed25519(2));
    let signer = Arc::new(Impostor(Ok(thief)));
    let server = TlsServer::new(meant.public.clone(), signer).unwrap();
    let (client, server) = both(&server, &meant.public).await;
    assert!(
        matches!(
            client,
            TlsError::Tls {
                step: Step::Proof,
                ..
            }
        ),
        "{client:?}"
    );
    assert!(matches!(server, TlsError::Alert { .. }), "{server:?}");
}

#[tokio::test]
async fn a_signer_that_refuses_ends_the_handshake() {
    let key = Key::ed25519(1);
    let signer = Arc::new(Impostor(Err(SignError::Busy)));
    let server = TlsServer::new(key.public.clone(), signer).unwrap();
    let (client, server) = both(&server, &key.public).await;
    assert!(
        matches!(server, TlsError::Signer(SignError::Busy)),
        "{server:?}"
    );
    assert!(
        client.to_string().starts_with("the line dropped")
            || matches!(client, TlsError::Alert { .. }),
        "{client}"
    );
}

#[tokio::test]
async fn a_client_without_our_alpn_is_refused_before_anything_is_signed() {
    for names in [&[][..], &[&b"h2"[..]], &[b"redial/2", b"http/1.1"]] {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let peer = plain::dial(&Arc::new(plain::client(names, Wants::RawKey)), ours);
        let unsigned = Arc::new(Impostor(Err(SignError::Refused("asked".to_owned()))));
        let server = TlsServer::new(Key::ed25519(1).public.clone(), unsigned).unwrap();
        let line = Transport::from_socket(theirs).unwrap();
        let error = server.accept(line, soon()).await.unwrap_err();
        assert!(matches!(error, TlsError::Protocol), "{names:?}: {error:?}");
        assert!(peer.join().unwrap().is_err());
    }
}

#[tokio::test]
async fn a_server_without_our_alpn_is_refused() {
    let key = Key::ed25519(1);
    for names in [&[][..], &[&b"h2"[..]]] {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let peer = plain::answer(&Arc::new(plain::server(names, &key)), theirs);
        let line = Transport::from_socket(ours).unwrap();
        let error = trusting(&key.public)
            .connect(line, soon())
            .await
            .unwrap_err();
        let told =
            matches!(&error, TlsError::Alert { alert, .. } if alert == "NoApplicationProtocol");
        assert!(
            told || matches!(error, TlsError::Protocol),
            "{names:?}: {error:?}"
        );
        assert!(peer.join().unwrap().is_err());
    }
}

#[tokio::test]
async fn a_client_that_wants_a_certificate_is_refused() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let peer = plain::dial(&Arc::new(plain::client(&[ALPN], Wants::Certificate)), ours);
    let line = Transport::from_socket(theirs).unwrap();
    let error = server(&Key::ed25519(1))
        .accept(line, soon())
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            TlsError::Tls {
                step: Step::Hello,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(peer.join().unwrap().is_err());
}

#[tokio::test]
async fn what_is_no_tls_is_dropped_at_once_and_without_an_answer() {
    let cases: [(&[u8], Stranger); 6] = [
        (b"GET / HTTP/1.1\r\n\r\n", Stranger::Http),
        (b"POST", Stranger::Http),
        (b"PRI * HTTP/2.0\r\n", Stranger::Http),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Stranger::Ssh),
        (b"\0\0\0\x05\x01\0", Stranger::Unknown),
        (b"\x16\x03\x01\xff\xff", Stranger::Unknown),
    ];
    for (said, stranger) in cases {
        let (mut ours, theirs) = tokio::io::duplex(64);
        ours.write_all(said).await.unwrap();
        let error = server(&Key::ed25519(1))
            .accept(theirs, soon())
            .await
            .unwrap_err();
        assert!(
            matches!(error, TlsError::Stranger(kind) if kind == stranger),
            "{error:?}"
        );
        let mut answer = Vec::new();
        ours.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"", "{stranger:?}");
    }
}

#[tokio::test]
async fn a_client_that_meets_sshd_says_so() {
    let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
    theirs.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await.unwrap();
    let key = Key::ed25519(1);
    let error = trusting(&key.public)
        .connect(ours, soon())
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "the peer speaks SSH, not redial's TLS");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_stops_anywhere_is_left_at_the_deadline() {
    for bytes in [0, 1, 5, 500] {
        let (mut ours, theirs) = tokio::io::duplex(64);
        let slow = async {
            let hello = [&[22, 3, 1, 2, 0, 1][..], &[0; 506]].concat();
            ours.write_all(&hello[..bytes]).await.unwrap();
            std::future::pending::<()>().await;
        };
        let server = server(&Key::ed25519(1));
        let began = Instant::now();
        let deadline = began + Duration::from_secs(10);
        let error = tokio::select! {
            result = server.accept(theirs, deadline) => result.unwrap_err(),
            () = slow => unreachable!("it waits for ever"),
        };
        assert!(
            matches!(error, TlsError::Deadline { .. }),
            "{bytes}: {error:?}"
        );
        assert_eq!(began.elapsed().as_secs(), 10, "{error}");
    }
}

#[tokio::test]
async fn a_hello_without_end_gets_no_more_memory_than_a_record() {
    // A handshake message that says it has 16 MiB, in records of 16 KiB.
    let (mut ours, theirs) = tokio::io::duplex(1 << 20);
    let first = [
        &[22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff][..],
        &[0; (1 << 14) - 4],
    ]
    .concat();
    let more = [&[22, 3, 1, 0x40, 0][..], &[0; 1 << 14]].concat();
    ours.write_all(&first).await.unwrap();
    for _ in 0..32 {
        ours.write_all(&more).await.unwrap();
    }
    let error = server(&Key::ed25519(1))
        .accept(theirs, soon())
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            TlsError::Tls { .. }
                | TlsError::Line {
                    source: Some(_),
                    ..
                }
        ),
        "{error:?}"
    );
}
