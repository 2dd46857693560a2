//! Starts, attaches and queries, in every form.

use redial_proto::Kind;
use redial_proto::message::*;

use super::entries::{Entry, client};
use crate::frames::*;

fn limited() -> Start {
    Start {
        resources: Some(Resources {
            memory: Some(64 << 20),
            cpu_milli: Some(1_500),
            pids: Some(100),
            nice: Some(10),
        }),
        ..start()
    }
}

pub(super) fn starts() -> Vec<Entry> {
    let full = Start {
        argv: None,
        shell: Some(b"ls | wc".to_vec().into()),
        cwd: Some(b"/tmp".to_vec().into()),
        env: Some(vec![(b"A".to_vec().into(), b"b".to_vec().into())]),
        pty: Some(Pty {
            rows: 24,
            columns: 80,
            x_pixels: 0,
            y_pixels: 0,
            term: b"xterm".to_vec().into(),
        }),
        deadline_ms: Some(60_000),
        on_drop: OnDrop::KeepFor(300_000),
        reap: true,
        resent: Some(Resent {
            ago_ms: 1_500,
            instance: [7; 16].into(),
            stdout_from: 100,
            stderr_from: 0,
        }),
        ..start()
    };
    let kept = Start {
        on_drop: OnDrop::Keep,
        detach: true,
        keep: Some(Keep {
            bytes: Some(1_048_576),
            tail: true,
            time_ms: Some(86_400_000),
        }),
        ..start()
    };
    let bytes = cbor(&start());
    vec![
        client(
            "start ready",
            message(Kind::Start, 2, &start()),
            "argv uname, -a; stdin; drain 2000 ms; killed when the line drops; credit 1000000 for stdout and stderr",
        ),
        client(
            "start-full ready",
            message(Kind::Start, 2, &full),
            "shell text, directory, one variable, a terminal of 24 x 80, deadline 60000 ms, kept for 300000 ms, reaped; sent again after 1500 ms, stdout wanted from 100",
        ),
        client(
            "start-kept ready",
            message(Kind::Start, 2, &kept),
            "detached: 1048576 bytes of its output, the last ones, for a day after its end",
        ),
        client(
            "start-limited ready",
            message(Kind::Start, 2, &limited()),
            "as start; 67108864 bytes of memory, 1.5 cores, 100 processes and threads, niceness 10",
        ),
        client(
            "start-first-piece ready",
            frame(Kind::Start, 2, 0, 2, &bytes[..20]),
            "the first 20 bytes of start's payload; MORE is set",
        ),
    ]
}

pub(super) fn queries() -> Vec<Entry> {
    let query =
        |what, kind, meaning| client(what, message(Kind::Query, 2, &Query { kind }), meaning);
    let (job, request) = ([1; 16].into(), [2; 16].into());
    vec![
        client(
            "query-list ready",
            message(Kind::Query, 2, &list()),
            "jobs whose names begin with k3",
        ),
        query(
            "query-list-on ready",
            QueryKind::List(String::new(), vec![1; 16].into()),
            "all jobs behind the one with 16 bytes 01",
        ),
        query(
            "query-signal ready",
            QueryKind::Signal(job, request, 15),
            "signal 15; the request is named 16 bytes 02",
        ),
        query(
            "query-cancel ready",
            QueryKind::Cancel(job, request, 5_000),
            "TERM to the tree, KILL after 5000 ms",
        ),
        query("query-remove ready", QueryKind::Remove(job), "forget it"),
        query(
            "query-upgrade ready",
            QueryKind::Upgrade(request),
            "replace the server's program; the request is named 16 bytes 02",
        ),
    ]
}

pub(super) fn attaches() -> Vec<Entry> {
    vec![
        client(
            "attach ready",
            message(Kind::Attach, 2, &attach()),
            "take; both outputs from 0, credit 1000000",
        ),
        client(
            "attach-last ready",
            message(
                Kind::Attach,
                2,
                &Attach {
                    take: false,
                    outcome_only: Some(false),
                    last: Some(4_096),
                    ..attach()
                },
            ),
            "the last 4096 bytes of both outputs together, and what follows",
        ),
        client(
            "attach-outcome ready",
            message(
                Kind::Attach,
                2,
                &Attach {
                    take: false,
                    outcome_only: Some(true),
                    ..attach()
                },
            ),
            "only the outcome",
        ),
    ]
}
