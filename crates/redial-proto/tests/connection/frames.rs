//! Frames written by hand: one of every kind, and a side brought into any state.

use std::time::Duration;

use minicbor::Encode;
use redial_proto::message::*;
use redial_proto::{Body, ChannelId, Config, Connection, Event, Kind, ProtocolError, Side, Time};

pub(crate) const NOW: Time = Duration::from_secs(5);

/// Header and payload.
pub(crate) fn frame(kind: Kind, flags: u8, stream: u8, channel: u32, payload: &[u8]) -> Vec<u8> {
    raw(kind as u8, flags, stream, 0, channel, payload)
}

/// The same, with every byte of the header free but the length.
pub(crate) fn raw(
    kind: u8,
    flags: u8,
    stream: u8,
    zero: u8,
    channel: u32,
    payload: &[u8],
) -> Vec<u8> {
    let mut bytes = (8 + payload.len() as u32).to_be_bytes().to_vec();
    bytes.extend([kind, flags, stream, zero]);
    bytes.extend(channel.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A frame whose payload is this message.
pub(crate) fn message<T: Encode<()>>(kind: Kind, channel: u32, message: &T) -> Vec<u8> {
    frame(kind, 0, 0, channel, &cbor(message))
}

/// A frame whose payload begins with an offset.
pub(crate) fn at(kind: Kind, stream: u8, channel: u32, offset: u64, bytes: &[u8]) -> Vec<u8> {
    let payload = [&offset.to_be_bytes(), bytes].concat();
    frame(kind, 0, stream, channel, &payload)
}

pub(crate) fn cbor<T: Encode<()>>(message: &T) -> Vec<u8> {
    minicbor::to_vec(message).expect("a Vec")
}

pub(crate) fn limits() -> LimitsMessage {
    LimitsMessage {
        max_payload: 262_144,
        channels: 1_024,
        start_bytes: 2_097_152,
        keepalive_ms: 0,
        early_stdin: 65_536,
    }
}

pub(crate) fn client_hello() -> ClientHello {
    ClientHello {
        min_version: 1,
        max_version: 1,
        features: vec![],
        limits: limits(),
        agent: "example/1".into(),
    }
}

pub(crate) fn server_hello(auth: bool) -> ServerHello {
    ServerHello {
        version: 1,
        features: vec![],
        limits: limits(),
        agent: "example/1".into(),
        instance: [7; 16].into(),
        auth,
        nonce: auth.then(|| [9; 32].into()),
    }
}

pub(crate) fn authenticate() -> Authenticate {
    Authenticate {
        user: "ada".into(),
        keys: vec![vec![1, 2, 3].into()],
        signature: None,
    }
}

pub(crate) fn authenticated(result: u8) -> Authenticated {
    Authenticated {
        result,
        acceptable: (result == 1).then(|| vec![0]),
        reason: (result == 2).then(|| "no".into()),
    }
}

pub(crate) fn start() -> Start {
    Start {
        job: [1; 16].into(),
        argv: Some(vec![b"uname".to_vec().into(), b"-a".to_vec().into()]),
        shell: None,
        cwd: None,
        env: None,
        stdin: true,
        pty: None,
        deadline_ms: None,
        drain_ms: 2_000,
        on_drop: OnDrop::Kill,
        reap: false,
        detach: false,
        stdout_credit: 1_000_000,
        stderr_credit: 1_000_000,
        resent: None,
        keep: None,
        resources: None,
    }
}

pub(crate) fn attach() -> Attach {
    Attach {
        job: [1; 16].into(),
        take: true,
        stdout_from: 0,
        stderr_from: 0,
        stdout_credit: 1_000_000,
        stderr_credit: 1_000_000,
        outcome_only: None,
        last: None,
    }
}

pub(crate) fn list() -> Query {
    Query {
        kind: QueryKind::List("k3".into(), vec![].into()),
    }
}

pub(crate) fn jobs() -> Answer {
    let job = JobEntry {
        job: [1; 16].into(),
        state: JobState::Ended,
        user: "ada".into(),
        command: "uname -a".into(),
        started_ms: 1_700_000_000_000,
        pid: 0,
        stdout: 6,
        stderr: 0,
        kept: true,
        held: false,
        readers: 0,
        outcome: Some(outcome()),
        ended_ms: Some(1_700_000_001_000),
        expires_ms: None,
        stalled: None,
    };
    Answer {
        kind: AnswerKind::Jobs(vec![job], true),
    }
}

pub(crate) fn attached() -> Attached {
    Attached {
        new: true,
        pid: 4_711,
        exact: true,
        holder: true,
        stdin_from: 0,
        stdin_credit: 1_000_000,
        applied: 0,
        stdout_from: 0,
        stderr_from: 0,
        terminal: None,
    }
}

pub(crate) fn outcome() -> Outcome {
    let digest = DigestMessage {
        bytes: 0,
        checksum: [0; 16].into(),
        complete: true,
    };
    Outcome {
        status: Status::Exited(3),
        cause: Cause::Itself,
        stdin: digest,
        stdout: digest,
        stderr: digest,
        holders: vec![],
        lingering: 0,
        exact: true,
        duration_ms: 12,
        cpu_us: 900,
    }
}

/// A good frame of this kind as this side would receive it, about `channel` where there is one.
pub(crate) fn sample(kind: Kind, receiver: Side, channel: u32) -> Vec<u8> {
    let from_client = receiver == Side::Server;
    let sent = u8::from(!from_client);
    let received = u8::from(from_client);
    match kind {
        Kind::Hello if from_client => message(kind, 0, &client_hello()),
        Kind::Hello => message(kind, 0, &server_hello(false)),
        Kind::Authenticate => message(kind, 0, &authenticate()),
        Kind::Authenticated => message(kind, 0, &authenticated(0)),
        Kind::Ping | Kind::Pong => frame(kind, 0, 0, 0, b"12345678"),
        Kind::Goodbye => message(kind, 0, &goodbye()),
        Kind::Start => message(kind, channel, &start()),
        Kind::Attach => message(kind, channel, &attach()),
        Kind::Query => message(kind, channel, &list()),
        Kind::Answer => message(kind, channel, &jobs()),
        Kind::Control => message(
            kind,
            channel,
            &Control {
                number: 1,
                kind: ControlKind::Signal(15),
            },
        ),
        Kind::Close => message(kind, channel, &Close { outcome_seen: true }),
        Kind::Data => at(kind, sent, channel, 0, b"hello"),
        Kind::Eof => at(kind, sent, channel, 0, b""),
        Kind::Credit => at(kind, received, channel, 2_000_000, b""),
        Kind::Acknowledge => at(kind, received, channel, 0, b""),
        Kind::StdinClosed => frame(kind, 0, 0, channel, b""),
        Kind::Missed => message(
            kind,
            channel,
            &Missed {
                stream: 1,
                from: 0,
                to: 100,
            },
        ),
        Kind::Attached => message(kind, channel, &attached()),
        Kind::Refused => message(kind, channel, &refused()),
        Kind::Applied => message(kind, channel, &Applied { number: 1 }),
        Kind::Exited => message(
            kind,
            channel,
            &Exited {
                exit: Exit::Signaled(9, false),
            },
        ),
        Kind::Ended => message(kind, channel, &outcome()),
        Kind::Holder => message(kind, channel, &Holder { holder: false }),
    }
}

pub(crate) fn goodbye() -> Goodbye {
    Goodbye {
        code: 0,
        text: String::new(),
    }
}

pub(crate) fn refused() -> Refused {
    Refused {
        code: 5,
        text: "no such job".into(),
    }
}

/// Hands in one whole frame.
pub(crate) fn hear<'a>(
    side: &mut Connection,
    frame: &'a [u8],
) -> Result<Option<Event<'a>>, ProtocolError> {
    let input = side.handle_input(NOW, frame)?;
    assert_eq!((input.consumed, input.needed), (frame.len(), 0));
    Ok(input.event)
}

