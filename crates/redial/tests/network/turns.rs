//! How often a client has to wait for an answer: on a far line, that is the time it takes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::support::network::NetworkServer;

/// What went over one connection, in order: true for what the client said.
type Spoken = Arc<Mutex<Vec<bool>>>;

fn carry(mut from: TcpStream, mut to: TcpStream, is_client: bool, spoken: &Spoken) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        spoken.lock().unwrap().push(is_client);
        if to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// Carries one connection to the server, and notes who speaks.
fn listened_to(server: &NetworkServer) -> (u16, thread::JoinHandle<Vec<bool>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, server) = (listener.local_addr().unwrap().port(), server.port());
    let carrier = thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
        let spoken = Spoken::default();
        let up = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let noted = Arc::clone(&spoken);
        let up = thread::spawn(move || carry(up.0, up.1, true, &noted));
        carry(server, client, false, &spoken);
        up.join().unwrap();
        std::mem::take(&mut *spoken.lock().unwrap())
    });
    (port, carrier)
}

#[test]
fn a_command_takes_two_answers_and_its_client_waits_for_no_goodbye() {
    let server = NetworkServer::start();
    let (port, carrier) = listened_to(&server);
    let run = server.redial(["run", "--host-key", server.host_key()]);
    let target = format!("127.0.0.1:{port}");
    let ran = run.args([&target, "-n", "--", "sh", "-c", "exit 7"]).ran();
    assert_eq!((ran.code, &*ran.stderr), (7, ""));
    let mut spoken = carrier.join().unwrap();
    spoken.dedup();
    // Hello of TLS; its end, our hello, the proof and the start; goodbye.
    let turns = spoken.iter().filter(|is_client| **is_client).count();
    assert_eq!(turns, 3, "{spoken:?}");
    assert_eq!(
        (spoken[0], spoken.last()),
        (true, Some(&true)),
        "{spoken:?}"
    );
}
