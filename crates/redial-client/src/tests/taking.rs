//! A job that another client takes over.

use bytes::Bytes;

use super::{client, soon};
use crate::{Command, ControlError, JobError, JobEvent, StdinError};

#[tokio::test]
async fn a_taken_job_ends_its_former_holders_reading_with_a_clear_error() {
    let client = client().await;
    let mut job = soon(client.start(Command::new(["taken"]).stdin(true)))
        .await
        .unwrap();
    let handle = job.handle();
    let first = soon(job.next()).await;
    assert!(
        matches!(first, Some(Ok(JobEvent::Attached { .. }))),
        "{first:?}"
    );
    let last = soon(job.next()).await;
    let Some(Err(error @ JobError::Taken { .. })) = last else {
        panic!("{last:?}")
    };
    assert!(error.to_string().contains("another client took this job"));
    assert_eq!(soon(job.next()).await, None);
    // Nothing is left to write or to control.
    let written = soon(handle.write_stdin(Bytes::from_static(b"x"))).await;
    assert_eq!(written, Err(StdinError::Closed));
    assert_eq!(handle.signal(15), Err(ControlError::Over));
    // The connection serves the others.
    drop(job);
    let ran = soon(client.run(Command::new(["write", "1"]))).await;
    assert_eq!(ran.unwrap().stdout.len(), 1);
}

#[tokio::test]
async fn who_collects_a_taken_job_is_told_too() {
    let ran = soon(client().await.run(Command::new(["taken"]))).await;
    assert!(matches!(ran, Err(JobError::Taken { .. })), "{ran:?}");
}
