//! The client against a server of the test's own, over a socket pair. It speaks the real
//! protocol; what it says is scripted by the command's first word.

mod connecting;
mod fake;
mod network;
mod taking;

use std::time::Duration;

use bytes::Bytes;
use redial_net::Transport;
use tokio::time::timeout;

use crate::connect::shake_hands;
use crate::{
    Cause, Client, Command, ConnectOptions, JobError, JobEvent, OnDrop, Output, StartError, Status,
    StdinError, Target,
};
use fake::Fake;

/// Long enough for a slow machine; nothing here takes a tenth of a second.
const PATIENCE: Duration = Duration::from_secs(20);

async fn client_of(target: &Target, options: ConnectOptions) -> Client {
    let (ours, theirs) = Transport::pair().unwrap();
    tokio::spawn(fake::serve(theirs, Fake::default()));
    let line = shake_hands(target, &options, PATIENCE, ours, None)
        .await
        .unwrap();
    Client::on(line, target, &options)
}

async fn client() -> Client {
    client_of(&Target::Local, ConnectOptions::default()).await
}

/// Fails instead of hanging.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it does not end")
}

#[tokio::test]
async fn output_arrives_whole_and_in_its_own_stream() {
    let client = client().await;
    for len in ["0", "1", "70000", "5000000"] {
        let finished = soon(client.run(Command::new(["write", len])))
            .await
            .unwrap();
        assert_eq!(
            finished.stdout,
            fake::pattern(0, len.parse().unwrap()),
            "{len}"
        );
        assert_eq!(finished.stderr, b"err\n");
        assert!(finished.outcome.is_success());
    }
    soon(client.close()).await;
}

