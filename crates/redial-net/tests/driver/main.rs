//! The driver moves every byte, however the transport cuts, and says how it ended.

mod choppy;
mod hasty;
mod leaving;
mod sides;

use std::time::Duration;

use choppy::Choppy;
use hasty::{Deciding, Hasty};
use leaving::Leaving;
use redial_net::proto::message::GoodbyeCode;
use redial_net::proto::{Config, Connection, Time};
use redial_net::{DriveError, Transport, drive};
use sides::{Asking, Serving, pattern};
use tokio::io::AsyncWriteExt;

/// No test here takes a second; a hang is a failure, not a hung build.
const PATIENCE: Duration = Duration::from_secs(60);

fn client() -> Connection {
    Connection::client(Config::client(), Time::ZERO)
}

fn server() -> Connection {
    Connection::server(Config::server([7; 16]), Time::ZERO)
}

#[tokio::test]
async fn both_outputs_and_stdin_arrive_exactly_over_a_socket() {
    let (a, b) = Transport::pair().unwrap();
    let mut asking = Asking::new(3_000_000, 700_001);
    let mut serving = Serving::new(3_000_000, 700_001);
    let both = async {
        tokio::join!(
            drive(a, client(), &mut asking),
            drive(b, server(), &mut serving)
        )
    };
    let (asked, served) = tokio::time::timeout(PATIENCE, both).await.unwrap();
    asked.unwrap();
    served.unwrap();
    assert!(asking.output == pattern(3_000_000), "stdout is exact");
    assert!(serving.input == pattern(700_001), "stdin is exact");
}

#[tokio::test]
async fn the_same_bytes_arrive_when_reads_and_writes_are_cut_anywhere() {
    for seed in 1..=12_u64 {
        let (a, b) = tokio::io::duplex(9_001);
        let mut asking = Asking::new(200_000, 150_000);
        let mut serving = Serving::new(200_000, 150_000);
        let both = async {
            tokio::join!(
                drive(Choppy::new(a, seed), client(), &mut asking),
                drive(Choppy::new(b, !seed), server(), &mut serving)
            )
        };
        let (asked, served) = tokio::time::timeout(PATIENCE, both).await.unwrap();
        assert!(
            asked.is_ok() && served.is_ok(),
            "seed {seed}: {asked:?} {served:?}"
        );
        assert!(asking.output == pattern(200_000), "seed {seed}: stdout");
        assert!(serving.input == pattern(150_000), "seed {seed}: stdin");
    }
}

#[tokio::test]
async fn the_end_of_a_stream_that_is_left_does_not_come_without_its_bytes() {
    let (a, b) = tokio::io::duplex(100);
    let (mut leaving, mut serving) = (Leaving::default(), Serving::new(0, usize::MAX));
    let both = async {
        tokio::join!(
            drive(a, client(), &mut leaving),
            drive(b, server(), &mut serving)
        )
    };
    let (left, served) = tokio::time::timeout(PATIENCE, both).await.unwrap();
    assert!(left.is_ok() && served.is_ok(), "{left:?} {served:?}");
}

/// A client in haste and a server that takes its time, over a line that is cut anywhere: how each ended.
async fn in_haste(
    seed: u64,
    asking: &mut Hasty,
    serving: &mut Deciding,
) -> (Result<(), DriveError>, Result<(), DriveError>) {
    let (a, b) = tokio::io::duplex(9_001);
    let (client, server) = hasty::connections();
    let both = async {
        tokio::join!(
            drive(Choppy::new(a, seed), client, asking),
            drive(Choppy::new(b, !seed), server, serving)
        )
    };
    tokio::time::timeout(PATIENCE, both).await.expect("it ends")
}

#[tokio::test]
async fn what_comes_with_a_login_is_handled_when_that_is_decided_though_nothing_more_comes() {
    for seed in 1..=12_u64 {
        let mut asking = Hasty(Asking::new(20_000, 15_000));
        let mut serving = Deciding::answering(0, Serving::new(20_000, 15_000));
        let (asked, served) = in_haste(seed, &mut asking, &mut serving).await;
        assert!(
            asked.is_ok() && served.is_ok(),
            "seed {seed}: {asked:?} {served:?}"
        );
        assert!(asking.0.output == pattern(20_000), "seed {seed}: stdout");
        assert!(serving.serving.input == pattern(15_000), "seed {seed}");
    }
}

