//! What is written of a run, and how it is read again.

use super::*;

fn ending(kind: Kind, code: u8) -> Ending {
    Ending {
        kind,
        how: format!("exited with {code}"),
        why: String::new(),
        code,
    }
}

fn sent(host: u32, at: u64) -> Line {
    let to = hex(&[7; 16]);
    Line::Sent { host, to, at }
}

fn ended(host: u32, kind: Kind) -> Line {
    Line::Ended {
        host,
        ending: ending(kind, 3),
        outputs: Some([(5, hex(&[1; 16])), (0, hex(&[0; 16]))]),
    }
}

fn text(lines: &[Line]) -> String {
    lines.iter().map(Line::to_text).collect()
}

#[test]
fn what_is_written_is_read_again() {
    let lines = [
        Line::Client { pid: 9, at: 1 },
        sent(0, 5),
        sent(1, 6),
        ended(1, Kind::Failed),
        Line::Shown { host: 1 },
        Line::Over { code: 3, at: 10 },
    ];
    let record = Record::read(&text(&lines)).unwrap();
    assert_eq!(record.sent[&0], Sent { to: [7; 16], at: 5 });
    assert_eq!(record.endings[&1], ending(Kind::Failed, 3));
    assert_eq!(record.ended[0].1.as_ref().unwrap()[0], (5, hex(&[1; 16])));
    assert!(record.shown.contains(&1));
    assert_eq!(record.code, Some(3));
    let kinds = [0, 1, 2].map(|host| record.kind(host));
    assert_eq!(kinds, [Kind::Unknown, Kind::Failed, Kind::NotBegun]);
}

#[test]
fn what_a_client_was_writing_when_it_died_is_passed_over() {
    let whole = text(&[sent(0, 5), ended(0, Kind::Done)]);
    for cut in 0..=whole.len() {
        let record = Record::read(&whole[..cut]).unwrap();
        let lines = whole[..cut].matches('\n').count();
        assert_eq!(record.sent.len() + record.endings.len(), lines, "{cut}");
    }
    assert_eq!(Record::read("{\"shown\":{\"host\":1}}\nx\n"), Err(2));
}

#[test]
fn the_first_sending_counts_unless_it_certainly_did_not_run() {
    let record = Record::read(&text(&[sent(0, 5), sent(0, 9)])).unwrap();
    assert_eq!(record.sent[&0].at, 5);
    let lines = [sent(0, 5), ended(0, Kind::Unreached), sent(0, 9)];
    assert_eq!(Record::read(&text(&lines)).unwrap().sent[&0].at, 9);
    let lines = [sent(0, 5), Line::NotStarted { host: 0 }];
    let record = Record::read(&text(&lines)).unwrap();
    assert_eq!((record.sent.len(), record.kind(0)), (0, Kind::NotBegun));
    let lines = [sent(0, 5), Line::NotStarted { host: 0 }, sent(0, 9)];
    assert_eq!(Record::read(&text(&lines)).unwrap().sent[&0].at, 9);
    let lines = [sent(0, 5), ended(0, Kind::Unknown), sent(0, 9)];
    assert_eq!(Record::read(&text(&lines)).unwrap().sent[&0].at, 5);
}

#[test]
fn words_that_are_no_text_stay_byte_for_byte() {
    for bytes in [&b"plain"[..], b"\xff\n\0", b""] {
        let word = Word::from(bytes.to_vec());
        let text = serde_json::to_string(&word).unwrap();
        let read: Word = serde_json::from_str(&text).unwrap();
        assert_eq!(Vec::<u8>::from(read), bytes);
    }
}

#[test]
fn hex_is_read_as_it_is_written() {
    assert_eq!(unhex(&hex(&[0xa5; 16])), Some([0xa5; 16]));
    assert_eq!(unhex("+0000000000000000000000000000001"), None);
    assert_eq!(unhex("00"), None);
}

#[test]
fn a_later_client_that_does_not_get_there_takes_nothing_back() {
    let client = || Line::Client { pid: 9, at: 1 };
    for kind in [Kind::Unreached, Kind::NotBegun] {
        let lines = [client(), sent(0, 5), client(), ended(0, kind)];
        let record = Record::read(&text(&lines)).unwrap();
        assert_eq!((record.sent[&0].at, record.kind(0)), (5, Kind::Unknown));
        // Nor does one that sent it again.
        let lines = [
            client(),
            sent(0, 5),
            client(),
            sent(0, 9),
            ended(0, kind),
            client(),
            ended(0, kind),
        ];
        let record = Record::read(&text(&lines)).unwrap();
        assert_eq!((record.sent[&0].at, record.kind(0)), (5, Kind::Unknown));
        let again = Line::NotStarted { host: 0 };
        let lines = [client(), sent(0, 5), client(), sent(0, 9), again];
        let record = Record::read(&text(&lines)).unwrap();
        assert_eq!((record.sent[&0].at, record.kind(0)), (5, Kind::Unknown));
        // Who was the first to send it knows.
        let lines = [client(), sent(0, 5), ended(0, kind)];
        let record = Record::read(&text(&lines)).unwrap();
        assert_eq!((record.sent.len(), record.kind(0)), (0, kind));
    }
}
