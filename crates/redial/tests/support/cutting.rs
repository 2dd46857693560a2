//! A line that is cut again and again, or is down for a while.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::{Random, idle};

/// What a line does to a connection that has carried as many bytes as it was to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Reset,
    Close,
    /// One direction ends; the other is carried on.
    HalfClose,
    /// Nothing is carried for a while, and nothing ends.
    Stall,
}

impl Fault {
    pub(crate) const ALL: [Fault; 4] = [Fault::Reset, Fault::Close, Fault::HalfClose, Fault::Stall];
    /// Those that end a connection as a whole.
    const CUTS: [Fault; 2] = [Fault::Reset, Fault::Close];
}

/// How long a stall takes, in milliseconds.
const STALL_MS: std::ops::Range<u64> = 200..3_000;

/// Carries connections, and cuts each after some bytes, until it has cut often enough.
pub(crate) struct Cutting {
    state: Arc<State>,
}

/// Cuts a connection if it is true; says whether it is still carried.
type Cut = Box<dyn Fn(bool) -> bool + Send>;

struct State {
    /// Cuts still to be made.
    left: AtomicI64,
    /// How often, by [`Fault`].
    made: [AtomicU64; 4],
    /// Connections that were cut before they can have got as far as a login.
    early: AtomicU64,
    faults: &'static [Fault],
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
        Cutting::new(cuts, within, seed, None).on_tcp(to)
    }

    fn on_tcp(self, to: SocketAddr) -> (Self, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::clone(&self.state);
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
        (self, port)
    }

    /// On a Unix socket.
    pub(crate) fn unix(at: &Path, to: &Path, cuts: u32, within: u64, seed: u64) -> Self {
        Cutting::new(cuts, within, seed, None).on_unix(at, to)
    }

    /// On a Unix socket, the first connection cut after just so many bytes.
    pub(crate) fn once(at: &Path, to: &Path, after: u64) -> Self {
        Cutting::new(1, 1, 0, Some(after)).on_unix(at, to)
    }

    /// On 127.0.0.1, and its port: faults of all kinds without end.
    pub(crate) fn faulty_tcp(to: SocketAddr, within: u64, seed: u64) -> (Self, u16) {
        let cutting = Cutting::new(u32::MAX, within, seed, None).of(&Fault::ALL);
        cutting.on_tcp(to)
    }

    /// The same on a Unix socket.
    pub(crate) fn faulty_unix(at: &Path, to: &Path, within: u64, seed: u64) -> Self {
        let cutting = Cutting::new(u32::MAX, within, seed, None).of(&Fault::ALL);
        cutting.on_unix(at, to)
    }

    fn of(mut self, faults: &'static [Fault]) -> Self {
        let state = Arc::get_mut(&mut self.state);
        state.expect("nothing is carried yet").faults = faults;
        self
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
            made: Default::default(),
            early: AtomicU64::new(0),
            faults: &Fault::CUTS,
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

    /// How often it has ended a connection, one direction of it or both.
    pub(crate) fn made(&self) -> u64 {
        let ends = [Fault::Reset, Fault::Close, Fault::HalfClose];
        ends.iter().map(|fault| self.count(*fault)).sum()
    }

    /// How often it has done this.
    pub(crate) fn count(&self, fault: Fault) -> u64 {
        self.state.made[fault as usize].load(Ordering::Relaxed)
    }

    /// How many of its faults came within the first bytes of a connection.
    pub(crate) fn early(&self) -> u64 {
        self.state.early.load(Ordering::Relaxed)
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
    let plan = Arc::new(Plan::new(state, cuts, Random::new(seed)));
    for (from, to) in [(client.again(), server.again()), (server, client)] {
        let (state, plan) = (Arc::clone(state), Arc::clone(&plan));
        let ends = Arc::clone(&ends);
        thread::spawn(move || {
            pass(&state, from, to, &plan);
            drop(ends);
        });
    }
}

/// What becomes of one connection.
struct Plan {
    /// Bytes until the next fault, both directions together.
    left: AtomicI64,
    early: bool,
    /// What decides, and whether it is over with it; held while nothing is to be carried.
    next: Mutex<(Random, bool)>,
}

impl Plan {
    fn new(state: &State, cuts: bool, mut random: Random) -> Self {
        let begun = state.made.iter().any(|it| it.load(Ordering::Relaxed) > 0);
        // Some within the handshake, but for the first: who cannot connect at all is told so.
        let early = cuts && state.after.is_none() && begun && random.below(4) == 0;
        let budget = match (cuts, state.after) {
            (false, _) => u64::MAX >> 1,
            (true, Some(after)) => after,
            (true, None) if early => 1 + random.below(2_000),
            (true, None) => 100_000 + random.below(state.within),
        };
        Plan {
            left: AtomicI64::new(budget.cast_signed()),
            early,
            next: Mutex::new((random, false)),
        }
    }

    /// How many of `len` bytes are carried until something is to happen, if that is now.
    fn carries(&self, len: usize) -> (usize, bool) {
        let len = len as i64;
        let before = self.left.fetch_sub(len, Ordering::Relaxed);
        let may = before.clamp(0, len);
        (may.cast_unsigned() as usize, may < len)
    }
}

fn pass<S: Socket>(state: &State, mut from: S, mut to: S, plan: &Plan) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(len @ 1..) = from.read(&mut buffer) {
        let (may, due) = plan.carries(len);
        if to.write_all(&buffer[..may]).is_err() {
            break;
        }
        if !due {
            continue;
        }
        let fault = strike(state, plan);
        match fault {
            Fault::Stall if to.write_all(&buffer[may..len]).is_ok() => continue,
            Fault::HalfClose => return to.end(Shutdown::Write),
            Fault::Reset => {
                from.reset();
                to.reset();
            }
            Fault::Stall | Fault::Close => {}
        }
        from.end(Shutdown::Both);
        to.end(Shutdown::Both);
        return;
    }
    to.end(Shutdown::Write);
}

/// Chooses a fault and counts it, unless the other direction has; a stall is over on return.
fn strike(state: &State, plan: &Plan) -> Fault {
    let mut next = plan.next.lock().unwrap();
    let (random, over) = &mut *next;
    if *over {
        return Fault::Close;
    }
    if plan.left.load(Ordering::Relaxed) > 0 {
        // There was a stall, of both directions.
        return Fault::Stall;
    }
    let chosen = random.below(state.faults.len() as u64) as usize;
    let fault = state.faults[chosen];
    state.made[fault as usize].fetch_add(1, Ordering::Relaxed);
    if plan.early {
        state.early.fetch_add(1, Ordering::Relaxed);
    }
    match fault {
        Fault::Reset | Fault::Close => *over = true,
        // What the other direction carries is carried to its end.
        Fault::HalfClose => plan.left.store(i64::MAX, Ordering::Relaxed),
        Fault::Stall => {
            let most = STALL_MS.start + random.below(STALL_MS.end - STALL_MS.start);
            idle(Duration::from_millis(most), || {
                state.down.load(Ordering::SeqCst)
            });
            let more = 10_000 + random.below(state.within);
            plan.left.store(more.cast_signed(), Ordering::Relaxed);
        }
    }
    fault
}
