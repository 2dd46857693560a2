//! Servers on the network: the whole way over TCP and TLS to a server of the test's own.

mod agents;
mod files;
mod home;
mod hosts;
mod login;
mod pending;
mod server;
mod strangers;
mod ways;

use super::soon;
use crate::{Command, ConnectError, blocking};
use home::Home;
use server::Server;

#[tokio::test]
async fn a_command_runs_on_a_host_that_is_known_with_a_key_that_is_listed() {
    let home = Home::new();
    let key = home.write_key("id_ed25519", 1);
    let server = Server::start(vec![key.clone()]).await;
    home.know(&server);
    let client = server.connect(home.options()).await.unwrap();
    let ran = soon(client.run(Command::new(["write", "100000"]))).await;
    assert_eq!(ran.unwrap().stdout.len(), 100_000);
    // One key is proved at once.
    assert_eq!(server.seen(), [format!("ada proves {}", key.fingerprint())]);
    let ran = soon(client.run(Command::new(["policy"]))).await.unwrap();
    assert_eq!(ran.stdout, b"KeepFor(300000)");
    soon(client.close()).await;
    assert_eq!(server.keepalive(), 15_000);
}

#[test]
fn the_blocking_face_reaches_the_network_too() {
    let home = Home::new();
    let key = home.write_key("id_ed25519", 1);
    // The server's runtime is driven by a thread of its own.
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            tell.send(Server::start(vec![key]).await).unwrap();
            std::future::pending::<()>().await;
        });
    });
    let server = told.recv().unwrap();
    home.know(&server);
    let client = blocking::Client::connect(&server.target(), home.options()).unwrap();
    let finished = client.run(Command::new(["write", "5"])).unwrap();
    assert_eq!(finished.stdout.len(), 5);
}

/// It is moved as often as it has callers, for every host.
#[test]
fn a_connection_that_is_being_made_takes_little_memory() {
    let target = server::named("web1", 7334);
    let made = crate::Client::reach(&target, crate::ConnectOptions::default());
    let bytes = std::mem::size_of_val(&made);
    assert!(bytes <= 12 * 1024, "{bytes} bytes");
}

/// The text of the error, after it was made sure that no command has reached the server.
async fn refused(server: &Server, options: crate::ConnectOptions) -> String {
    let error = server.connect(options).await.map(drop).unwrap_err();
    assert_eq!(server.commands(), 0);
    let text = error.to_string();
    assert!(!text.contains('\n'), "{text}");
    text
}
