//! Peers that are no server, and the face for code without a runtime.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use redial_net::proto::{Config, Connection};
use redial_net::{Transport, drive};

use super::PATIENCE;
use super::fake::{self, Fake};
use crate::connect::shake_hands;
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
            // It outlives the grace that it is given, however busy the machine is.
            "exec:echo; echo 'Welcome to this machine, have fun'; exec sleep 1000",
            "text before the protocol, beginning with \"Welcome to this machine, have fun\";",
        ),
        (
            "exec:echo no; exit 3",
            "beginning with \"no\", and ended (exit status: 3)",
        ),
        (
            "exec:printf '\\001\\0\\0\\0 1234567890123456'; exec sleep 1000",
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

#[tokio::test]
async fn text_too_short_for_a_frame_is_shown_when_the_time_is_over() {
    let options = ConnectOptions::default().connect_timeout(Duration::from_millis(500));
    let target: Target = "exec:printf 'who?\\033[2J'; exec sleep 10".parse().unwrap();
    let error = Client::connect(&target, options).await.unwrap_err();
    assert!(matches!(error, ConnectError::Text { .. }), "{error}");
    assert!(error.to_string().contains(r#""who?\u{1b}[2J""#), "{error}");
}

#[tokio::test]
async fn a_line_that_ends_before_the_hello_is_said_to_have_hung_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let error = Client::connect(&Target::Unix(Some(path)), ConnectOptions::default()).await;
    let error = error.unwrap_err();
    assert!(matches!(error, ConnectError::HungUp { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("hung up before its hello: too many connections"),
        "{text}"
    );
}

#[tokio::test]
async fn a_server_that_asks_for_a_login_on_a_bare_line_is_left() {
    let (ours, theirs) = Transport::pair().unwrap();
    let mut config = Config::server([7; 16]);
    (config.auth, config.nonce) = (true, Some([9; 32]));
    let connection = Connection::server(config, Duration::ZERO);
    let server = tokio::spawn(async move {
        let mut fake = Fake::default();
        drive(theirs, connection, &mut fake).await
    });
    let options = ConnectOptions::default();
    let line = shake_hands(&Target::Local, &options, PATIENCE, ours, None).await;
    let text = line.map(drop).unwrap_err().to_string();
    assert!(text.contains("asks for a login"), "{text}");
    assert!(super::soon(server).await.unwrap().is_err());
}

#[tokio::test]
async fn who_gives_up_before_the_hello_leaves_no_connection() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let options = ConnectOptions::default().connect_timeout(Duration::from_millis(50));
    let gave_up = Client::connect(&Target::Unix(Some(path)), options).await;
    assert!(matches!(gave_up, Err(ConnectError::Timeout { .. })));
    let (mut line, _) = listener.accept().await.unwrap();
    let mut said = Vec::new();
    super::soon(tokio::io::AsyncReadExt::read_to_end(&mut line, &mut said))
        .await
        .unwrap();
}

/// A program that says no hello and does not end with its line, and where its pid will be.
fn deaf_program(dir: &Path) -> (Target, PathBuf) {
    let file = dir.join("pid");
    let (new, name) = (dir.join("new"), file.display());
    let new = new.display();
    let target = format!("exec:echo $$ > {new}; mv {new} {name}; exec sleep 1000");
    (target.parse().unwrap(), file)
}

async fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    super::soon(async {
        loop {
            if let Some(seen) = look() {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(2)).await; // bounded poll
        }
    })
    .await
}

/// It is gone when it was reaped too.
fn gone(pid: &str) -> Option<()> {
    (!Path::new("/proc").join(pid.trim()).exists()).then_some(())
}

#[tokio::test]
async fn a_program_that_does_not_end_with_its_line_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    let (target, file) = deaf_program(dir.path());
    let options = ConnectOptions::default().connect_timeout(Duration::from_millis(500));
    let error = Client::connect(&target, options).await.unwrap_err();
    assert!(matches!(error, ConnectError::Timeout { .. }), "{error}");
    let pid = std::fs::read_to_string(file).unwrap();
    until(|| gone(&pid)).await;
}

#[tokio::test]
async fn a_cancelled_connect_ends_its_program() {
    let dir = tempfile::tempdir().unwrap();
    let (target, file) = deaf_program(dir.path());
    let connect = tokio::spawn(async move {
        let connected = Client::connect(&target, ConnectOptions::default()).await;
        connected.map(drop)
    });
    let pid = until(|| std::fs::read_to_string(&file).ok()).await;
    connect.abort();
    until(|| gone(&pid)).await;
}

#[test]
fn a_runtime_that_ends_takes_the_program_along() {
    let dir = tempfile::tempdir().unwrap();
    let (target, file) = deaf_program(dir.path());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.spawn(async move {
        let connected = Client::connect(&target, ConnectOptions::default()).await;
        connected.map(drop)
    });
    let pid = runtime.block_on(until(|| std::fs::read_to_string(&file).ok()));
    drop(runtime);
    let state = format!("/proc/{}/stat", pid.trim());
    // Nobody reaps it any more, but it has ended.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(until(|| {
        let stat = std::fs::read_to_string(&state).unwrap_or_default();
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    }));
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
