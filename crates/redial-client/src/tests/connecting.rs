//! Peers that are no server, and the face for code without a runtime.

use std::time::Duration;

use bytes::Bytes;
use redial_net::Transport;

use super::PATIENCE;
use super::fake::{self, Fake};
use crate::{Client, Command, ConnectError, ConnectOptions, JobEvent, Target, blocking};

#[tokio::test]
async fn a_peer_that_says_nothing_or_nonsense_is_no_server() {
    let options = ConnectOptions::default().connect_timeout(Duration::from_millis(50));
    let quiet: Target = "exec:sleep 1".parse().unwrap();
    let error = Client::connect(&quiet, options.clone()).await.unwrap_err();
    assert!(matches!(error, ConnectError::Timeout { .. }), "{error}");
    let options = options.connect_timeout(PATIENCE);
    for (target, needle) in [
        ("exec:exit 3", "exit status: 3"),
        (
            "exec:echo 'Welcome to this machine, have fun'; sleep 1",
            "not redial's protocol",
        ),
        ("unix:/nonexistent/redial.sock", "redial serve"),
    ] {
        let target: Target = target.parse().unwrap();
        let error = Client::connect(&target, options.clone())
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(needle), "{target}: {error}");
    }
}

#[test]
fn the_blocking_face_runs_streams_and_says_goodbye() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            fake::serve(Transport::from_socket(stream).unwrap(), Fake::default()).await
        })
    });
    let client =
        blocking::Client::connect(&Target::Unix(Some(path)), ConnectOptions::default()).unwrap();
    let finished = client.run(Command::new(["write", "100000"])).unwrap();
    assert_eq!(finished.stdout, fake::pattern(0, 100_000));
    let job = client.start(Command::new(["cat"]).stdin(true)).unwrap();
    job.write_stdin(Bytes::from_static(b"abc")).unwrap();
    job.handle().close_stdin();
    let last = job.last().unwrap().unwrap();
    assert!(matches!(last, JobEvent::Ended(outcome) if outcome.stdout.bytes == 3));
    drop(client);
    assert!(server.join().unwrap().is_ok(), "no goodbye");
}
