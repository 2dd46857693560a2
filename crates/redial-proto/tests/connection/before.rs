//! Before a client has authenticated, nothing it sends is a request.

use redial_proto::{Config, Connection, Event, Kind, Side};

use crate::frames::{NOW, authenticated, hear, sample};

/// Frames in a row.
const LENGTH: usize = 4;

/// A server that asks for authentication, and lets nobody in.
fn refusing() -> Connection {
    let config = Config {
        auth: true,
        nonce: Some([3; 32]),
        ..Config::server([7; 16])
    };
    Connection::server(config, NOW)
}

/// Plays a sequence; what came out of it that concerns a job. Each login is answered with
/// `answer`, as a server does that takes none of the keys, or asks for a proof.
fn requests(frames: &[Vec<u8>], sequence: &[usize], answer: u8) -> usize {
    let mut server = refusing();
    let mut requests = 0;
    for &index in sequence {
        match hear(&mut server, &frames[index]) {
            Ok(Some(Event::Authenticate(_))) => server.authenticated(authenticated(answer)),
            Ok(Some(Event::ClientHello(_)) | None) | Err(_) => {}
            // Whatever else it is, it would be about a job.
            Ok(Some(_)) => requests += 1,
        }
    }
    requests
}

#[test]
fn no_sequence_of_up_to_four_frames_is_a_request() {
    let frames: Vec<Vec<u8>> = Kind::ALL
        .iter()
        .map(|&kind| sample(kind, Side::Server, 1))
        .collect();
    let mut played = 0;
    for length in 1..=LENGTH {
        for number in 0..frames.len().pow(length as u32) {
            let digits = (0..length as u32).map(|place| number / frames.len().pow(place));
            let sequence: Vec<usize> = digits.map(|digit| digit % frames.len()).collect();
            for answer in [1, 2] {
                assert_eq!(requests(&frames, &sequence, answer), 0, "{sequence:?}");
                played += 1;
            }
        }
    }
    println!("{played} sequences");
    assert!(played > 400_000);
}

#[test]
fn behind_a_login_that_is_refused_a_start_is_no_request_however_often_it_comes() {
    let of = |kind| sample(kind, Side::Server, 1);
    let frames = [Kind::Hello, Kind::Authenticate, Kind::Start, Kind::Attach].map(of);
    for answer in [1, 2] {
        for tries in 0..=4 {
            let mut sequence = vec![0];
            sequence.extend(std::iter::repeat_n(1, tries));
            sequence.extend([2, 3, 2]);
            assert_eq!(requests(&frames, &sequence, answer), 0, "{sequence:?}");
        }
    }
}
