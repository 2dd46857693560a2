//! One frame of every kind, and of every form a message has.

use redial_proto::message::*;
use redial_proto::{Kind, Side};

use super::entries::{Entry, client, server};
use super::requests::{attaches, queries, starts};
use crate::frames::*;

pub(crate) fn entries() -> Vec<Entry> {
    let mut entries = connection();
    entries.extend(authentication());
    entries.extend(starts());
    entries.extend(attaches());
    entries.extend(queries());
    entries.extend(controls());
    entries.extend(streams());
    entries.extend(attachments());
    entries.extend(answers());
    entries.extend(outcomes());
    entries
}

fn connection() -> Vec<Entry> {
    let with_features = ClientHello {
        max_version: 3,
        features: vec!["a-feature".into()],
        ..client_hello()
    };
    vec![
        client(
            "client-hello hello",
            message(Kind::Hello, 0, &client_hello()),
            "versions 1 to 1; limits: payload 262144, 1024 channels, start 2097152, no keepalive, early stdin 65536; agent example/1",
        ),
        client(
            "client-hello-features hello",
            message(Kind::Hello, 0, &with_features),
            "the same with versions 1 to 3 and one feature, which the server need not know",
        ),
        server(
            "server-hello hello",
            message(Kind::Hello, 0, &server_hello(false)),
            "version 1; the same limits; instance of 16 bytes 07; no authentication",
        ),
    ]
}

fn authentication() -> Vec<Entry> {
    let signed = Authenticate {
        signature: Some(vec![9, 9].into()),
        ..authenticate()
    };
    vec![
        client(
            "authenticate authenticate",
            message(Kind::Authenticate, 0, &authenticate()),
            "user ada, one key of the bytes 01 02 03, no signature",
        ),
        client(
            "authenticate-signed authenticate",
            message(Kind::Authenticate, 0, &signed),
            "the same with a signature of the bytes 09 09",
        ),
        server(
            "authenticated deciding",
            message(Kind::Authenticated, 0, &authenticated(0)),
            "yes",
        ),
        server(
            "authenticated-go-on deciding",
            message(Kind::Authenticated, 0, &authenticated(1)),
            "go on with the key of index 0",
        ),
        server(
            "authenticated-no deciding",
            message(Kind::Authenticated, 0, &authenticated(2)),
            "no, and the reason: no",
        ),
        client(
            "ping ready",
            sample(Kind::Ping, Side::Server, 0),
            "to be answered by pong with the same 8 bytes",
        ),
        server(
            "pong ready",
            sample(Kind::Pong, Side::Client, 0),
            "the answer",
        ),
        client(
            "goodbye ready",
            message(Kind::Goodbye, 0, &goodbye()),
            "done, no text",
        ),
        server(
            "goodbye-shutting-down open",
            message(
                Kind::Goodbye,
                0,
                &Goodbye {
                    code: 5,
                    text: "maintenance".into(),
                },
            ),
            "code 5, with a text",
        ),
        client(
            "unknown-optional ready",
            raw(0x7f, 1, 0, 0, 0, b"whatever"),
            "a kind that is not known, marked optional: skipped",
        ),
    ]
}

fn controls() -> Vec<Entry> {
    let control = |what, kind, meaning| {
        let control = Control { number: 1, kind };
        client(what, message(Kind::Control, 1, &control), meaning)
    };
    vec![
        control(
            "control-signal open",
            ControlKind::Signal(2),
            "number 1: signal 2",
        ),
        control(
            "control-resize open",
            ControlKind::Resize(50, 132, 0, 0),
            "50 rows, 132 columns",
        ),
        control(
            "control-stop open",
            ControlKind::Stop(1),
            "nobody reads stdout any more",
        ),
        control(
            "control-cancel open",
            ControlKind::Cancel(5_000),
            "TERM, after 5000 ms KILL",
        ),
        client(
            "close open",
            message(Kind::Close, 1, &Close { outcome_seen: true }),
            "the outcome may be forgotten",
        ),
    ]
}

