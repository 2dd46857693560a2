//! Ten thousand half-open connections from one source, and hundreds more every second:
//! how long logins take meanwhile, and what is left afterwards.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use redial_client::{Client, ConnectOptions, HostTarget, NetworkOptions, NewHost, Target};
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::memory::{Memory, mib};
use crate::patience::until;
use crate::peer::home::Home;
use crate::peer::network::NetworkServer;
use crate::peer::redial::runtime;
use crate::process;
use crate::stats::Samples;

/// Connections at once, and then a second.
const AT_ONCE: u64 = 10_000;
const PER_SECOND: u64 = 500;
/// For so long.
const TIME: Duration = Duration::from_secs(20);
/// What we hold open at most; the server has left older ones long before.
const HELD: usize = 12_000;
/// Beside them.
const DESCRIPTORS: u64 = HELD as u64 + 1_000;

/// The flood's source, and another.
const SAME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// p99 of logins in milliseconds, what memory may grow by, and when all must be gone.
const ELSEWHERE_MAX_MS: f64 = 200.0;
const SAME_MAX_MS: f64 = 1_000.0;
const GROWTH_MAX_BYTES: u64 = 60 << 20;
const GONE_MAX: Duration = Duration::from_secs(12);

/// What came of it.
struct Figures {
    made: u64,
    elsewhere: Samples,
    same: Samples,
    growth_bytes: u64,
    /// Time from the last connection until the server had none left.
    gone: Option<Duration>,
}

/// Floods, and looks.
///
/// # Errors
/// A login failed or took too long, memory has grown, or something is left.
pub(crate) fn run() -> anyhow::Result<()> {
    allow_descriptors()?;
    let home = Arc::new(Home::new()?);
    let server = NetworkServer::start(&home, &[])?;
    let logins = Logins::new(&home, &server)?;
    let mut quiet = Samples::default();
    logins.measure(ELSEWHERE, Duration::from_secs(2), &mut quiet)?;
    println!(
        "logins, of {}: p99 {:.1} ms",
        quiet.len(),
        quiet.quantile(0.99)
    );
    let hello = client_hello(&home)?;
    let figures = measure(&server, &logins, hello)?;
    figures.judge()
}

fn allow_descriptors() -> anyhow::Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    let enough = limit.maximum.is_none_or(|most| most >= DESCRIPTORS);
    anyhow::ensure!(enough, "{DESCRIPTORS} descriptors are needed: ulimit -n");
    limit.current = Some(DESCRIPTORS);
    setrlimit(Resource::Nofile, limit).context("cannot raise the limit on descriptors")
}

fn measure(server: &NetworkServer, logins: &Logins, hello: Vec<u8>) -> anyhow::Result<Figures> {
    let pids = server.server().pids();
    let (before, open) = (server.server().memory()?, sockets(pids[1])?);
    let (stop, stopped) = channel::<()>();
    let (ready, is_ready) = channel();
    let target = logins.address;
    let flood = thread::spawn(move || flood(target, &hello, &ready, &stopped));
    is_ready.recv().context("the flood ended")?;
    let (mut most, mut elsewhere, mut same) = (before, Samples::default(), Samples::default());
    let began = Instant::now();
    while began.elapsed() < TIME {
        logins.measure(ELSEWHERE, Duration::from_millis(300), &mut elsewhere)?;
        logins.measure(SAME, Duration::from_millis(200), &mut same)?;
        most = most.max(Memory::of(&pids)?);
    }
    drop(stop);
    // What it holds stays open until the end.
    let flood = flood.join();
    let (made, _held) = flood.map_err(|_| anyhow::anyhow!("the flood failed"))?;
    let ended = Instant::now();
    let gone = until(GONE_MAX, || sockets(pids[1]).is_ok_and(|now| now <= open));
    Ok(Figures {
        made,
        elsewhere,
        same,
        growth_bytes: u64::try_from(most - before).unwrap_or(0),
        gone: gone.then(|| ended.elapsed()),
    })
}

impl Figures {
    fn judge(&self) -> anyhow::Result<()> {
        let (made, growth) = (self.made, mib(self.growth_bytes));
        let (elsewhere, same) = (self.elsewhere.quantile(0.99), self.same.quantile(0.99));
        println!(
            "{made} half-open connections in {} s: logins' p99 {elsewhere:.1} ms of {} from \
             elsewhere, {same:.1} ms of {} from the same source; memory + {growth}; all gone \
             after {:?}",
            TIME.as_secs(),
            self.elsewhere.len(),
            self.same.len(),
            self.gone
        );
        let all = AT_ONCE + PER_SECOND * TIME.as_secs();
        anyhow::ensure!(made >= all * 8 / 10, "only {made} of {all} could be made");
        anyhow::ensure!(
            elsewhere < ELSEWHERE_MAX_MS,
            "p99 from elsewhere: {elsewhere} ms"
        );
        anyhow::ensure!(same < SAME_MAX_MS, "p99 from the same source: {same} ms");
        anyhow::ensure!(
            self.growth_bytes < GROWTH_MAX_BYTES,
            "memory grew by {growth}"
        );
        anyhow::ensure!(self.gone.is_some(), "some are left after {GONE_MAX:?}");
        Ok(())
    }
}