#[tokio::test]
async fn a_wrong_checksum_or_a_missing_byte_is_no_clean_exit() {
    let client = client().await;
    for (word, needle) in [
        ("lie", "checksum"),
        ("short", "bytes 99 to 100 did not arrive"),
        ("gone", "bytes 0 to 100 did not arrive"),
        ("cut", "its end"),
    ] {
        match soon(client.run(Command::new([word]))).await {
            Err(JobError::Incomplete {
                stream,
                reason,
                outcome,
                ..
            }) => {
                assert_eq!(stream, Output::Stdout);
                assert!(reason.contains(needle), "{word}: {reason}");
                assert_eq!(outcome.status, Status::Exited(0));
            }
            other => panic!("{word}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn another_stdin_than_was_written_is_no_clean_exit_and_less_of_it_is() {
    let client = client().await;
    for (word, needle) in [
        ("other stdin", Some("checksum")),
        ("more stdin", Some("100001 bytes of 100000")),
        ("lost stdin", Some("0 bytes of 100000")),
        ("less stdin", None),
    ] {
        let command = Command::new([word]).input(fake::pattern(0, 100_000));
        match (soon(client.run(command)).await, needle) {
            (Ok(finished), None) => assert!(finished.outcome.is_success()),
            (Err(JobError::OtherStdin { reason, .. }), Some(needle)) => {
                assert!(reason.contains(needle), "{word}: {reason}");
            }
            (other, _) => panic!("{word}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn stdin_comes_back_identical_however_it_is_cut() {
    let client = client().await;
    let mut job = soon(client.start(Command::new(["cat"]).stdin(true)))
        .await
        .unwrap();
    let handle = job.handle();
    let sent = fake::pattern(0, 3_000_000);
    let all = Bytes::from(sent.clone());
    let writer = tokio::spawn(async move {
        let (mut at, mut step) = (0, 1);
        while at < all.len() {
            let end = all.len().min(at + step);
            handle.write_stdin(all.slice(at..end)).await.unwrap();
            (at, step) = (end, step * 7 % 100_003 + 1);
        }
        handle.close_stdin();
        handle.write_stdin(Bytes::from_static(b"x")).await
    });
    let mut got = Vec::new();
    while let Some(event) = soon(job.next()).await {
        match event.unwrap() {
            JobEvent::Data {
                stream,
                offset,
                bytes,
            } => {
                assert_eq!((stream, offset), (Output::Stdout, got.len() as u64));
                got.extend_from_slice(&bytes);
            }
            JobEvent::Ended(outcome) => assert!(outcome.is_success()),
            _ => {}
        }
    }
    assert!(got == sent, "{} bytes of {}", got.len(), sent.len());
    assert_eq!(writer.await.unwrap(), Err(StdinError::NoStdin));
}

#[tokio::test]
async fn input_is_fed_by_the_client_itself() {
    let sent = fake::pattern(0, 2_500_000);
    let command = Command::new(["cat"]).input(sent.clone());
    let finished = soon(client().await.run(command)).await.unwrap();
    assert!(finished.stdout == sent);
}

#[tokio::test]
async fn before_attached_no_more_input_goes_than_the_server_takes() {
    let sent = fake::pattern(0, 100_000);
    let command = Command::new(["late"]).input(sent.clone());
    let finished = soon(client().await.run(command)).await.unwrap();
    assert!(finished.stdout == sent);
}

#[tokio::test]
async fn a_writer_is_told_when_the_command_reads_no_more() {
    let client = client().await;
    let job = soon(client.start(Command::new(["deaf"]).stdin(true)))
        .await
        .unwrap();
    let handle = job.handle();
    let endless = async {
        loop {
            if let Err(error) = handle.write_stdin(Bytes::from(vec![0; 100_000])).await {
                return error;
            }
        }
    };
    assert_eq!(soon(endless).await, StdinError::Closed);
}

#[tokio::test]
async fn nothing_more_is_sent_than_is_taken_and_one_window() {
    let options = ConnectOptions::default().window_bytes(100_000);
    let client = client_of(&Target::Local, options).await;
    let command = Command::new(["write", "5000000"]).manual_acknowledge(true);
    let mut job = soon(client.start(command)).await.unwrap();
    let (mut got, mut taken) = (0, 0);
    while let Some(event) = soon(job.next()).await {
        if let JobEvent::Data {
            stream: Output::Stdout,
            offset,
            bytes,
        } = event.unwrap()
        {
            got = offset + bytes.len() as u64;
            assert!(got <= taken + 100_000, "{got} with {taken} taken");
            // Half a window is held back.
            if got - taken > 50_000 {
                taken = got;
                job.handle().acknowledge(Output::Stdout, taken);
            }
        }
    }
    assert_eq!(got, 5_000_000);
}

#[tokio::test]
async fn a_stalled_reader_hurts_no_other() {
    let client = client().await;
    let stalled = soon(client.start(Command::new(["write", "50000000"])))
        .await
        .unwrap();
    for _ in 0..20 {
        let finished = soon(client.run(Command::new(["write", "300000"])))
            .await
            .unwrap();
        assert_eq!(finished.stdout.len(), 300_000);
    }
    drop(stalled);
    soon(client.run(Command::new(["write", "1"])))
        .await
        .unwrap();
}

#[tokio::test]
async fn cancel_and_signals_reach_the_server_in_order() {
    let client = client().await;
    let mut job = soon(client.start(Command::new(["wait"]))).await.unwrap();
    job.handle().signal(10).unwrap();
    job.handle().signal(12).unwrap();
    job.handle().cancel(Duration::from_millis(5)).unwrap();
    let mut last = None;
    while let Some(event) = soon(job.next()).await {
        last = Some(event.unwrap());
    }
    let Some(JobEvent::Ended(outcome)) = last else {
        panic!("{last:?}")
    };
    assert_eq!(
        outcome.cause,
        Cause::Cancelled("1:10 2:12 3:cancel 5".to_owned())
    );
    assert!(job.handle().signal(10).is_err());
}

#[tokio::test]
async fn a_server_that_has_applied_what_nobody_sent_is_no_server() {
    for word in ["applied before", "applied all"] {
        let started = soon(client().await.start(Command::new([word]))).await;
        let error = started.unwrap_err().to_string();
        assert!(error.contains("cannot have been applied"), "{error}");
    }
    // A number so high leaves none for us.
    let client = client().await;
    let job = soon(client.start(Command::new(["applied most"]))).await;
    job.unwrap().handle().signal(10).unwrap();
    let ran = soon(client.run(Command::new(["write", "1"]))).await;
    assert_eq!(ran.unwrap().stdout.len(), 1);
}

#[tokio::test]
async fn a_stopped_output_is_no_longer_checked_nor_awaited() {
    let client = client().await;
    let mut job = soon(client.start(Command::new(["write", "5000000"])))
        .await
        .unwrap();
    job.handle().stop(Output::Stdout).unwrap();
    let (mut got, mut ended) = (0, false);
    while let Some(event) = soon(job.next()).await {
        match event.unwrap() {
            JobEvent::Data {
                stream: Output::Stdout,
                bytes,
                ..
            } => got += bytes.len(),
            JobEvent::Ended(_) => ended = true,
            _ => {}
        }
    }
    assert!(ended && got < 5_000_000, "{got} bytes");
}

#[tokio::test]
async fn a_refusal_says_why_and_frees_the_slot() {
    let client = client_of(&Target::Local, ConnectOptions::default().jobs_at_once(1)).await;
    for _ in 0..3 {
        let error = soon(client.start(Command::new(["refuse"])))
            .await
            .unwrap_err();
        assert_eq!(
            error,
            StartError::Refused {
                code: 8,
                text: "not you".to_owned()
            }
        );
    }
    soon(client.run(Command::new(["write", "1"])))
        .await
        .unwrap();
}

#[tokio::test]
async fn more_jobs_than_slots_wait_for_their_turn() {
    let client = client_of(&Target::Local, ConnectOptions::default().jobs_at_once(8)).await;
    let jobs: Vec<_> = (0..200)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.run(Command::new(["write", "5"])).await })
        })
        .collect();
    for job in jobs {
        assert!(soon(job).await.unwrap().unwrap().outcome.is_success());
    }
}

#[tokio::test]
async fn a_dropped_line_loses_every_job_and_says_so() {
    let client = client().await;
    let mut waiting = soon(client.start(Command::new(["wait"]).stdin(true)))
        .await
        .unwrap();
    let lost = soon(client.run(Command::new(["vanish"])))
        .await
        .unwrap_err();
    assert!(
        matches!(&lost, JobError::Start(StartError::Lost { .. })),
        "{lost:?}"
    );
    assert!(lost.to_string().contains("line dropped"), "{lost}");
    let events = soon(async {
        let mut events = Vec::new();
        while let Some(event) = waiting.next().await {
            events.push(event);
        }
        events
    });
    assert!(matches!(
        events.await.last(),
        Some(Err(JobError::Lost { .. }))
    ));
    let written = soon(waiting.handle().write_stdin(Bytes::from_static(b"x"))).await;
    assert_eq!(written, Err(StdinError::Closed));
    let late = soon(client.start(Command::new(["write", "1"]))).await;
    assert!(matches!(late, Err(StartError::NotSent { .. })));
}

#[tokio::test]
async fn too_much_output_to_collect_is_an_error_and_ends_the_job() {
    let client = client().await;
    let ran = soon(client.run_within(Command::new(["write", "100001"]), 100_000)).await;
    let Err(JobError::TooMuchOutput {
        stream: Output::Stdout,
        limit: 100_000,
        ..
    }) = ran
    else {
        panic!("{ran:?}")
    };
    let exact = soon(client.run_within(Command::new(["write", "100000"]), 100_000)).await;
    assert_eq!(exact.unwrap().stdout.len(), 100_000);
}

#[tokio::test]
async fn a_job_is_kept_by_default_only_where_the_server_can() {
    let target: Target = "exec:x".parse().unwrap();
    let client = client_of(&target, ConnectOptions::default()).await;
    let policy = |finished: crate::Finished| String::from_utf8(finished.stdout).unwrap();
    let ran = soon(client.run(Command::new(["policy"]))).await.unwrap();
    assert_eq!(policy(ran), "KeepFor(300000)");
    let ran = soon(client.run(Command::new(["policy"]).on_drop(OnDrop::Keep)))
        .await
        .unwrap();
    assert_eq!(policy(ran), "Keep");
    // A server that cannot keep is asked again with what it can.
    for _ in 0..2 {
        let ran = soon(client.run(Command::new(["private"]))).await.unwrap();
        assert_eq!(policy(ran), "Kill");
    }
    let asked = Command::new(["private"]).on_drop(OnDrop::Keep);
    assert!(
        soon(client.start(asked))
            .await
            .unwrap_err()
            .is_unsupported()
    );
}

#[tokio::test]
async fn the_last_handle_to_go_says_goodbye() {
    let (ours, theirs) = Transport::pair().unwrap();
    let server = tokio::spawn(fake::serve(theirs, Fake::default()));
    let options = ConnectOptions::default();
    let line = shake_hands(&Target::Local, &options, PATIENCE, ours, None)
        .await
        .unwrap();
    let client = Client::on(line, &Target::Local, &options);
    let job = soon(client.start(Command::new(["wait"]))).await.unwrap();
    drop(client);
    assert!(!server.is_finished());
    drop(job);
    assert!(soon(server).await.unwrap().is_ok(), "no goodbye");
}
