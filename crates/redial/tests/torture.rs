//! Lines that are cut and fronts that are killed, under jobs that use all three streams: nothing
//! may be lost, doubled or run twice. Some seconds of it; `REDIAL_TORTURE_SECONDS` for more.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

mod support;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::cutting::Cutting;
use support::network::NetworkServer;
use support::server::{TestServer, kill_front};
use support::{Random, Redial, eventually, noise};

/// Jobs at once.
const WORKERS: u64 = 4;
/// Bytes of a stream at most.
const MOST: u64 = 2 << 20;

/// What happened, all together.
#[derive(Debug, Default)]
struct Tally {
    jobs: AtomicU64,
    bytes: AtomicU64,
    /// The first line did not get as far as a login: nothing ran.
    unreached: AtomicU64,
    fronts: AtomicU64,
    drops: AtomicU64,
    /// What must not be: one line for each.
    wrong: Mutex<Vec<String>>,
}

/// One job's streams: a function of its seed.
struct Case {
    dir: PathBuf,
    input: Vec<u8>,
    outputs: [Vec<u8>; 2],
    status: i32,
}

impl Case {
    fn new(dir: &Path, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let dir = dir.join(seed.to_string());
        fs::create_dir(&dir).unwrap();
        let mut stream = || {
            let len = random.below(MOST) >> random.below(12);
            noise(random.next(), usize::try_from(len).unwrap())
        };
        let (input, outputs) = (stream(), [stream(), stream()]);
        fs::write(dir.join("out"), &outputs[0]).unwrap();
        fs::write(dir.join("err"), &outputs[1]).unwrap();
        Case {
            dir,
            input,
            outputs,
            status: i32::try_from(random.below(100)).unwrap(),
        }
    }

    /// All three streams at once.
    fn command(&self) -> String {
        let status = self.status;
        format!("echo ran >> ran; cat out & cat err >&2 & cat > in; wait; exit {status}")
    }

    fn bytes(&self) -> u64 {
        let [out, err] = &self.outputs;
        (self.input.len() + out.len() + err.len()) as u64
    }

    /// What is wrong with how it ended, if anything. None too if nothing ran.
    fn judge(&self, ran: &support::Ran, tally: &Tally) -> Option<String> {
        let runs = fs::read_to_string(self.dir.join("ran")).unwrap_or_default();
        if ran.code == 125 && runs.is_empty() {
            tally.unreached.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        tally.jobs.fetch_add(1, Ordering::Relaxed);
        tally.bytes.fetch_add(self.bytes(), Ordering::Relaxed);
        let taken = fs::read(self.dir.join("in")).unwrap_or_default();
        // Its notes are lines of ours behind the command's; there are none without --verbose.
        let checks = [
            ("run once", runs == "ran\n"),
            ("exit status", ran.code == self.status),
            ("stdout", ran.stdout == self.outputs[0]),
            (
                "stderr",
                ran.stderr.as_bytes() == String::from_utf8_lossy(&self.outputs[1]).as_bytes(),
            ),
            ("stdin", taken == self.input),
        ];
        let failed = checks.iter().find(|(_, holds)| !holds)?;
        let said: Vec<char> = ran.stderr.chars().collect();
        let said: String = said[said.len().saturating_sub(300)..].iter().collect();
        Some(format!(
            "{}: {}, exit {} for {}, {} of {} bytes out, {} of {} in; {said:?}",
            self.dir.display(),
            failed.0,
            ran.code,
            self.status,
            ran.stdout.len(),
            self.outputs[0].len(),
            taken.len(),
            self.input.len(),
        ))
    }
}

/// Kills fronts in turn, a little while apart, until it is over.
fn kill_fronts(keepers: &[u32], over: &AtomicBool, tally: &Tally) {
    let mut random = Random::new(99);
    for keeper in keepers.iter().cycle() {
        let until = Instant::now() + Duration::from_millis(150 + random.below(300));
        eventually(|| {
            let due = over.load(Ordering::Relaxed) || Instant::now() >= until;
            due.then_some(())
        });
        if over.load(Ordering::Relaxed) {
            return;
        }
        kill_front(*keeper);
        tally.fronts.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn nothing_is_lost_doubled_or_run_twice() {
    let seconds = std::env::var("REDIAL_TORTURE_SECONDS");
    let seconds = seconds.map_or(12, |text| text.parse().unwrap());
    let seed = std::env::var("REDIAL_TORTURE_SEED").map_or(1, |text| text.parse().unwrap());
    let (unix, network) = (TestServer::start(), NetworkServer::start());
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("cut.sock");
    let address = SocketAddr::from(([127, 0, 0, 1], network.port()));
    let (tcp_line, port) = Cutting::tcp(address, u32::MAX, 1 << 20, seed);
    let unix_line = Cutting::unix(&socket, &unix.socket(), u32::MAX, 1 << 20, seed + 1);
    let (over, tally) = (AtomicBool::new(false), Tally::default());
    let until = Instant::now() + Duration::from_secs(seconds);
    let run = |case: &Case, network_too: bool| {
        let run = if network_too {
            let run = network.redial(["run", "--host-key", network.host_key()]);
            run.args([format!("127.0.0.1:{port}")])
        } else {
            Redial::run(format!("unix:{}", socket.display())).args(["--on-drop", "keep:1m"])
        };
        let run = run.args(["--cwd", case.dir.to_str().unwrap()]);
        run.args(["-c", &case.command()]).input(&*case.input).ran()
    };
    let keepers = [unix.pid(), network.pid()];
    thread::scope(|scope| {
        scope.spawn(|| kill_fronts(&keepers, &over, &tally));
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let (run, tally, dir) = (&run, &tally, dir.path());
                scope.spawn(move || {
                    for turn in 0.. {
                        if Instant::now() >= until {
                            return;
                        }
                        let case = Case::new(dir, seed * 1_000_000 + turn * WORKERS + worker);
                        let ran = run(&case, worker % 2 == 0);
                        if let Some(wrong) = case.judge(&ran, tally) {
                            tally.wrong.lock().unwrap().push(wrong);
                        } else {
                            fs::remove_dir_all(&case.dir).unwrap();
                        }
                    }
                })
            })
            .collect();
        let ended: Vec<_> = workers
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect();
        over.store(true, Ordering::Relaxed);
        assert!(ended.iter().all(Result::is_ok));
    });
    tally
        .drops
        .store(tcp_line.made() + unix_line.made(), Ordering::Relaxed);
    println!("{seconds} s, seed {seed}: {tally:#?}");
    assert!(tally.wrong.lock().unwrap().is_empty());
    assert!(tally.jobs.load(Ordering::Relaxed) > 0);
}