/// All that waits to be transmitted, as bytes of frames; data must not be among it.
pub(crate) fn said(side: &mut Connection) -> Vec<Vec<u8>> {
    let mut frames = vec![];
    while let Some(transmit) = side.poll_transmit() {
        let mut bytes = transmit.head.as_ref().to_vec();
        match transmit.body {
            Body::None => {}
            Body::Owned(body) => bytes.extend(body),
            Body::Stream { len, .. } => bytes.extend(vec![b'.'; len as usize]),
        }
        let length = u32::from_be_bytes(bytes[..4].try_into().expect("4 bytes"));
        assert_eq!(length as usize + 4, bytes.len());
        frames.push(bytes);
    }
    frames
}

/// The kinds of all that waits to be transmitted.
pub(crate) fn kinds_said(side: &mut Connection) -> Vec<Kind> {
    kinds(&said(side))
}

pub(crate) fn kinds(frames: &[Vec<u8>]) -> Vec<Kind> {
    let kind = |frame: &Vec<u8>| Kind::try_from(frame[4]).expect("a known kind");
    frames.iter().map(kind).collect()
}

/// A server that is ready, with nothing to transmit.
pub(crate) fn ready_server() -> Connection {
    server_with(Config::server([7; 16]))
}

pub(crate) fn server_with(config: Config) -> Connection {
    let mut server = Connection::server(config, NOW);
    hear(&mut server, &message(Kind::Hello, 0, &client_hello())).expect("hello");
    said(&mut server);
    server
}

/// A client that is ready, with nothing to transmit.
pub(crate) fn ready_client() -> Connection {
    let mut client = Connection::client(Config::client(), NOW);
    hear(&mut client, &message(Kind::Hello, 0, &server_hello(false))).expect("hello");
    said(&mut client);
    client
}

/// A server with channel 1 attached.
pub(crate) fn open_server() -> (Connection, ChannelId) {
    let mut server = ready_server();
    hear(&mut server, &message(Kind::Start, 1, &start())).expect("start");
    server.attached(ChannelId(1), attached());
    said(&mut server);
    (server, ChannelId(1))
}

/// A client with channel 1 attached.
pub(crate) fn open_client() -> (Connection, ChannelId) {
    let mut client = ready_client();
    let channel = client.start(&start()).expect("ready");
    hear(&mut client, &message(Kind::Attached, 1, &attached())).expect("attached");
    said(&mut client);
    (client, channel)
}
