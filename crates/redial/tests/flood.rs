//! Thousands of half-open connections from one source: others log in as before, memory is
//! bounded, and afterwards nothing of it is left.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

mod support;

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redial_client::{Client, ConnectOptions, HostTarget, NetworkOptions, NewHost, Target};
use redial_net::Transport;
use redial_net::tls::{Decision, TlsClient};
use rustix::process::{Resource, getrlimit, setrlimit};
use support::network::NetworkServer;
use support::processes::{Process, descendants};
use support::{eventually, memory, skip, wait};
use tokio::io::AsyncReadExt;

const NAME: &str = "a_flood_of_half_open_connections_holds_up_nobody";
/// Where the flood goes; set for the process that makes it.
const TARGET: &str = "REDIAL_FLOOD_TARGET";
/// Connections at the start, and then a second.
const AT_ONCE: u64 = 4_000;
const PER_SECOND: u64 = 500;
/// How long logins are measured.
const TIME: Duration = Duration::from_secs(10);
/// Descriptors of the flooding process.
const DESCRIPTORS: u64 = 12_000;

/// p99 of logins during the flood: from elsewhere, and from the same source.
const ELSEWHERE_MAX: Duration = Duration::from_millis(200);
const SAME_MAX: Duration = Duration::from_secs(1);
/// In which all is gone.
const GONE_MAX: Duration = Duration::from_secs(12);
const GROWTH_MAX_KIB: u64 = 60 * 1024;

#[test]
fn a_flood_of_half_open_connections_holds_up_nobody() {
    if let Ok(target) = std::env::var(TARGET) {
        return flood(target.parse().unwrap());
    }
    if getrlimit(Resource::Nofile)
        .maximum
        .is_some_and(|most| most < DESCRIPTORS)
    {
        return skip(&format!(
            "{NAME}: fewer than {DESCRIPTORS} descriptors are allowed"
        ));
    }
    let server = NetworkServer::start();
    let logins = Logins::new(&server);
    logins.one("127.0.0.2");
    let front = |process: &Process| process.arguments.contains("--front");
    let front = descendants(server.pid())
        .into_iter()
        .find(front)
        .unwrap()
        .pid;
    let pids = [server.pid(), front];
    let (before, open) = (memory::kib(&pids), sockets(front));
    let quiet = p99(&mut logins.measure("127.0.0.2", Duration::from_secs(1)));
    let (mut most, mut elsewhere, mut same) = (before, Vec::new(), Vec::new());
    let mut flood = Flood::start(server.port());
    let began = Instant::now();
    while began.elapsed() < TIME {
        elsewhere.extend(logins.measure("127.0.0.2", Duration::from_millis(300)));
        same.extend(logins.measure("127.0.0.1", Duration::from_millis(200)));
        most = most.max(memory::kib(&pids));
    }
    // It makes no more, and holds on to those that it has.
    flood.pause();
    let ended = Instant::now();
    let left = || sockets(front).saturating_sub(open);
    let gone = eventually(|| (left() == 0).then(|| ended.elapsed()));
    let made = flood.stop();
    let growth = most.saturating_sub(before);
    let counts = (elsewhere.len(), same.len());
    let (elsewhere, same) = (p99(&mut elsewhere), p99(&mut same));
    println!(
        "{made} half-open connections; p99 of {counts:?} logins: {quiet:?} before, {elsewhere:?} \
         from elsewhere, {same:?} from the same source; all gone after {gone:?}; memory \
         {before} KiB before, {growth} KiB more at most"
    );
    assert!(
        made >= AT_ONCE + PER_SECOND * TIME.as_secs() * 8 / 10,
        "{made} were made"
    );
    assert!(elsewhere < ELSEWHERE_MAX, "from elsewhere: {elsewhere:?}");
    assert!(same < SAME_MAX, "from the same source: {same:?}");
    assert!(
        gone.is_some_and(|gone| gone < GONE_MAX),
        "{} are left",
        left()
    );
    assert!(growth < GROWTH_MAX_KIB, "memory grew by {growth} KiB");
}

/// Sockets that a process has open.
fn sockets(pid: u32) -> usize {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let links = entries.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    links
        .filter(|link| link.to_string_lossy().starts_with("socket:"))
        .count()
}

fn p99(times: &mut [Duration]) -> Duration {
    times.sort();
    times[(times.len() * 99).div_ceil(100) - 1]
}

/// Somebody with a key.
struct Logins {
    options: NetworkOptions,
    target: Target,
    runtime: tokio::runtime::Runtime,
}

