//! What answers is no redial server, or one that lets anybody in: nothing is said to it.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::soon;
use super::home::Home;
use super::server::{AfterTls, Rules, named};
use super::{ConnectError, Server, refused};
use crate::Client;
use crate::network::LoginError;

#[tokio::test]
async fn a_server_that_would_let_anybody_in_is_left() {
    let home = Home::new();
    let key = home.write_key("id_ed25519", 1);
    for (asks, nonce) in [(false, true), (false, false), (true, false)] {
        let mut rules = Rules::authorized(vec![key.clone()]);
        (rules.asks, rules.nonce) = (asks, nonce);
        let server = Server::with(rules).await;
        home.know(&server);
        let error = server.connect(home.options()).await.map(drop).unwrap_err();
        let wanted = match asks {
            true => LoginError::NoNonce,
            false => LoginError::NoAuthentication,
        };
        assert!(
            matches!(&error, ConnectError::Login { source, .. } if **source == wanted),
            "{error}"
        );
        assert_eq!((server.commands(), server.seen().len()), (0, 0));
    }
}

#[tokio::test]
async fn a_server_that_does_not_hold_its_key_is_left() {
    let home = Home::new();
    let mut rules = Rules::authorized(vec![home.write_key("id_ed25519", 1)]);
    rules.signer = 101;
    let server = Server::with(rules).await;
    home.know(&server);
    let text = refused(&server, home.options()).await;
    assert!(text.contains("at the server's proof of its key"), "{text}");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_server_that_has_nothing_to_say_is_left() {
    let home = Home::new();
    let mut rules = Rules::authorized(vec![home.write_key("id_ed25519", 1)]);
    rules.after_tls = AfterTls::HangsUp;
    let server = Server::with(rules.clone()).await;
    home.know(&server);
    let text = refused(&server, home.options()).await;
    assert!(text.contains("hung up before its hello"), "{text}");
    rules.after_tls = AfterTls::IsSilent;
    let server = Server::with(rules).await;
    home.know(&server);
    let options = home.options().connect_timeout(Duration::from_secs(2));
    let text = refused(&server, options).await;
    assert!(text.contains("no answer within 2 s"), "{text}");
}

/// Somebody at a port, who does with each line what he is told.
async fn somebody<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> crate::Target
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((line, _)) = listener.accept().await {
            tokio::spawn(serve(line));
        }
    });
    named("127.0.0.1", port)
}

#[tokio::test]
async fn what_speaks_no_tls_is_named() {
    let home = Home::new();
    home.write_key("id_ed25519", 1);
    for (text, needle) in [
        ("HTTP/1.1 400 Bad Request\r\n\r\n", "the peer speaks HTTP"),
        ("SSH-2.0-OpenSSH_9.2\r\n", "the peer speaks SSH"),
        ("who are you?\n", "no TLS"),
        ("", "the line dropped at the hello"),
    ] {
        let target = somebody(move |mut line| async move {
            let mut hello = [0; 64];
            let _ = line.read(&mut hello).await;
            let _ = line.write_all(text.as_bytes()).await;
        })
        .await;
        let error = soon(Client::connect(&target, home.options())).await;
        let error = error.map(drop).unwrap_err();
        assert!(matches!(error, ConnectError::Tls { .. }), "{error}");
        let error = error.to_string();
        assert!(error.contains(needle), "{error}");
        assert!(
            error.contains("is there a redial server at that port"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_silent_server_is_left_when_the_time_is_over() {
    let home = Home::new();
    home.write_key("id_ed25519", 1);
    let target = somebody(|mut line| async move {
        let mut sink = Vec::new();
        let _ = line.read_to_end(&mut sink).await;
    })
    .await;
    let options = home.options().connect_timeout(Duration::from_millis(300));
    let error = soon(Client::connect(&target, options)).await;
    let text = error.map(drop).unwrap_err().to_string();
    assert!(text.contains("TLS took longer than"), "{text}");
}

#[tokio::test]
async fn where_nobody_listens_the_error_says_so() {
    let home = Home::new();
    home.write_key("id_ed25519", 1);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = soon(Client::connect(&named("127.0.0.1", port), home.options())).await;
    let text = error.map(drop).unwrap_err().to_string();
    assert!(text.contains("redial serve --listen"), "{text}");
    assert!(
        text.starts_with(&format!("127.0.0.1:{port}: cannot connect")),
        "{text}"
    );
}

/// A server with a raw public key, and of another protocol.
async fn other_protocol(names: &[&[u8]]) -> crate::Target {
    let head = [
        0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
    ];
    let der = PrivateKeyDer::Pkcs8([&head[..], &[100; 32]].concat().into());
    let signer = rustls::crypto::ring::sign::any_supported_type(&der).unwrap();
    let spki = CertificateDer::from(signer.public_key().unwrap().to_vec());
    let key = Arc::new(CertifiedKey::new(vec![spki], signer));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(key)));
    config.alpn_protocols = names.iter().map(|name| name.to_vec()).collect();
    let config = Arc::new(config);
    somebody(move |line| {
        let config = Arc::clone(&config);
        async move {
            let mut line = line.into_std().unwrap();
            line.set_nonblocking(false).unwrap();
            std::thread::spawn(move || {
                let mut tls = rustls::ServerConnection::new(config).unwrap();
                // The client hangs up.
                while tls.complete_io(&mut line).is_ok() {}
            });
        }
    })
    .await
}

#[tokio::test]
async fn tls_of_another_protocol_is_left() {
    let home = Home::new();
    home.write_key("id_ed25519", 1);
    let options = super::home::with(home.network().new_host(crate::NewHost::Accept));
    for names in [&[][..], &[&b"h2"[..]]] {
        let target = other_protocol(names).await;
        let error = soon(Client::connect(&target, options.clone())).await;
        let error = error.map(drop).unwrap_err();
        assert!(matches!(error, ConnectError::Tls { .. }), "{error}");
        assert_eq!(home.recorded(), "", "{error}");
    }
}
