//! States are read as they were written, by this version and those before it.
//!
//! With `REDIAL_BLESS=1` the example of this version is written anew; those of versions that were
//! released never are.

use std::path::PathBuf;

use super::*;
use crate::outcome::{Cause, Digest, Exit};
use crate::spool::SpoolState;
use crate::wire::{DropPolicy, Piece};

fn digest() -> Digest {
    Digest {
        bytes: 5,
        checksum: [6; 16].into(),
        complete: true,
    }
}

fn outcome() -> Outcome {
    Outcome {
        status: Status::Ended(Exit::Signal(11, true)),
        cause: Cause::Cancelled("uid 0".to_owned()),
        stdin: digest(),
        stdout: digest(),
        stderr: digest(),
        holders: vec![(7, "sh".to_owned())],
        lingering: 1,
        exact: true,
        duration_ms: 8,
        cpu_us: 9,
    }
}

fn output(pipe: Fd, slot: u32) -> OutputState {
    OutputState {
        pipe: Some(pipe),
        writer: Some(pipe + 1),
        log: OutputLogState {
            slots: vec![slot, slot + 1],
            first: 2,
            oldest: 131_100,
            end: 200_000,
            chain: ChainState::GoesOn([3; 16].into(), vec![1, 2, 3].into(), 200_000),
        },
        owed: Some(4),
        complete: false,
    }
}

fn terms() -> TermsState {
    TermsState {
        id: [1; 16].into(),
        uid: 1_000,
        key: Some("SHA256:x".to_owned()),
        user: "ada".to_owned(),
        grant: Some(GrantState {
            line: b"restrict ssh-ed25519 AAAA".to_vec().into(),
            source: "192.0.2.1".to_owned(),
            user: None,
        }),
        hash: [2; 16].into(),
        deadline_ms: Some(60_000),
        drain_ms: 2_000,
        on_drop: DropPolicy::KeepFor(300_000),
        reap: true,
        command: "make all".to_owned(),
        started_ms: 1_700_000_000_000,
        detached: true,
        keep_bytes: 1 << 30,
        keep_tail: false,
        keep_ms: 604_800_000,
        is_on_terminal: Some(true),
    }
}

fn ending() -> EndingState {
    EndingState {
        tree: TreeState {
            uid: 1_000,
            mark: b"x".to_vec().into(),
            pipes: vec![1, 2, 3],
            cgroup: Some(b"/sys/fs/cgroup/redial-0/job-0".to_vec().into()),
            is_reaped: false,
            has_left: false,
        },
        is_reaped: false,
        pipes: vec![2, 3],
        deadline_at: Some(99),
        exit: Some(ExitState {
            exit: Some(Exit::Code(3)),
            at: 98,
        }),
        cpu_us: 7,
        drain_until: Some(100),
        holders: Vec::new(),
        drained: false,
        sweep: Some(SweepState {
            kill_at: 101,
            begins_with_term: true,
            kills: 1,
            look_at: Some(102),
        }),
        cause: Some(Cause::Deadline),
        exact: true,
        left: Some(2),
        signals: vec![15],
    }
}

fn job() -> JobState {
    JobState {
        serial: 3,
        terms: terms(),
        pid: 4_711,
        started_at: 50,
        input: Some(InputState {
            pipe: Some(20),
            log: InputLogState {
                slots: vec![0, 1],
                first: 0,
                arrived: 70_000,
                taken: 65_000,
                end: Some(80_000),
                chain: ChainState::GoesOn([0; 16].into(), vec![9; 10].into(), 65_000),
            },
            closed_early: false,
            terminal: Some(TypedState {
                last: Some(b'x'),
                ends: Some(1),
            }),
        }),
        stdout: output(21, 0),
        stderr: OutputState {
            log: OutputLogState {
                slots: Vec::new(),
                chain: ChainState::Over(digest()),
                ..output(23, 4).log
            },
            ..output(23, 4)
        },
        pieces: vec![Piece {
            stream: 1,
            len: 68_900,
        }],
        applied: 2,
        ending: ending(),
        outcome: Some(outcome()),
        ended_ms: Some(1_700_000_000_500),
        drop_at: Some(1_000),
        is_abandoned: false,
        spool: Some(JobSpoolState {
            file: 25,
            reader: 26,
            state: SpoolState {
                len: 100,
                first: 0,
                stdout: 60,
                stderr: 0,
                oldest_stdout: 0,
                oldest_stderr: 0,
            },
        }),
        requests: vec![[5; 16].into()],
        recording: Some(RecordingState {
            began: 1_000,
            held: vec![0xc3].into(),
        }),
    }
}

