//! Lines through a real nats-server.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod harness;

use std::time::Instant;

use bytes::Bytes;
use futures_util::StreamExt;
use harness::{
    EchoHost, Nats, PATIENCE, certificate, content, door, echo, is_said_back, line, serving,
};
use redial_net::nats::{Broker, BrokerOptions, CallError, Name, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

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
async fn a_broker_with_tls_is_believed_by_its_certificate_and_by_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = certificate(dir.path());
    let nats = Nats::start(&format!("tls {{ cert_file: {cert:?}, key_file: {key:?} }}"));
    let options = BrokerOptions {
        urls: vec![format!("tls://127.0.0.1:{}", nats.port)],
        ca: Some(cert),
        ..BrokerOptions::default()
    };
    let broker = Broker::connect(&options).await.unwrap();
    assert_eq!(broker.find().await.unwrap(), []);
    let (other, _) = certificate(dir.path());
    let options = BrokerOptions {
        ca: Some(other),
        ..options
    };
    let error = Broker::connect(&options).await.unwrap_err().to_string();
    assert!(error.contains("no NATS broker takes us"), "{error}");
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

/// As one that is killed does.
#[tokio::test]
async fn a_client_that_is_gone_without_a_word_is_noticed_and_so_is_a_host() {
    let nats = Nats::start("");
    let url = format!("nats://127.0.0.1:{}", nats.port);
    let (_dir, door, listener) = door();
    let at_host = Broker::connect_patiently(&nats.options()).await.unwrap();
    let serving = serving("web1", b"key", door);
    let next = serving.clone();
    let host = tokio::spawn(async move { serve(at_host, serving).await.unwrap() });
    let broker = nats.client().await;
    let (mut transport, _) = line(&broker, "web1").await;
    let (_first, _) = listener.accept().await.unwrap();
    // One that we make by hand, and of which nothing is left but the host's end.
    let client = async_nats::connect(&url).await.unwrap();
    let number = "a5".repeat(16);
    let down = format!("redial.line.web1.{number}.down");
    let mut heard = client.subscribe(down).await.unwrap();
    let call = [b"\x01", number.as_bytes()].concat();
    let answer = client.request("redial.call.web1", call.into()).await;
    assert_eq!(answer.unwrap().payload[1], 0);
    let (mut socket, _) = listener.accept().await.unwrap();
    socket.write_all(b"hello").await.unwrap();
    let piece = timeout(PATIENCE, heard.next()).await.unwrap().unwrap();
    assert!(piece.payload.ends_with(b"hello"));
    drop(heard);
    client.flush().await.unwrap();
    drop(client);
    let mut buffer = [0; 8];
    let end = timeout(PATIENCE, socket.read(&mut buffer)).await;
    assert!(matches!(end.expect("in time"), Ok(0) | Err(_)));
    // And the other way round, also where another agent takes its place at once.
    host.abort();
    let at_host = Broker::connect_patiently(&nats.options()).await.unwrap();
    let _next = tokio::spawn(async move { serve(at_host, next).await });
    let end = timeout(PATIENCE, transport.read(&mut buffer)).await;
    assert!(matches!(end.expect("in time"), Ok(0) | Err(_)));
}

#[tokio::test]
async fn a_line_whose_server_has_hung_up_does_not_wait_for_a_client_that_says_nothing() {
    let nats = Nats::start("");
    let (_dir, door, listener) = door();
    let at_host = Broker::connect_patiently(&nats.options()).await.unwrap();
    let serving = serving("web1", b"key", door);
    let host = tokio::spawn(async move { serve(at_host, serving).await });
    // It answers calls.
    line(&nats.client().await, "web1").await;
    listener.accept().await.unwrap();
    let url = format!("nats://127.0.0.1:{}", nats.port);
    let client = async_nats::connect(&url).await.unwrap();
    let number = "5a".repeat(16);
    let down = format!("redial.line.web1.{number}.down");
    let mut heard = client.subscribe(down).await.unwrap();
    let call = [b"\x01", number.as_bytes()].concat();
    let called = client.request("redial.call.web1", call.into()).await;
    called.unwrap();
    drop(listener.accept().await.unwrap());
    let mut kinds = Vec::new();
    while kinds.last() != Some(&3) {
        let piece = timeout(PATIENCE, heard.next()).await.unwrap().unwrap();
        kinds.push(piece.payload[0]);
    }
    assert_eq!(kinds[0], 2, "its end comes first: {kinds:?}");
    // Now the line is not known any more.
    let up = format!("redial.line.web1.{number}.up");
    let taken = Bytes::from_static(&[1, 0, 0, 0, 0, 0, 0, 0, 0]);
    client.publish(up, taken).await.unwrap();
    let piece = timeout(PATIENCE, heard.next()).await.unwrap().unwrap();
    assert_eq!(piece.payload[0], 3);
    host.abort();
}

#[tokio::test]
async fn who_does_not_read_is_sent_a_window_and_no_more_and_others_go_on() {
    let nats = Nats::start("");
    let broker = nats.client().await;
    let (_dir, door, listener) = door();
    let at_host = Broker::connect_patiently(&nats.options()).await.unwrap();
    let serving = serving("web1", b"key", door);
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

#[tokio::test]
async fn all_hosts_that_are_there_tell_of_themselves_also_two_of_one_name() {
    let nats = Nats::start("");
    let broker = nats.client().await;
    assert_eq!(broker.find().await.unwrap(), []);
    let _hosts = [
        EchoHost::start(&nats, "web1", b"one").await,
        EchoHost::start(&nats, "web2", b"two").await,
        EchoHost::start(&nats, "web2", b"too").await,
    ];
    let began = Instant::now();
    let found = loop {
        let found = broker.find().await.unwrap();
        // One that starts may not be there yet.
        if found.len() == 3 || began.elapsed() > PATIENCE {
            break found;
        }
    };
    let names: Vec<&str> = found.iter().map(|host| host.name.as_str()).collect();
    assert_eq!(names, ["web1", "web2", "web2"]);
    let mut keys: Vec<_> = found.iter().map(|host| host.key.clone()).collect();
    keys.sort();
    assert_eq!(keys, [&b"one"[..], b"too", b"two"]);
    assert_eq!(
        (&*found[0].version, &*found[0].tags["role"]),
        ("1.2.3", "echo")
    );
}
