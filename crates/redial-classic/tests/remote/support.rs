//! A server of the test's own, clients, and a look at processes.

use std::io::{PipeWriter, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use redial_classic::address::{Address, Reach};
use redial_classic::connect::Stream;
use redial_classic::listen::Listener;
use redial_classic::remote::{
    Client, Ending, Event, Framed, Order, RemoteError, ServerSettings, Wire, serve,
};

/// Nothing that is waited for takes longer, even on a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The lesson's cure, as the server's default.
pub(crate) fn settings() -> ServerSettings {
    ServerSettings {
        wire: Wire::default(),
        order: Order::Both,
        deadline: PATIENCE,
        max_reply: 1 << 30,
        max_clients: 8,
    }
}

/// [`settings`] with another framing.
pub(crate) fn framed(framed: Framed) -> ServerSettings {
    let mut settings = settings();
    settings.wire.framed = framed;
    settings
}

/// Serves in a thread; ends, with its commands, at the end of the test.
pub(crate) struct Server {
    pub(crate) address: Address,
    settings: ServerSettings,
    told: Arc<Mutex<Vec<String>>>,
    stop: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(settings: ServerSettings) -> Self {
        Server::at("127.0.0.1:0", settings)
    }

    pub(crate) fn at(place: &str, settings: ServerSettings) -> Self {
        let listener = Listener::bind(&place.parse().unwrap(), 5, Reach::ThisMachine).unwrap();
        let (address, told) = (listener.address().clone(), Arc::new(Mutex::new(Vec::new())));
        let (hear, stop) = std::io::pipe().unwrap();
        let log = Arc::clone(&told);
        let thread = thread::spawn(move || {
            let log = |event: &Event<'_>| log.lock().unwrap().push(format!("{event:?}"));
            serve(&listener, &settings, hear.as_fd(), &log).unwrap();
        });
        Server {
            address,
            settings,
            told,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// A client that speaks as the server does.
    pub(crate) fn client(&self) -> Client<'static> {
        client(&self.address, self.settings.wire)
    }

    /// The reply to one command on a connection of its own.
    pub(crate) fn reply(&self, command: impl AsRef<[u8]>) -> Vec<u8> {
        call(&mut self.client(), command).unwrap().0
    }

    /// A bare connection.
    pub(crate) fn dial(&self) -> Stream {
        Stream::connect(&self.address).unwrap()
    }

    /// Waits until it has told something with these words.
    pub(crate) fn tells(&self, words: &str) {
        let told = || {
            self.told
                .lock()
                .unwrap()
                .iter()
                .any(|it| it.contains(words))
        };
        let seen = eventually(|| told().then_some(()));
        assert!(seen.is_some(), "{words}: {:?}", self.told.lock().unwrap());
    }

    /// Ends it, and waits for that.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self
            .thread
            .take()
            .is_none_or(|thread| thread.join().is_ok());
        assert!(ended || thread::panicking());
    }
}

pub(crate) fn client(address: &Address, wire: Wire) -> Client<'static> {
    let stream = Stream::connect(address).unwrap();
    Client::new(stream, wire, PATIENCE, 1 << 30, None)
}

/// The reply to a command, and how its end was found.
pub(crate) fn call(
    client: &mut Client<'_>,
    command: impl AsRef<[u8]>,
) -> Result<(Vec<u8>, Ending), RemoteError> {
    let mut reply = Vec::new();
    let ending = client.call(command.as_ref(), &mut |piece| {
        reply.extend_from_slice(piece);
        Ok(())
    })?;
    Ok((reply, ending))
}

/// Sends bytes, says that there are no more, and takes all that comes.
pub(crate) fn exchange(stream: &Stream, bytes: &[u8]) -> Vec<u8> {
    let mut stream = stream;
    stream.write_all(bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).unwrap();
    reply
}

/// A reply behind the lesson's header.
pub(crate) fn headed(reply: &[u8]) -> Vec<u8> {
    let length = i32::try_from(reply.len()).unwrap();
    [&length.to_ne_bytes(), reply].concat()
}

/// The address as std knows it.
pub(crate) fn place(address: &Address) -> SocketAddr {
    let text = address.to_string();
    text.trim_start_matches("tcp:").parse().unwrap()
}

/// Looks again and again until there is something, or [`PATIENCE`] is over.
pub(crate) fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let seen = look();
        if seen.is_some() || Instant::now() > deadline {
            return seen;
        }
        thread::sleep(Duration::from_millis(2)); // bounded poll
    }
}

/// A number for `sleep` that no other test has: it marks the processes of this one.
pub(crate) fn mark() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let (pid, next) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    format!("5000.{pid:07}{next:03}")
}

/// How many processes that are no zombies have these words among their arguments.
pub(crate) fn running(words: &str) -> usize {
    let entries = std::fs::read_dir("/proc").unwrap();
    let arguments = entries.filter_map(|it| std::fs::read(it.ok()?.path().join("cmdline")).ok());
    let shown = arguments.map(|it| String::from_utf8_lossy(&it).replace('\0', " "));
    shown.filter(|it| it.contains(words)).count()
}

/// Waits until such a process runs.
pub(crate) fn runs(words: &str) {
    let seen = eventually(|| (running(words) > 0).then_some(()));
    assert!(seen.is_some(), "{words} is not started");
}

/// Waits until no such process runs any more.
pub(crate) fn ends(words: &str) {
    let seen = eventually(|| (running(words) == 0).then_some(()));
    assert!(seen.is_some(), "{words} still runs");
}

/// Says that something was not tested, for the table of `cargo xtask test`.
pub(crate) fn skip(what: &str) {
    eprintln!("skipped: {what}");
    if let Some(path) = std::env::var_os("REDIAL_SKIPS") {
        let mut file = std::fs::File::options()
            .append(true)
            .create(true)
            .open(path)
            .unwrap();
        writeln!(file, "{what}").unwrap();
    }
}