/// Every field has something in it.
fn example() -> State {
    let record = |outcome: Option<Outcome>, status| RecordState {
        id: [8; 16].into(),
        uid: 1_000,
        key: None,
        hash: [9; 16].into(),
        ended_at: 40,
        outcome,
        status,
    };
    let unread = record(Some(outcome()), None);
    let read = record(
        None,
        Some(Status::NotStarted("cwd".into(), 2, Vec::new().into())),
    );
    State {
        instance: [7; 16].into(),
        next_serial: 4,
        last_capability: 12,
        output: PoolState {
            fd: 10,
            chunks: 1_024,
        },
        stdin: PoolState {
            fd: 11,
            chunks: 512,
        },
        sockets: vec![SocketState {
            path: b"/run/redial/redial.sock".to_vec().into(),
            socket: 12,
            lock: 13,
            is_passed: None,
        }],
        callers: vec![CallerState {
            address: "127.0.0.1:0".to_owned(),
            socket: 14,
        }],
        cgroup: Some(CgroupState {
            path: b"/sys/fs/cgroup/redial-0".to_vec().into(),
            lock: 15,
            made: 1,
        }),
        jobs: vec![job()],
        records: vec![unread, read],
        forgotten_at: Some(30),
        upgrades: vec![[6; 16].into()],
        oom_score: Some(-100),
    }
}

fn fixture(version: u32) -> PathBuf {
    let name = format!("fixtures/state-{version}.cbor");
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn the_state_of_every_version_is_read() {
    if std::env::var_os("REDIAL_BLESS").is_some() {
        std::fs::write(fixture(VERSION), example().to_bytes()).unwrap();
    }
    for version in 1..=VERSION {
        let bytes = std::fs::read(fixture(version)).unwrap();
        assert_eq!(
            State::from_bytes(&bytes),
            Ok(example()),
            "version {version}"
        );
    }
}

#[test]
fn what_is_written_does_not_change_without_another_version() {
    let bytes = std::fs::read(fixture(VERSION)).unwrap();
    assert!(example().to_bytes() == bytes, "see the top of this file");
}

#[test]
fn a_torn_a_foreign_and_a_later_state_are_refused() {
    let bytes = example().to_bytes();
    for len in 0..bytes.len() {
        assert!(State::from_bytes(&bytes[..len]).is_err(), "{len}");
    }
    assert!(State::from_bytes(&[&bytes[..], b"x"].concat()).is_err());
    let mut later = bytes.clone();
    later[MAGIC.len() + 3] += 1;
    assert_eq!(
        State::from_bytes(&later),
        Err(StateError::Version(VERSION + 1))
    );
    assert_eq!(State::from_bytes(b"hello"), Err(StateError::Foreign));
}

#[test]
fn nothing_is_two_jobs_at_once() {
    let wrong = |change: fn(&mut State)| {
        let mut state = example();
        change(&mut state);
        matches!(
            State::from_bytes(&state.to_bytes()),
            Err(StateError::Wrong(_))
        )
    };
    assert!(!wrong(|_| ()));
    assert!(wrong(
        |state| state.jobs[0].stdout.pipe = state.jobs[0].stderr.pipe
    ));
    assert!(wrong(|state| state.output.fd = 2));
    assert!(wrong(|state| state.jobs[0].stdout.log.slots = vec![0, 0]));
    assert!(wrong(|state| state.jobs[0].stdout.log.slots = vec![1_024]));
    assert!(wrong(|state| state.jobs[0].serial = state.next_serial));
    assert!(wrong(|state| state.jobs.push(state.jobs[0].clone())));
    assert!(wrong(|state| state.jobs[0].stdout.log.oldest = 200_001));
}
