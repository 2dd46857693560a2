//! A command that goes with the login: what becomes of it where that has no answer, or another one.

use std::time::Duration;

use super::home::Home;
use super::server::{AtLogin, Rules};
use super::{Server, soon};
use crate::{
    BeginError, Client, Command, ConnectOptions, Job, JobEvent, PendingLogin, StartError,
    new_job_id,
};

/// A server that behaves like this at logins, and a home whose only key it knows.
async fn server(at_login: AtLogin) -> (Server, Home) {
    let home = Home::new();
    let mut rules = Rules::authorized(vec![home.write_key("id_ed25519", 1)]);
    rules.at_login = at_login;
    let server = Server::with(rules).await;
    home.know(&server);
    (server, home)
}

async fn reach(server: &Server, options: ConnectOptions) -> PendingLogin {
    soon(Client::reach(&server.target(), options))
        .await
        .unwrap()
}

async fn begin(server: &Server, options: ConnectOptions) -> Result<Job, BeginError> {
    let login = soon(Client::reach(&server.target(), options))
        .await
        .unwrap();
    assert_eq!(login.client().instance(), [7; 16]);
    // Nothing was said yet.
    assert!(server.seen().is_empty());
    let command = Command::new(["write", "100000"]);
    soon(login.start_as(new_job_id().unwrap(), command)).await
}

/// The length of its stdout, once it has ended well.
async fn length(mut job: Job) -> u64 {
    loop {
        let event = soon(job.next()).await.expect("an outcome comes first");
        if let JobEvent::Ended(outcome) = event.unwrap() {
            assert!(outcome.is_success());
            return outcome.stdout.bytes;
        }
    }
}

async fn error(server: &Server, options: ConnectOptions) -> BeginError {
    begin(server, options).await.map(drop).unwrap_err()
}

#[tokio::test]
async fn a_command_that_goes_with_the_login_runs() {
    let (server, home) = server(AtLogin::Answers).await;
    let job = begin(&server, home.options()).await.unwrap();
    assert_eq!(length(job).await, 100_000);
    assert_eq!((server.commands(), server.connections()), (1, 1));
}

#[tokio::test]
async fn who_is_not_let_in_hears_why_as_without_a_command() {
    let home = Home::new();
    home.write_key("id_ed25519", 1);
    let server = Server::start(Vec::new()).await;
    home.know(&server);
    let BeginError::Connect(early) = error(&server, home.options()).await else {
        panic!("nothing was started");
    };
    let late = server.connect(home.options()).await.map(drop).unwrap_err();
    assert_eq!(early.to_string(), late.to_string());
    assert_eq!(server.commands(), 0);
}

#[tokio::test]
async fn a_line_that_drops_before_the_answer_is_dialled_again_and_the_command_asked_for_again() {
    let (server, home) = server(AtLogin::DropsFirst).await;
    let job = begin(&server, home.options()).await.unwrap();
    assert_eq!(length(job).await, 100_000);
    assert_eq!((server.connections(), server.resent()), (2, 1));
    assert_eq!(server.commands(), 1);
}

#[tokio::test]
async fn where_no_line_is_dialled_again_nobody_knows_whether_it_ran() {
    let (server, home) = server(AtLogin::DropsFirst).await;
    let error = error(&server, home.options().redial(None)).await;
    let BeginError::Start(StartError::Lost { .. }) = &error else {
        panic!("{error}");
    };
    assert!(error.to_string().contains("the line dropped"), "{error}");
}

#[tokio::test]
async fn a_server_that_says_goodbye_instead_of_an_answer_has_started_nothing() {
    let (server, home) = server(AtLogin::Leaves).await;
    let error = error(&server, home.options()).await;
    let BeginError::Connect(_) = &error else {
        panic!("{error}");
    };
    assert!(error.to_string().contains("is shutting down"), "{error}");
    assert_eq!((server.commands(), server.connections()), (0, 1));
}

#[tokio::test]
async fn a_server_that_does_not_answer_in_time_may_have_started_it() {
    let (server, home) = server(AtLogin::IsSilent).await;
    let options = home.options().connect_timeout(Duration::from_millis(500));
    let error = error(&server, options).await;
    let BeginError::Start(StartError::Lost { .. }) = &error else {
        panic!("{error}");
    };
    assert!(error.to_string().contains("does not answer"), "{error}");
}

#[tokio::test]
async fn while_another_key_may_be_tried_the_answer_is_waited_for() {
    let home = Home::new();
    let keys = [home.write_key("id_ed25519", 1), home.write_key("id_rsa", 2)];
    let server = Server::start(keys.to_vec()).await;
    home.know(&server);
    let login = reach(&server, home.options()).await;
    // The first of two that are taken was proven, and that was answered.
    let proves = format!("ada proves {}", keys[0].fingerprint());
    assert_eq!(server.seen(), ["ada asks about 2".to_owned(), proves]);
    let command = Command::new(["write", "5"]);
    let job = soon(login.start_as(new_job_id().unwrap(), command)).await;
    assert_eq!(length(job.unwrap()).await, 5);
}

#[tokio::test]
async fn the_only_one_of_several_keys_that_is_taken_goes_with_the_command() {
    let home = Home::new();
    home.write_key("id_ed25519", 1);
    let taken = home.write_key("id_rsa", 2);
    let server = Server::start(vec![taken.clone()]).await;
    home.know(&server);
    let login = reach(&server, home.options()).await;
    assert_eq!(server.seen(), ["ada asks about 2"]);
    let command = Command::new(["write", "5"]);
    let job = soon(login.start_as(new_job_id().unwrap(), command)).await;
    assert_eq!(length(job.unwrap()).await, 5);
    let proves = format!("ada proves {}", taken.fingerprint());
    assert_eq!(server.seen()[1..], [proves]);
}

#[tokio::test]
async fn who_asks_for_nothing_leaves_without_a_login() {
    let (server, home) = server(AtLogin::Answers).await;
    let login = reach(&server, home.options()).await;
    let client = login.client().clone();
    drop(login);
    soon(client.close()).await;
    assert_eq!(server.commands(), 0);
}
