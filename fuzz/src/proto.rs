//! Harnesses for redial-proto.

pub mod authenticate;
mod program;

use std::time::Duration;

use redial_proto::{Body, Config, Connection, Side, limits};

use program::Program;

/// What a server makes of any bytes from a client. See `check` for the shape of the input.
pub fn proto_server(data: &[u8]) {
    check(Side::Server, data);
}

/// What a client makes of any bytes from a server.
pub fn proto_client(data: &[u8]) {
    check(Side::Client, data);
}

/// Shape of the input: byte 0: bit 0 asks for authentication, bit 1 sets the smallest limits; byte 1
/// chooses what the program above the connection does; byte 2 is the number of cut lengths that
/// follow, used in turn (0 stands for 256); the rest is what the peer says.
///
/// Checks that events, frames and the end are the same at any cut; that events are consistent (the
/// program sees to that); and that what waits is bounded when nothing of it is read.
fn check(side: Side, data: &[u8]) {
    let &[choice, seed, cuts, ref rest @ ..] = data else {
        return;
    };
    let (cuts, heard) = rest.split_at(usize::from(cuts).min(rest.len()));
    let config = config(side, choice);
    let whole = run(side, &config, seed, &[], heard, true);
    let cut = run(side, &config, seed, cuts, heard, true);
    assert_eq!(whole.trace, cut.trace, "events differ by the cut");
    assert_eq!(whole.said, cut.said, "frames differ by the cut");

    let unread = run(side, &config, seed, cuts, heard, false);
    // Each open channel may have its notices and an outcome beside the answers.
    let bound = limits::WAITING_CONTROL_BYTES + 4_096 + 1_024 * unread.channels;
    assert!(
        side == Side::Client || unread.said.len() <= bound,
        "{} bytes wait",
        unread.said.len()
    );
}

fn config(side: Side, choice: u8) -> Config {
    let mut config = match side {
        Side::Client => Config::client(),
        Side::Server => Config::server([7; 16]),
    };
    config.auth = choice & 1 != 0;
    if choice & 2 != 0 {
        // The connection brings them into their range.
        config.limits.max_payload = 0;
        config.limits.channels = 2;
        config.limits.start_bytes = 0;
        config.limits.early_stdin = 16;
        config.limits.keepalive_ms = 100;
    }
    config
}

/// What came of it all.
struct Outcome {
    trace: Vec<String>,
    /// Frames without the bytes of streams.
    said: Vec<u8>,
    channels: usize,
}

fn run(side: Side, config: &Config, seed: u8, cuts: &[u8], heard: &[u8], read: bool) -> Outcome {
    let mut now = Duration::from_secs(1);
    let mut connection = match side {
        Side::Client => Connection::client(config.clone(), now),
        Side::Server => Connection::server(config.clone(), now),
    };
    let mut program = Program::new(side, seed);
    let mut said = Vec::new();
    program.begin(&mut connection);
    if read {
        transmit(&mut connection, &mut said);
    }
    let mut arrived = 0;
    let mut taken = 0;
    let mut cuts = cuts.iter().cycle();
    while arrived < heard.len() {
        let length = match cuts.next() {
            Some(0) => 256,
            Some(&length) => usize::from(length),
            None => heard.len(),
        };
        arrived = (arrived + length).min(heard.len());
        while connection.wants_input() {
            let whole = connection.whole_frames(&heard[taken..arrived]);
            let input = match connection.handle_input(now, &heard[taken..arrived]) {
                Ok(input) => input,
                Err(error) => {
                    program.trace.push(format!("{error:?} {error}"));
                    assert!(!connection.wants_input());
                    break;
                }
            };
            assert!(input.consumed <= arrived - taken);
            assert_eq!(input.consumed == 0, input.needed > 0);
            assert!(input.consumed <= whole && (input.consumed == 0) == (whole == 0));
            taken += input.consumed;
            if let Some(event) = input.event {
                program.on_event(&mut connection, event);
            }
            if read {
                transmit(&mut connection, &mut said);
            }
            if input.consumed == 0 {
                break;
            }
        }
    }
    let channels = connection.channels_open();
    transmit(&mut connection, &mut said);
    if read {
        now += Duration::from_secs(3_600);
        connection.handle_timeout(now);
        program.trace.push(format!("{:?}", connection.poll_event()));
    }
    let end = connection.handle_end(&heard[taken..]);
    program.trace.push(format!("{end:?}"));
    transmit(&mut connection, &mut said);
    assert!(connection.is_finished());
    assert_eq!(connection.poll_timeout(), None);
    Outcome {
        trace: program.trace,
        said,
        channels,
    }
}

fn transmit(connection: &mut Connection, said: &mut Vec<u8>) {
    while let Some(transmit) = connection.poll_transmit() {
        let head = transmit.head.as_ref();
        said.extend_from_slice(head);
        let body = match transmit.body {
            Body::None => 0,
            Body::Owned(bytes) => {
                said.extend_from_slice(&bytes);
                bytes.len()
            }
            Body::Stream { len, .. } => {
                assert!((1..=limits::DATA_MAX_BYTES).contains(&len));
                len as usize
            }
        };
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        assert_eq!(length as usize + 4, head.len() + body, "a wrong length");
    }
}
