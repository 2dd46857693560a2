//! An echo server of the test's own, and what it tells.

use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use redial_classic::address::Address;
use redial_classic::echo::{Answers, EchoCaller, EchoError, EchoServer, Event, Gone};
use rustix::event::{EventfdFlags, eventfd};
use tempfile::TempDir;

/// Nothing that is waited for takes longer, even on a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A caller who finds the line of waiting ones full tries again only a second later.
const BACKLOG: u16 = 512;

/// A server in a thread; it ends with the test.
pub(crate) struct Server {
    pub(crate) address: Address,
    /// What happened: texts of events.
    told: Receiver<String>,
    ending: OwnedFd,
    thread: Option<JoinHandle<Result<(), EchoError>>>,
}

impl Server {
    pub(crate) fn start(listen: &str, answers: Answers) -> Self {
        let server = EchoServer::bind(&listen.parse().unwrap(), BACKLOG).unwrap();
        let address = server.address().clone();
        let ending = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        let shutdown = ending.try_clone().unwrap();
        let (tell, told) = channel();
        let serve = move || {
            server.serve(answers, shutdown.as_fd(), move |event| {
                // The test may have seen enough.
                let _ = tell.send(text(&event));
            })
        };
        let thread = Some(thread::spawn(serve));
        Server {
            address,
            told,
            ending,
            thread,
        }
    }

    pub(crate) fn for_ever(listen: &str) -> Self {
        Server::start(listen, Answers::ForEver)
    }

    pub(crate) fn caller(&self) -> EchoCaller {
        EchoCaller::connect(&self.address).unwrap()
    }

    /// A client of the standard library's.
    pub(crate) fn tcp(&self) -> TcpStream {
        let address = self.address.to_string();
        let stream = TcpStream::connect(address.strip_prefix("tcp:").unwrap()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    pub(crate) fn next(&self) -> String {
        self.told.recv_timeout(PATIENCE).unwrap()
    }

    /// Ends it, and does not wait for that.
    pub(crate) fn end(&self) {
        rustix::io::write(&self.ending, &1_u64.to_ne_bytes()).unwrap();
    }

    /// Everything up to an event that begins so.
    pub(crate) fn until(&self, beginning: &str) -> String {
        loop {
            let event = self.next();
            if event.starts_with(beginning) {
                return event;
            }
        }
    }

    /// It ends by itself.
    pub(crate) fn ended(&mut self) {
        self.thread.take().unwrap().join().unwrap().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.end();
            let served = thread.join();
            if !thread::panicking() {
                served.unwrap().unwrap();
            }
        }
    }
}

fn text(event: &Event<'_>) -> String {
    match event {
        Event::Connected { socket, from, .. } => {
            format!("connected {} {} {from}", socket.family, socket.kind)
        }
        Event::Heard { bytes, .. } => format!("heard {}", bytes.escape_ascii()),
        Event::HungUp { gone, .. } => match gone {
            Gone::Client => "client hung up".to_owned(),
            Gone::Server => "server hung up".to_owned(),
            Gone::Vanished(error) => format!("vanished {:?}", error.kind()),
        },
        Event::Mailbox { socket } => format!("mailbox {} {}", socket.family, socket.kind),
        Event::Datagram { from, .. } => format!("datagram {from}"),
        Event::Unanswered { reason, .. } => format!("unanswered {reason}"),
    }
}

pub(crate) fn said(caller: &EchoCaller, message: &[u8]) -> Vec<u8> {
    let mut reply = Vec::new();
    caller.say(message, &mut reply).unwrap();
    reply
}

pub(crate) fn socket_in(dir: &TempDir, scheme: &str) -> String {
    format!("{scheme}:{}", dir.path().join("phone").display())
}