/// Makes connections until told to stop; how many, and those that it still holds. A third
/// says nothing, a third begins a ClientHello, a third leaves the server's answer to it.
fn flood(
    target: SocketAddr,
    hello: &[u8],
    ready: &std::sync::mpsc::Sender<()>,
    stopped: &std::sync::mpsc::Receiver<()>,
) -> (u64, VecDeque<TcpStream>) {
    let (began, mut made, mut held) = (Instant::now(), 0, VecDeque::new());
    loop {
        let due = AT_ONCE + began.elapsed().as_millis() as u64 * PER_SECOND / 1_000;
        while made < due {
            let part = [0, 200.min(hello.len()), hello.len()][(made % 3) as usize];
            if let Ok(mut line) = TcpStream::connect(target) {
                // The server may have hung up already.
                let _ = line.write_all(&hello[..part]);
                held.push_back(line);
            }
            made += 1;
            if held.len() > HELD {
                held.pop_front();
            }
            if made == AT_ONCE {
                // Who waits may have given up.
                let _ = ready.send(());
            }
        }
        if stopped.recv_timeout(Duration::from_millis(4)) == Err(RecvTimeoutError::Disconnected) {
            return (made, held);
        }
    }
}

fn sockets(pid: u32) -> anyhow::Result<usize> {
    let open = process::descriptors(pid)?;
    let sockets = open.iter();
    Ok(sockets
        .filter(|to| to.to_string_lossy().starts_with("socket:"))
        .count())
}

/// What a client begins with: its first record (RFC 8446 section 5.1).
fn client_hello(home: &Home) -> anyhow::Result<Vec<u8>> {
    let listener = TcpListener::bind((SAME, 0)).context("cannot listen")?;
    let port = listener.local_addr().context("no address")?.port();
    let read = thread::spawn(move || {
        let (mut line, _) = listener.accept()?;
        let mut record = vec![0; 5];
        line.read_exact(&mut record)?;
        let length = u16::from_be_bytes([record[3], record[4]]);
        record.resize(5 + usize::from(length), 0);
        line.read_exact(&mut record[5..])?;
        std::io::Result::Ok(record)
    });
    let options = ConnectOptions::default().network(network(home));
    // It fails, since nobody answers.
    let dialled = runtime()?.block_on(Client::connect(&host(home, port), options));
    anyhow::ensure!(dialled.is_err(), "somebody has let us in");
    let record = read
        .join()
        .map_err(|_| anyhow::anyhow!("the reader failed"))?;
    record.context("no ClientHello")
}

fn host(home: &Home, port: u16) -> Target {
    Target::Network(HostTarget {
        user: Some(home.login().to_owned()),
        host: SAME.to_string(),
        port: Some(port),
    })
}

fn network(home: &Home) -> NetworkOptions {
    let options = NetworkOptions::default().home(home.path()).agent(None);
    options.new_host(NewHost::Refuse)
}

/// Somebody with a key.
struct Logins {
    target: Target,
    address: SocketAddr,
    network: NetworkOptions,
    runtime: tokio::runtime::Runtime,
}

impl Logins {
    fn new(home: &Home, server: &NetworkServer) -> anyhow::Result<Self> {
        let log = server.server().log();
        let port = log.split_once(" address=127.0.0.1:").and_then(|(_, rest)| {
            let port = rest.split(char::is_whitespace).next();
            port?.parse().ok()
        });
        let port = port.with_context(|| format!("no port in: {log}"))?;
        Ok(Logins {
            target: host(home, port),
            address: SocketAddr::new(SAME, port),
            network: network(home),
            runtime: runtime()?,
        })
    }

    /// One login after the other, from there: how long until each is let in.
    fn measure(&self, source: IpAddr, time: Duration, times: &mut Samples) -> anyhow::Result<()> {
        let began = Instant::now();
        while began.elapsed() < time {
            let network = self.network.clone().bind(Some(source));
            let options = ConnectOptions::default().network(network);
            self.runtime.block_on(async {
                let begins = Instant::now();
                let client = Client::connect(&self.target, options).await?;
                times.push_millis(begins.elapsed());
                client.close().await;
                anyhow::Ok(())
            })?;
        }
        Ok(())
    }
}
