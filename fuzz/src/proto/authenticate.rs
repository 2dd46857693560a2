//! What a stranger may say before anyone knows who it is, and what is made of it.

use std::time::Duration;

use redial_auth::authorized_keys::Presence;
use redial_auth::{PrivateKey, PublicKey, Statement};
use redial_proto::message::Authenticate;
use redial_proto::{Config, Connection, Event, Kind};

/// Where the payload of a frame begins.
const PAYLOAD: usize = 12;

const NOW: Duration = Duration::from_secs(1);

/// Any bytes as the payload of `authenticate`.
///
/// Checks that a message that a server takes is one that a client says, in the same bytes unless it
/// has keys that are not known; that a
/// key that is taken is written as it was read; and that no proof is good for two users.
pub fn proto_authenticate(data: &[u8]) {
    let (mut client, mut server) = greeted();
    let frame = frame(data);
    let Some(message) = heard(&mut server, &frame) else {
        return;
    };
    client.authenticate(&message).expect("a server took it");
    let again = said(&mut client);
    if again[PAYLOAD..].first() == data.first() {
        assert_eq!(again, frame, "written otherwise than read");
    } else {
        // There were keys of a later version, which are skipped: the map had more.
        assert!(again[PAYLOAD..].first() < data.first() && again.len() < frame.len());
        let (_, mut server) = greeted();
        assert_eq!(heard(&mut server, &again).as_ref(), Some(&message));
    }

    let host_key = PrivateKey::ed25519(&[1; 32], "").public_key().clone();
    for blob in &message.keys {
        let Ok(key) = PublicKey::from_blob(blob) else {
            continue;
        };
        assert_eq!(key.blob(), &blob[..]);
        let Some(proof) = &message.signature else {
            continue;
        };
        let good = |user: &str| {
            let statement = Statement {
                user,
                key: &key,
                host_key: &host_key,
                nonce: &[4; 32],
                exporter: &[5; 32],
            };
            redial_auth::verify_proof(proof, &statement, Presence::DEFAULT).is_ok()
        };
        let other = format!("{}x", message.user);
        assert!(!(good(&message.user) && good(&other)));
    }
}

/// A client and a server that have said hello and are to authenticate.
fn greeted() -> (Connection, Connection) {
    let mut config = Config::server([7; 16]);
    config.auth = true;
    let mut server = Connection::server(config, NOW);
    let mut config = Config::client();
    config.auth = true;
    let mut client = Connection::client(config, NOW);
    let hello = said(&mut server);
    client.handle_input(NOW, &hello).expect("a server's hello");
    client.greet();
    let hello = said(&mut client);
    server.handle_input(NOW, &hello).expect("a client's hello");
    assert!(server.peer_hello().is_some() && client.peer_hello().is_some());
    (client, server)
}

/// PROTOCOL.md section 2: the length of what follows it, the kind, and a header of zeros.
fn frame(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len() + 8).expect("inputs are short");
    let mut frame = length.to_be_bytes().to_vec();
    frame.extend([Kind::Authenticate as u8, 0, 0, 0, 0, 0, 0, 0]);
    frame.extend(payload);
    frame
}

fn heard(server: &mut Connection, frame: &[u8]) -> Option<Authenticate> {
    let input = server.handle_input(NOW, frame).ok()?;
    match input.event {
        Some(Event::Authenticate(message)) => Some(message),
        event => panic!("neither an error nor the message: {event:?}"),
    }
}

fn said(connection: &mut Connection) -> Vec<u8> {
    let mut said = Vec::new();
    while let Some(transmit) = connection.poll_transmit() {
        said.extend_from_slice(transmit.head.as_ref());
        if let redial_proto::Body::Owned(bytes) = transmit.body {
            said.extend_from_slice(&bytes);
        }
    }
    said
}
