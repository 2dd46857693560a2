//! What each scene shows, on this machine's real sockets.

use super::{
    Event, LARGE_BYTES, MESSAGES, ROOM_BYTES, SHORT_ROOM_BYTES, Scene, Tally, large, tally,
};

fn play(scene: Scene) -> (Vec<Event>, Tally) {
    let events = scene.play().expect("the loopback works");
    let tally = tally::Tally::of(&events);
    (events, tally)
}

fn received(events: &[Event]) -> Vec<&[u8]> {
    let data = events.iter().filter_map(|event| match event {
        Event::Received { data, .. } => Some(data.as_slice()),
        _ => None,
    });
    data.collect()
}

fn messages(events: &[Event]) -> Vec<&[u8]> {
    let data = events.iter().filter_map(|event| match event {
        Event::Message { data } => Some(data.as_slice()),
        _ => None,
    });
    data.collect()
}

#[test]
fn five_messages_sent_at_once_over_tcp_arrive_glued() {
    let (events, tally) = play(Scene::Glued);
    assert_eq!(received(&events), [MESSAGES.concat().as_bytes()]);
    assert_eq!((tally.sends, tally.receives, tally.messages), (5, 1, 0));
    assert!(tally.bytes_kept && !tally.boundaries_kept && !tally.messages_kept);
}

#[test]
fn a_large_message_over_tcp_arrives_in_pieces_although_there_is_room_for_all() {
    let (events, tally) = play(Scene::Pieces);
    let roomy = |event: &Event| match event {
        Event::Received { room, data } => *room == LARGE_BYTES && data.len() < LARGE_BYTES,
        _ => true,
    };
    assert!(events.iter().all(roomy));
    assert!(tally.receives > 1 && tally.bytes_kept && !tally.boundaries_kept);
    assert_eq!(received(&events).concat(), large());
}

#[test]
fn the_same_behind_headers_comes_out_as_it_was_sent() {
    let (events, tally) = play(Scene::FramedGlued);
    assert_eq!(messages(&events), MESSAGES.map(str::as_bytes));
    assert!(tally.messages_kept && !tally.boundaries_kept);
    assert_eq!(tally.bytes_sent, MESSAGES.concat().len() + 5 * 4);

    let (events, tally) = play(Scene::FramedPieces);
    assert_eq!(messages(&events), [large()]);
    assert!(tally.messages_kept && tally.receives > 1);
    assert_eq!(tally.bytes_received, LARGE_BYTES + 4);
}

#[test]
fn over_udp_nothing_is_glued() {
    let (events, tally) = play(Scene::Datagrams);
    assert_eq!(received(&events), MESSAGES.map(str::as_bytes));
    assert!(tally.boundaries_kept && tally.bytes_kept);
    let roomy =
        |event: &Event| !matches!(event, Event::Received { room, .. } if *room != ROOM_BYTES);
    assert!(events.iter().all(roomy));
}

#[test]
fn over_udp_what_does_not_fit_is_cut_off_and_gone() {
    let (events, tally) = play(Scene::ShortDatagrams);
    let cut = |message: &'static str| &message.as_bytes()[..message.len().min(SHORT_ROOM_BYTES)];
    assert_eq!(received(&events), MESSAGES.map(cut));
    assert!(!tally.bytes_kept && tally.receives == tally.sends);
}

#[test]
fn one_send_takes_a_part_only_and_then_nothing() {
    let (events, tally) = play(Scene::PartialSend);
    let (asked, taken) = tally.first;
    assert!(
        asked == LARGE_BYTES && 0 < taken && taken < asked,
        "{tally:?}"
    );
    assert!(matches!(events.last(), Some(Event::WouldBlock { asked }) if *asked < LARGE_BYTES));
}

#[test]
fn a_loop_around_send_sends_all() {
    let (events, tally) = play(Scene::SendAll);
    assert!(tally.sends > 1 && tally.would_block > 0);
    assert!(tally.bytes_kept && tally.bytes_sent == LARGE_BYTES);
    // Each call is given what the calls before it left.
    let mut left = LARGE_BYTES;
    for event in &events {
        match event {
            Event::Sent { asked, taken, .. } => {
                assert_eq!(*asked, left);
                left -= taken.len();
            }
            Event::WouldBlock { asked } => assert_eq!(*asked, left),
            _ => {}
        }
    }
}

#[test]
fn a_tally_says_when_the_kernel_kept_boundaries_or_lost_a_datagram() {
    let sent = |text: &str| Event::Sent {
        asked: text.len(),
        taken: text.into(),
        header: 0,
    };
    let received = |text: &str| Event::Received {
        room: 9,
        data: text.into(),
    };
    let kept = Tally::of(&[sent("a"), sent("b"), received("a"), received("b")]);
    assert!(kept.boundaries_kept && kept.bytes_kept);
    let lost = Tally::of(&[sent("a"), sent("b"), received("a")]);
    assert!(!lost.boundaries_kept && !lost.bytes_kept);
    assert_eq!((lost.sends, lost.receives), (2, 1));
}