#[tokio::test]
async fn what_comes_with_a_login_that_is_refused_is_never_looked_at() {
    for seed in 1..=12_u64 {
        let mut asking = Hasty(Asking::new(0, 0));
        let mut serving = Deciding::answering(2, Serving::new(0, 0));
        let (asked, served) = in_haste(seed, &mut asking, &mut serving).await;
        assert!(served.is_ok(), "seed {seed}: {served:?}");
        let Err(DriveError::Goodbye(goodbye)) = asked else {
            panic!("seed {seed}: {asked:?}");
        };
        assert_eq!(goodbye.code, GoodbyeCode::Unauthenticated as u16);
    }
}

#[tokio::test]
async fn a_line_that_ends_without_goodbye_is_a_dropped_line() {
    let (a, b) = Transport::pair().unwrap();
    drop(b);
    let ended = drive(a, client(), &mut Asking::new(1, 1)).await;
    assert!(
        matches!(ended, Err(DriveError::Dropped { .. })),
        "{ended:?}"
    );
}

#[tokio::test]
async fn a_line_cut_inside_a_frame_is_a_dropped_line() {
    let (a, mut b) = tokio::io::duplex(1024);
    b.write_all(&[0, 0, 0, 200, 1, 0]).await.unwrap();
    drop(b);
    let ended = drive(a, server(), &mut Serving::new(1, 1)).await;
    assert!(
        matches!(ended, Err(DriveError::Dropped { .. })),
        "{ended:?}"
    );
}

#[tokio::test]
async fn garbage_is_answered_by_a_goodbye_that_says_so_and_the_end() {
    let (a, b) = tokio::io::duplex(64 * 1024);
    let (mut reader, mut writer) = tokio::io::split(b);
    writer.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let ended = drive(a, server(), &mut Serving::new(1, 1)).await;
    assert!(matches!(ended, Err(DriveError::Protocol(_))), "{ended:?}");
    let mut said = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut said)
        .await
        .unwrap();
    assert_eq!(
        said.get(4),
        Some(&0x06),
        "the last frame is a goodbye: {said:02x?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_is_sent_away_when_the_handshake_time_is_over() {
    let (a, _silent) = tokio::io::duplex(1024);
    let mut config = Config::server([7; 16]);
    config.handshake_timeout = Duration::from_secs(10);
    let before = std::time::Instant::now();
    let connection = Connection::server(config, Time::ZERO);
    let ended = drive(a, connection, &mut Serving::new(1, 1)).await;
    assert!(matches!(ended, Err(DriveError::Protocol(_))), "{ended:?}");
    assert!(
        before.elapsed() < Duration::from_secs(5),
        "the clock is the runtime's"
    );
}

#[tokio::test]
async fn a_goodbye_with_a_reason_reaches_the_caller() {
    let (a, b) = Transport::pair().unwrap();
    let mut asking = Asking::new(10, 0);
    let mut serving = Serving::leaving(GoodbyeCode::ShuttingDown);
    let both = async {
        tokio::join!(
            drive(a, client(), &mut asking),
            drive(b, server(), &mut serving)
        )
    };
    let (asked, _) = tokio::time::timeout(PATIENCE, both).await.unwrap();
    match asked {
        Err(DriveError::Goodbye(goodbye)) => {
            assert_eq!(goodbye.code, GoodbyeCode::ShuttingDown as u16);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_is_left_all_the_same_when_it_breaks_the_protocol() {
    // The server has megabytes to say into a pipe of 1 KiB that nobody reads.
    let (a, mut b) = tokio::io::duplex(1024);
    let mut client = client();
    client.start(&sides::start()).unwrap();
    while let Some(frame) = client.poll_transmit() {
        b.write_all(frame.head.as_ref()).await.unwrap();
        if let redial_net::proto::Body::Owned(body) = frame.body {
            b.write_all(&body).await.unwrap();
        }
    }
    let mut serving = Serving::new(3_000_000, 0);
    let writer = async {
        b.write_all(&[0xff; 12]).await.unwrap();
        std::future::pending::<()>().await;
    };
    let ended = tokio::select! {
        ended = drive(a, server(), &mut serving) => ended,
        () = writer => unreachable!("it waits for ever"),
    };
    assert!(matches!(ended, Err(DriveError::Protocol(_))), "{ended:?}");
}
