//! Every byte, every exit status, one run.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::cutting::Cutting;
use crate::support::network::NetworkServer;
use crate::support::processes::descendants;
use crate::support::server::{TestServer, kill_front};
use crate::support::{Ran, Random, Redial, eventually, noise, wait};
use crate::{address, assert_exact, echo, sees, through};

#[test]
fn a_line_that_is_cut_over_and_over_loses_and_doubles_nothing() {
    let server = NetworkServer::start();
    let dir = tempfile::tempdir().unwrap();
    let runs = dir.path().join("runs");
    let (cutting, port) = Cutting::tcp(address(&server), 40, 1 << 20, 7);
    let input = noise(1, 16 << 20);
    let ran = through(&server, port, "run")
        .args(["-c", &echo(&runs)])
        .input(&*input)
        .ran();
    assert_exact(&ran, &input, &runs);
    assert!(cutting.made() >= 20, "{} cuts", cutting.made());
}

#[test]
fn a_unix_socket_that_is_cut_loses_nothing_where_the_job_is_to_be_kept() {
    let server = TestServer::start();
    let dir = tempfile::tempdir().unwrap();
    let (runs, socket) = (dir.path().join("runs"), dir.path().join("cut.sock"));
    let cutting = Cutting::unix(&socket, &server.socket(), 40, 1 << 20, 8);
    let input = noise(2, 16 << 20);
    let ran = Redial::run(format!("unix:{}", socket.display()))
        .args(["--on-drop", "keep:1m", "-c", &echo(&runs)])
        .input(&*input)
        .ran();
    assert_exact(&ran, &input, &runs);
    assert!(cutting.made() >= 20, "{} cuts", cutting.made());
}

/// At a cut its output begins to go to a file, and its client is back about then: sometimes
/// before there is one, sometimes ahead of what is written to it.
#[test]
fn a_job_that_is_kept_whatever_happens_goes_on_at_the_byte_after_each_cut() {
    let server = TestServer::start();
    let dir = tempfile::tempdir().unwrap();
    let output = noise(4, 2 << 20);
    fs::write(dir.path().join("output"), &output).unwrap();
    for turn in 0..60 {
        let socket = dir.path().join(format!("{turn}.sock"));
        let cutting = Cutting::unix(&socket, &server.socket(), 3, 300_000, 100 + turn);
        let ran = Redial::run(format!("unix:{}", socket.display()))
            .args(["--cwd", dir.path().to_str().unwrap(), "--on-drop", "keep"])
            .args(["-n", "-c", "cat output; echo end >&2; exit 3"])
            .ran();
        assert_eq!((ran.code, &*ran.stderr), (3, "end\n"), "turn {turn}");
        assert!(ran.stdout == output, "turn {turn}: {}", ran.stdout.len());
        assert!(cutting.made() > 0);
    }
}

/// Nobody can know from here whether a start arrived whose answer was cut off: it is sent again.
#[test]
fn a_line_that_is_cut_at_any_byte_of_a_short_command_runs_it_once() {
    let server = TestServer::start();
    let dir = tempfile::tempdir().unwrap();
    let (mut exact, mut unreached) = (0, 0);
    for after in (1..700).step_by(7) {
        let runs = dir.path().join(format!("runs-{after}"));
        let socket = dir.path().join(format!("{after}.sock"));
        let _line = Cutting::once(&socket, &server.socket(), after);
        let ran = Redial::run(format!("unix:{}", socket.display()))
            .args(["--on-drop", "keep:1m", "-c", &echo(&runs)])
            .input(*b"in")
            .ran();
        assert!(ran.took < Duration::from_secs(5), "{after}: {:?}", ran.took);
        if ran.code == 125 {
            // The first line did not get as far as the hello.
            assert!(
                !runs.exists() && unreached == after / 7,
                "{after}: {}",
                ran.stderr
            );
            unreached += 1;
        } else {
            assert_exact(&ran, b"in", &runs);
            exact += 1;
        }
    }
    println!("{exact} of 100 cuts behind the hello");
    assert!(exact > 30);
}

/// Runs `run` while the fronts of a keeper are killed, one every few hundred milliseconds from
/// the moment that it has begun.
fn while_fronts_die(keeper: u32, begun: &Path, run: Redial) -> (Ran, u32) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let killer = scope.spawn(|| {
            let (mut random, mut killed) = (Random::new(3), 0);
            let begins = || begun.exists() || over.load(Ordering::Relaxed);
            eventually(|| begins().then_some(()));
            while !over.load(Ordering::Relaxed) {
                kill_front(keeper);
                killed += 1;
                let pause = Duration::from_millis(250 + random.below(100));
                let until = Instant::now() + pause;
                // Not killed before it could be one; ends at once when the run does.
                let ended = || over.load(Ordering::Relaxed) || Instant::now() >= until;
                eventually(|| ended().then_some(()));
            }
            killed
        });
        let ran = run.ran();
        over.store(true, Ordering::Relaxed);
        (ran, killer.join().unwrap())
    })
}

#[test]
fn fronts_that_are_killed_lose_and_double_nothing() {
    let server = TestServer::start();
    let network = NetworkServer::start();
    let dir = tempfile::tempdir().unwrap();
    let input = noise(3, 4 << 20);
    for (name, keeper, run) in [
        ("unix", server.pid(), server.run()),
        ("tcp", network.pid(), network.run()),
    ] {
        let runs = dir.path().join(name);
        // Slow enough for several fronts.
        let text = format!(
            "echo ran >> {}; while dd bs=64k count=1 iflag=fullblock 2>/dev/null | tee {name}.part; \
             [ -s {name}.part ]; do sleep 0.02; done; echo end >&2; exit 3",
            runs.display()
        );
        let run = run.args(["--cwd", dir.path().to_str().unwrap(), "-c", &text]);
        let (ran, killed) = while_fronts_die(keeper, &runs, run.input(&*input));
        assert_exact(&ran, &input, &runs);
        assert!(killed > 3, "{killed} fronts in {:?}", ran.took);
    }
}

#[test]
fn a_program_that_carries_the_line_is_run_again_when_it_has_died() {
    let server = TestServer::start();
    let dir = tempfile::tempdir().unwrap();
    let (runs, done) = (dir.path().join("runs"), dir.path().join("done"));
    let text = format!(
        "echo ran >> {}; echo up; while ! [ -e {} ]; do sleep 0.01; done; echo end; exit 6",
        runs.display(),
        done.display()
    );
    let mut child = Redial::run(server.bridged())
        .args(["-n", "-v", "-c", &text])
        .spawn();
    let mut rest = sees(&mut child, "up\n");
    let bridge = || {
        let all = descendants(child.id()).into_iter();
        all.map(|it| it.pid).collect::<Vec<u32>>()
    };
    let before = eventually(|| Some(bridge()).filter(|it| !it.is_empty())).unwrap();
    for pid in &before {
        let pid = Pid::from_raw(pid.cast_signed()).unwrap();
        let _ = kill_process(pid, Signal::KILL);
    }
    let another = || bridge().iter().any(|pid| !before.contains(pid));
    assert!(eventually(|| another().then_some(())).is_some());
    fs::write(&done, "").unwrap();
    let mut out = String::new();
    rest.read_to_string(&mut out).unwrap();
    assert_eq!((wait(&mut child), &*out), (6, "end\n"));
    assert_eq!(fs::read_to_string(&runs).unwrap(), "ran\n");
}
