//! English.

use std::cmp::Ordering;

use redial_classic::demo::{Scene, Tally};

use super::Words;
use crate::commands::demo::boxes::grouped;

pub(super) static WORDS: Words = Words {
    opening: "\
Sticky packets: where does a message end? Each box below is one call: above its
bytes stands how many there were. All of it happens right now, on real sockets.",
    send: "send",
    recv: "recv",
    message: "found",
    left: "not taken",
    scene,
    verdict,
};

fn scene(scene: Scene) -> (&'static str, &'static str) {
    match scene {
        Scene::Glued => (
            "TCP: five messages at once",
            "Five calls of send. The receiver is busy meanwhile; then it calls recv(1024).",
        ),
        Scene::Pieces => (
            "TCP: one large message",
            "One send of 200,000 bytes. Each recv has room for all 200,000. (The kernel was\n\
             asked for small buffers here, so that a few boxes show it.)",
        ),
        Scene::FramedGlued => (
            "TCP with headers: the five again",
            "Before each message go four bytes with its length: struct's '>I', shown in hex.",
        ),
        Scene::FramedPieces => (
            "TCP with headers: the large one again",
            "The header says 200,000 (30d40 in hex), so the receiver knows when it has all.",
        ),
        Scene::Datagrams => (
            "UDP: the five again",
            "No headers. Each send makes a datagram, and each recv takes one.",
        ),
        Scene::ShortDatagrams => (
            "UDP with too little room: recv(4)",
            "The same datagrams, but the receiver offers only four bytes to each.",
        ),
        Scene::PartialSend => (
            "TCP: send takes what fits",
            "200,000 bytes, nonblocking, to a peer that does not read, until none are taken.",
        ),
        Scene::SendAll => (
            "TCP: sendall, which is send in a loop",
            "The same bytes: send what is left, again and again, while the peer reads.",
        ),
    }
}

fn verdict(scene: Scene, tally: &Tally) -> String {
    let (sends, receives) = (count(tally.sends, "send"), count(tally.receives, "recv"));
    match scene {
        Scene::Glued if tally.boundaries_kept => "\
Each came alone this time, by luck. TCP keeps the order of bytes; it promises
nothing about messages."
            .to_owned(),
        Scene::Glued => format!(
            "\
{sends} came out of {receives}: glued. No byte is missing, but nothing says
any more where one message ends and the next begins."
        ),
        Scene::Pieces if tally.receives == 1 => "\
It came in one piece this time, by luck: recv waits for the first byte, not for
the last."
            .to_owned(),
        Scene::Pieces => format!(
            "\
It took {receives}: each gives what has arrived so far and does not wait for more.
A program that calls recv once has cut its message."
        ),
        Scene::FramedGlued | Scene::FramedPieces if tally.messages_kept => format!(
            "\
{} ({receives}), but the headers gave back {}, exactly
as sent. That is the cure.",
            match tally.receives.cmp(&tally.sends) {
                Ordering::Less => "Still glued",
                Ordering::Equal => "Whole this time, by luck",
                Ordering::Greater => "Still in pieces",
            },
            count(tally.messages, "message")
        ),
        Scene::FramedGlued | Scene::FramedPieces => {
            "Something went wrong: the messages are not those that were sent.".to_owned()
        }
        Scene::Datagrams if tally.receives < tally.sends => format!(
            "\
{sends}, {receives}: nothing is glued, but a datagram was lost. UDP keeps
boundaries; it does not promise delivery."
        ),
        Scene::Datagrams => format!("{sends}, {receives}, nothing glued: a datagram is a message."),
        Scene::ShortDatagrams if tally.receives < tally.sends => "\
What did not fit is gone for good: the next recv gives the next datagram. One
was lost on the way this time, too."
            .to_owned(),
        Scene::ShortDatagrams => "\
What did not fit is gone for good: the next recv gives the next datagram, not
the rest of this one. The third was even cut inside a Chinese character."
            .to_owned(),
        Scene::PartialSend => partial(tally),
        Scene::SendAll => format!(
            "\
{sends} and {} that would have had to wait; all {} bytes are there.
This is what Python's sendall and Rust's write_all do for you.",
            tally.would_block,
            grouped(tally.bytes_received)
        ),
    }
}

fn partial(tally: &Tally) -> String {
    let (asked, taken) = tally.first;
    if taken == asked {
        return "\
The kernel took all of it this time, by luck: its buffer was large enough. send
returns how much it took, and a program has to look."
            .to_owned();
    }
    format!(
        "\
The first send took {} of {} bytes and said so by what it returned.
Who does not look at that loses the rest: it was never sent.",
        grouped(taken),
        grouped(asked)
    )
}

fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("one {noun}"),
        _ => format!("{number} {noun}s"),
    }
}
