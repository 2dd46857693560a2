//! A line that is cut again and again, or is down for a while.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::Random;

/// Carries connections, and cuts each after some bytes, until it has cut often enough.
pub(crate) struct Cutting {
    state: Arc<State>,
}

/// Cuts a connection if it is true; says whether it is still carried.
type Cut = Box<dyn Fn(bool) -> bool + Send>;

struct State {
    /// Cuts still to be made.
    left: AtomicI64,
    made: AtomicU64,
    /// Cut after so many bytes at most, both directions together.
    within: u64,
    /// Cut after just so many, instead.
    after: Option<u64>,
    seed: AtomicU64,
    /// Nothing gets through, and who dials is hung up on.
    down: AtomicBool,
    /// What is carried.
    live: Mutex<Vec<Cut>>,
}

/// What both kinds of sockets can.
trait Socket: Read + Write + Send + Sync + Sized + 'static {
    fn again(&self) -> Self;
    fn end(&self, how: Shutdown);
    /// The peer is told of a reset, if that kind of socket can.
    fn reset(&self);
}

impl Socket for TcpStream {
    fn again(&self) -> Self {
        self.try_clone().unwrap()
    }

    fn end(&self, how: Shutdown) {
        let _ = self.shutdown(how);
    }

    fn reset(&self) {
        let now = Some(std::time::Duration::ZERO);
        let _ = rustix::net::sockopt::set_socket_linger(self, now);
    }
}

impl Socket for UnixStream {
    fn again(&self) -> Self {
        self.try_clone().unwrap()
    }

    fn end(&self, how: Shutdown) {
        let _ = self.shutdown(how);
    }

    fn reset(&self) {}
}

impl Cutting {
    /// On 127.0.0.1, and its port: `cuts` times, each within so many bytes.
    pub(crate) fn tcp(to: SocketAddr, cuts: u32, within: u64, seed: u64) -> (Self, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let cutting = Cutting::new(cuts, within, seed, None);
        let state = Arc::clone(&cutting.state);
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, Ok(server)) = (client.unwrap(), TcpStream::connect(to)) else {
                    continue;
                };
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                carry(&state, client, server);
            }
        });
        (cutting, port)
    }

    /// On a Unix socket.
    pub(crate) fn unix(at: &Path, to: &Path, cuts: u32, within: u64, seed: u64) -> Self {
        Cutting::new(cuts, within, seed, None).on_unix(at, to)
    }

    /// On a Unix socket, the first connection cut after just so many bytes.
    pub(crate) fn once(at: &Path, to: &Path, after: u64) -> Self {
        Cutting::new(1, 1, 0, Some(after)).on_unix(at, to)
    }

    fn on_unix(self, at: &Path, to: &Path) -> Self {
        let listener = UnixListener::bind(at).unwrap();
        let (state, to) = (Arc::clone(&self.state), to.to_owned());
        thread::spawn(move || {
            for client in listener.incoming() {
                if let (Ok(client), Ok(server)) = (client, UnixStream::connect(&to)) {
                    carry(&state, client, server);
                }
            }
        });
        self
    }

    fn new(cuts: u32, within: u64, seed: u64, after: Option<u64>) -> Self {
        eprintln!("seed {seed}");
        let state = State {
            left: AtomicI64::new(cuts.into()),
            made: AtomicU64::new(0),
            within,
            after,
            seed: AtomicU64::new(seed),
            down: AtomicBool::new(false),
            live: Mutex::default(),
        };
        Cutting {
            state: Arc::new(state),
        }
    }

    /// On 127.0.0.1, and its port: it is up until [`Cutting::down`].
    pub(crate) fn whole(to: SocketAddr) -> (Self, u16) {
        Cutting::tcp(to, 0, 1, 0)
    }

    /// Cuts what there is, and hangs up on whoever dials.
    pub(crate) fn down(&self) {
        self.state.down.store(true, Ordering::SeqCst);
        for cut in self.state.live.lock().unwrap().drain(..) {
            cut(true);
        }
    }

    /// Carries connections again.
    pub(crate) fn up(&self) {
        self.state.down.store(false, Ordering::SeqCst);
    }

    /// How often it has cut.
    pub(crate) fn made(&self) -> u64 {
        self.state.made.load(Ordering::Relaxed)
    }
}

/// Two threads that end with their connection.
fn carry<S: Socket>(state: &Arc<State>, client: S, server: S) {
    let mut live = state.live.lock().unwrap();
    if state.down.load(Ordering::SeqCst) {
        client.end(Shutdown::Both);
        return;
    }
    // Both ends, as long as one of the two threads lives.
    let ends = Arc::new([client.again(), server.again()]);
    let both = Arc::downgrade(&ends);
    live.retain(|cut| cut(false));
    live.push(Box::new(move |now| {
        let ends = both.upgrade();
        if let (Some(ends), true) = (&ends, now) {
            ends.iter().for_each(|end| end.end(Shutdown::Both));
        }
        ends.is_some()
    }));
    drop(live);
    let cuts = state.left.fetch_sub(1, Ordering::Relaxed) > 0;
    let seed = state.seed.fetch_add(1, Ordering::Relaxed);
    let mut random = Random::new(seed);
    let budget = if cuts {
        // Some within the handshake, but for the first: who cannot connect at all is told so.
        match (state.after, random.below(4)) {
            (Some(after), _) => after,
            (None, 0) if state.made.load(Ordering::Relaxed) > 0 => 1 + random.below(2_000),
            (None, _) => 100_000 + random.below(state.within),
        }
    } else {
        u64::MAX >> 1
    };
    let left = Arc::new(AtomicI64::new(budget.cast_signed()));
    let resets = random.below(2) == 0;
    for (from, to) in [(client.again(), server.again()), (server, client)] {
        let (state, left) = (Arc::clone(state), Arc::clone(&left));
        let ends = Arc::clone(&ends);
        thread::spawn(move || {
            pass(&state, from, to, &left, resets);
            drop(ends);
        });
    }
}

fn pass<S: Socket>(state: &State, mut from: S, mut to: S, left: &AtomicI64, resets: bool) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(len @ 1..) = from.read(&mut buffer) {
        let before = left.fetch_sub(len.cast_signed() as i64, Ordering::Relaxed);
        let may = before.clamp(0, len.cast_signed() as i64);
        if to
            .write_all(&buffer[..may.cast_unsigned() as usize])
            .is_err()
        {
            break;
        }
        if may < len.cast_signed() as i64 {
            if before > 0 {
                state.made.fetch_add(1, Ordering::Relaxed);
            }
            if resets {
                from.reset();
                to.reset();
            }
            from.end(Shutdown::Both);
            to.end(Shutdown::Both);
            return;
        }
    }
    to.end(Shutdown::Write);
}