fn streams() -> Vec<Entry> {
    let missed = Missed {
        stream: 2,
        from: 0,
        to: 70_000,
    };
    vec![
        client(
            "data-stdin open",
            at(Kind::Data, 0, 1, 0, b"hello\n"),
            "6 bytes of stdin from offset 0",
        ),
        server(
            "data-stdout open",
            at(Kind::Data, 1, 1, 0, b"hello\n"),
            "6 bytes of stdout from offset 0",
        ),
        server(
            "data-stderr open",
            at(Kind::Data, 2, 1, 0, b"\x00"),
            "1 byte of stderr from offset 0",
        ),
        client(
            "eof-stdin open",
            at(Kind::Eof, 0, 1, 0, b""),
            "stdin has no bytes",
        ),
        server(
            "eof-stdout open",
            at(Kind::Eof, 1, 1, 0, b""),
            "stdout has no bytes",
        ),
        client(
            "credit-stdout open",
            at(Kind::Credit, 1, 1, 2_000_000, b""),
            "stdout may be sent up to 2000000",
        ),
        server(
            "credit-stdin open",
            at(Kind::Credit, 0, 1, 2_000_000, b""),
            "stdin may be sent up to 2000000",
        ),
        client(
            "acknowledge-stderr open",
            at(Kind::Acknowledge, 2, 1, 0, b""),
            "nothing of stderr is written yet",
        ),
        server(
            "acknowledge-stdin open",
            at(Kind::Acknowledge, 0, 1, 0, b""),
            "nothing of stdin is kept yet",
        ),
        server(
            "stdin-closed open",
            frame(Kind::StdinClosed, 0, 0, 1, b""),
            "the child reads no more",
        ),
        server(
            "missed open",
            message(Kind::Missed, 1, &missed),
            "the first 70000 bytes of stderr are gone; data goes on there",
        ),
    ]
}

fn attachments() -> Vec<Entry> {
    let again = Attached {
        new: false,
        applied: 3,
        stdout_from: 100,
        ..attached()
    };
    let terminal = Attached {
        terminal: Some(true),
        ..attached()
    };
    vec![
        server(
            "attached opening",
            message(Kind::Attached, 1, &attached()),
            "started now, process 4711, exact, holder; stdin from 0 with credit 1000000; outputs from 0",
        ),
        server(
            "attached-again opening",
            message(Kind::Attached, 1, &again),
            "it ran already; controls up to 3 are applied; stdout from 100",
        ),
        server(
            "attached-terminal opening",
            message(Kind::Attached, 1, &terminal),
            "the same, on a terminal",
        ),
    ]
}

fn answers() -> Vec<Entry> {
    let core = Exited {
        exit: Exit::Signaled(11, true),
    };
    vec![
        server(
            "answer asking",
            message(Kind::Answer, 1, &jobs()),
            "one ended job of ada's, kept, and more behind it",
        ),
        server(
            "answer-done asking",
            message(
                Kind::Answer,
                1,
                &Answer {
                    kind: AnswerKind::Done,
                },
            ),
            "done",
        ),
        server(
            "refused opening",
            message(Kind::Refused, 1, &refused()),
            "code 5",
        ),
        server(
            "applied open",
            message(Kind::Applied, 1, &Applied { number: 1 }),
            "control 1 is applied",
        ),
        server(
            "exited open",
            message(
                Kind::Exited,
                1,
                &Exited {
                    exit: Exit::Exited(3),
                },
            ),
            "exit code 3",
        ),
        server(
            "exited-signal open",
            message(Kind::Exited, 1, &core),
            "signal 11, core dumped",
        ),
        server(
            "holder open",
            message(Kind::Holder, 1, &Holder { holder: false }),
            "no longer the holder",
        ),
    ]
}

fn outcomes() -> Vec<Entry> {
    let ended =
        |what, outcome: Outcome, meaning| server(what, message(Kind::Ended, 1, &outcome), meaning);
    vec![
        ended(
            "ended open",
            outcome(),
            "exit code 3, by itself; streams without bytes, complete; 12 ms, 900 µs of CPU",
        ),
        ended(
            "ended-cancelled open",
            Outcome {
                status: Status::Signaled(9, false),
                cause: Cause::Cancelled("ada".into()),
                stdout: incomplete(),
                exact: false,
                ..outcome()
            },
            "signal 9, cancelled by ada, not exact; stdout 70000 bytes, not complete",
        ),
        ended(
            "ended-deadline open",
            Outcome {
                status: Status::Signaled(15, false),
                cause: Cause::Deadline,
                ..outcome()
            },
            "signal 15 after the deadline",
        ),
        ended(
            "ended-line-dropped open",
            Outcome {
                cause: Cause::LineDropped,
                ..outcome()
            },
            "the line dropped",
        ),
        ended(
            "ended-server open",
            Outcome {
                status: Status::Unknown,
                cause: Cause::ServerEnded,
                ..outcome()
            },
            "nobody knows how: the server ended",
        ),
        ended(
            "ended-holders open",
            Outcome {
                holders: vec![(4_712, "sleep".into())],
                lingering: 1,
                ..outcome()
            },
            "process 4712, sleep, still holds a pipe",
        ),
        server(
            "ended-not-started opening",
            message(
                Kind::Ended,
                1,
                &Outcome {
                    status: Status::NotStarted("exec".into(), 2, b"/nonexistent".to_vec().into()),
                    ..outcome()
                },
            ),
            "not started: exec of /nonexistent, errno 2; in place of attached",
        ),
    ]
}

fn incomplete() -> DigestMessage {
    DigestMessage {
        bytes: 70_000,
        checksum: [0xab; 16].into(),
        complete: false,
    }
}
