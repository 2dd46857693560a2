//! Many channels on one line: a reader that stalls hurts only itself.

use redial_proto::{Body, Stream};

use crate::frames::*;
use crate::pair::{Errand, Pair, Weather};

#[test]
fn of_64_channels_one_stalls_and_the_other_63_finish() {
    for seed in 0..2 {
        let mut errands = vec![
            Errand {
                stdin: 5_000,
                stdout: 30_000,
                stderr: 3_000,
                window: 8_000,
                padding: 0,
                stalled: false,
            };
            64
        ];
        errands[17].stalled = true;
        let weather = Weather {
            pipe: 4_000,
            piece: 3_000,
            cut_every: 0,
        };
        let mut pair = Pair::new(seed, weather, errands);
        let mut steps = 0;
        while !pair.caller.is_done() {
            pair.step(seed);
            steps += 1;
            assert!(steps < 200_000, "seed {seed}: the others are held up");
        }
        let (stalled, others): (Vec<_>, Vec<_>) =
            pair.caller.errands.iter().partition(|errand| !errand.done);
        assert_eq!(others.len(), 63, "seed {seed}");
        assert_eq!(stalled[0].received, [0; 3], "seed {seed}");
    }
}

#[test]
fn channels_with_much_to_say_take_turns_frame_by_frame() {
    let mut server = ready_server();
    let mut wanted = start();
    wanted.stdout_credit = 1 << 40;
    for channel in 1..=5 {
        hear(
            &mut server,
            &message(redial_proto::Kind::Start, channel, &wanted),
        )
        .expect("start");
        server.attached(redial_proto::ChannelId(channel), attached());
    }
    said(&mut server);
    for channel in 1..=5 {
        let channel = redial_proto::ChannelId(channel);
        server
            .data_ready(channel, Stream::Stdout, 10 << 20)
            .expect("attached");
    }
    for round in 0..100 {
        for expected in 1..=5 {
            let transmit = server.poll_transmit().expect("there is more");
            let Body::Stream { channel, len, .. } = transmit.body else {
                panic!("not data: {transmit:?}");
            };
            assert_eq!((channel.0, len), (expected, 65_536), "round {round}");
        }
    }
}

#[test]
fn control_goes_before_data_that_is_ready() {
    let (mut server, channel) = open_server();
    server
        .data_ready(channel, Stream::Stdout, 500_000)
        .expect("attached");
    server.poll_transmit().expect("data");
    server.exited(channel, redial_proto::message::Exit::Exited(0));
    hear(
        &mut server,
        &sample(redial_proto::Kind::Ping, redial_proto::Side::Server, 0),
    )
    .expect("ping");
    use redial_proto::Kind::{Data, Exited, Pong};
    assert_eq!(kinds_said(&mut server)[..3], [Pong, Exited, Data]);
}