impl Logins {
    fn new(server: &NetworkServer) -> Self {
        let user = redial_keeper::account::Account::own().unwrap().name;
        let options = NetworkOptions::default()
            .home(server.home())
            .agent(None)
            .local_user(Some(String::from_utf8(user).unwrap()))
            .new_host(NewHost::Pinned(server.host_key().to_owned()));
        let target = Target::Network(HostTarget {
            user: None,
            host: "127.0.0.1".to_owned(),
            port: Some(server.port()),
        });
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        Logins {
            options,
            target,
            runtime: runtime.enable_all().build().unwrap(),
        }
    }

    /// How long it takes to be let in from there.
    fn one(&self, source: &str) -> Duration {
        let source: IpAddr = source.parse().unwrap();
        let mut options = ConnectOptions::default();
        options.network = self.options.clone().bind(Some(source));
        let began = Instant::now();
        self.runtime.block_on(async {
            let client = Client::connect(&self.target, options).await;
            let took = began.elapsed();
            client
                .unwrap_or_else(|error| panic!("{error}"))
                .close()
                .await;
            took
        })
    }

    /// One login after the other.
    fn measure(&self, source: &str, time: Duration) -> Vec<Duration> {
        let began = Instant::now();
        let mut times = Vec::new();
        while began.elapsed() < time {
            times.push(self.one(source));
        }
        times
    }
}

/// The process that floods; it says how many connections it has made.
struct Flood(Child);

impl Flood {
    /// Returns when the first thousands are made.
    fn start(port: u16) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", NAME, "--nocapture"]);
        command.env(TARGET, format!("127.0.0.1:{port}"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.as_mut().unwrap();
        let mut said = Vec::new();
        while !said.ends_with(b"ready\n") {
            let mut byte = [0];
            assert_ne!(
                stdout.read(&mut byte).unwrap(),
                0,
                "the flood ends: {said:?}"
            );
            said.push(byte[0]);
        }
        Flood(child)
    }

    fn pause(&mut self) {
        self.0.stdin.as_mut().unwrap().write_all(b"p").unwrap();
    }

    fn stop(&mut self) -> u64 {
        drop(self.0.stdin.take());
        let mut said = String::new();
        self.0
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        assert_eq!(wait(&mut self.0), 0);
        let made = said.lines().find_map(|line| line.strip_prefix("made "));
        made.unwrap().parse().unwrap()
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Makes connections until a byte comes on stdin, and holds them until it ends. A third says nothing, a third begins a ClientHello,
/// a third sends all of it and leaves the server's answer.
fn flood(target: SocketAddr) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(DESCRIPTORS);
    setrlimit(Resource::Nofile, limit).unwrap();
    let hello = client_hello();
    let (send, pause) = std::sync::mpsc::channel();
    let holder = std::thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        let _ = stdin.read_exact(&mut [0]);
        // Whoever waits for it may have ended.
        let _ = send.send(());
        let _ = stdin.read_to_end(&mut Vec::new());
    });
    let (began, mut made, mut open) = (Instant::now(), 0, std::collections::VecDeque::new());
    let mut out = std::io::stdout();
    loop {
        // At most a few milliseconds behind the time that is due.
        let due = AT_ONCE + began.elapsed().as_millis() as u64 * PER_SECOND / 1_000;
        while made < due {
            if let Ok(mut line) = TcpStream::connect(target) {
                let part = [0, 200, hello.len()][made as usize % 3];
                // The server may have hung up already.
                let _ = line.write_all(&hello[..part]);
                open.push_back(line);
            }
            made += 1;
            // No longer than half of what is allowed: the server has left the oldest long ago.
            if open.len() as u64 > DESCRIPTORS - 1_000 {
                open.pop_front();
            }
            if made == AT_ONCE {
                out.write_all(b"ready\n").unwrap();
                out.flush().unwrap();
            }
        }
        if pause.recv_timeout(Duration::from_millis(4)).is_ok() {
            break;
        }
    }
    holder.join().unwrap();
    out.write_all(format!("\nmade {made}\n").as_bytes())
        .unwrap();
}

/// What a client of redial's begins with.
fn client_hello() -> Vec<u8> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(async {
        for side in [&ours, &theirs] {
            side.set_nonblocking(true).unwrap();
        }
        let mut theirs = tokio::net::UnixStream::from_std(theirs).unwrap();
        let ours = Transport::from_socket(ours).unwrap();
        let client = TlsClient::new(|_| Decision::Accept);
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        let mut head = [0; 5];
        let read = async {
            theirs.read_exact(&mut head).await.unwrap();
            let mut rest = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
            theirs.read_exact(&mut rest).await.unwrap();
            [&head[..], &rest].concat()
        };
        tokio::select! {
            hello = read => hello,
            _ = client.connect(ours, deadline) => unreachable!("nobody answers"),
        }
    })
}
