//! The line drops, the front dies: another is dialled, and nothing is lost or done twice.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use support::cutting::Cutting;
use support::network::NetworkServer;
use support::processes::{descendants, mark, none_left};
use support::server::{TestServer, kill_front};
use support::{Ran, Random, Redial, eventually, noise};

/// Gives back what it reads, and leaves a line in a file each time that it is run.
fn echo(runs: &Path) -> String {
    format!("echo ran >> {}; cat; echo end >&2; exit 3", runs.display())
}

fn assert_exact(ran: &Ran, input: &[u8], runs: &Path) {
    assert_eq!((ran.code, &*ran.stderr), (3, "end\n"));
    assert!(
        ran.stdout == input,
        "{} bytes of {}",
        ran.stdout.len(),
        input.len()
    );
    assert_eq!(fs::read_to_string(runs).unwrap(), "ran\n", "run once");
}

/// By way of a line of the test's own.
fn through(server: &NetworkServer, port: u16, command: &str) -> Redial {
    server
        .redial([command, "--host-key", server.host_key()])
        .args([format!("127.0.0.1:{port}")])
}

/// Waits for a line on stdout.
fn sees(child: &mut Child, line: &str) -> impl Read + use<> {
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut seen = String::new();
    while !seen.ends_with(line) {
        assert_ne!(stdout.read_line(&mut seen).unwrap(), 0, "{seen:?}");
    }
    stdout
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn address(server: &NetworkServer) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], server.port()))
}

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
    let ran = support::Redial::run(format!("unix:{}", socket.display()))
        .args(["--on-drop", "keep:1m", "-c", &echo(&runs)])
        .input(&*input)
        .ran();
    assert_exact(&ran, &input, &runs);
    assert!(cutting.made() >= 20, "{} cuts", cutting.made());
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
fn a_signal_that_is_sent_while_the_line_is_down_arrives_once() {
    let server = NetworkServer::start();
    let (line, port) = Cutting::whole(address(&server));
    let dir = tempfile::tempdir().unwrap();
    let (caught, done) = (dir.path().join("caught"), dir.path().join("done"));
    let text = format!(
        "trap 'echo caught >> {0}' INT; echo up; while ! [ -e {1} ]; do sleep 0.02; done; \
         cat {0}; exit 4",
        caught.display(),
        done.display()
    );
    let run = through(&server, port, "run").in_own_group();
    let mut child = run.args(["-n", "-c", &text]).spawn();
    let mut rest = sees(&mut child, "up\n");
    line.down();
    signal(&child, Signal::INT);
    line.up();
    assert!(eventually(|| caught.exists().then_some(())).is_some());
    fs::write(&done, "").unwrap();
    let mut out = String::new();
    rest.read_to_string(&mut out).unwrap();
    assert_eq!((support::wait(&mut child), &*out), (4, "caught\n"));
}

#[test]
fn a_cancel_that_is_sent_while_the_line_is_down_arrives() {
    let server = NetworkServer::start();
    let (line, port) = Cutting::whole(address(&server));
    let mark = mark();
    let run = through(&server, port, "run").in_own_group();
    let text = format!("echo up; exec sleep {mark}");
    let mut child = run.args(["-n", "-c", &text]).spawn();
    let rest = sees(&mut child, "up\n");
    line.down();
    signal(&child, Signal::TERM);
    line.up();
    assert_eq!(support::wait(&mut child), 143);
    assert!(none_left(&mark));
    drop(rest);
}

#[test]
fn without_dialling_again_a_dropped_line_is_the_end() {
    let server = NetworkServer::start();
    let (line, port) = Cutting::whole(address(&server));
    for arguments in [&["--no-redial"][..], &["--redial", "0"]] {
        let run = through(&server, port, "run").args(arguments);
        let mut child = run.args(["-n", "-c", "echo up; sleep 60"]).spawn();
        let rest = sees(&mut child, "up\n");
        line.down();
        assert_eq!(support::wait(&mut child), 125);
        line.up();
        drop(rest);
    }
}

#[test]
fn after_the_time_for_dialling_again_the_job_is_given_up_with_both_reasons() {
    let server = NetworkServer::start();
    let (line, port) = Cutting::whole(address(&server));
    let run = through(&server, port, "run").args(["--redial", "300ms"]);
    let mut child = run.args(["-n", "-c", "echo up; sleep 60"]).spawn();
    drop(sees(&mut child, "up\n"));
    line.down();
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!(support::wait(&mut child), 125);
    let told = [
        "lost before its outcome was known",
        "dialled again in vain for 0.3 s",
    ];
    assert!(told.iter().all(|it| said.contains(it)), "{said}");
}

#[test]
fn a_job_whose_keeper_is_another_is_lost_and_never_run_again() {
    let server = NetworkServer::start();
    let (line, port) = Cutting::whole(address(&server));
    let dir = tempfile::tempdir().unwrap();
    let runs = dir.path().join("runs");
    let text = format!("echo ran >> {}; echo up; sleep 60", runs.display());
    let mut child = through(&server, port, "run")
        .args(["-n", "-c", &text])
        .spawn();
    drop(sees(&mut child, "up\n"));
    line.down();
    let server = server.again();
    line.up();
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!(support::wait(&mut child), 125);
    assert!(said.contains("the server has it no more"), "{said}");
    assert_eq!(fs::read_to_string(&runs).unwrap(), "ran\n");
    drop(server);
}

#[test]
fn output_that_went_while_nobody_came_back_is_named_byte_by_byte() {
    let server = NetworkServer::start();
    let (line, port) = Cutting::whole(address(&server));
    let dir = tempfile::tempdir().unwrap();
    let go = dir.path().join("go");
    let text = format!(
        "echo $$; while ! [ -e {} ]; do sleep 0.01; done; head -c 5000 /dev/zero; sleep 600",
        go.display()
    );
    let run = through(&server, port, "run").args(["--on-drop", "keep:200ms"]);
    let mut child = run.args(["-n", "-c", &text]).spawn();
    let mut rest = BufReader::new(child.stdout.take().unwrap());
    let mut pid = String::new();
    rest.read_line(&mut pid).unwrap();
    line.down();
    fs::write(&go, "").unwrap();
    let process = Path::new("/proc").join(pid.trim());
    let gone = eventually(|| (!process.exists()).then_some(()));
    assert!(gone.is_some(), "ended by its policy");
    line.up();
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!(support::wait(&mut child), 125, "{said}");
    assert!(said.contains("stdout"), "{said}");
    drop(rest);
}

#[test]
fn on_a_terminal_one_line_says_that_the_line_dropped_and_is_back() {
    let server = NetworkServer::start();
    let (line, port) = Cutting::whole(address(&server));
    let dir = tempfile::tempdir().unwrap();
    let done = dir.path().join("done");
    let text = format!(
        "echo up; while ! [ -e {} ]; do sleep 0.01; done",
        done.display()
    );
    let run = through(&server, port, "run").args(["-n", "-c", &text]);
    let mut terminal = run.on_terminal();
    terminal.sees("up\r\n");
    line.down();
    terminal.sees(&format!(
        "redial: line to 127.0.0.1:{port} dropped, dialling again … "
    ));
    line.up();
    let between = terminal.sees(" s, nothing lost\r\n");
    assert!(between.starts_with("back after "), "{between:?}");
    fs::write(&done, "").unwrap();
    assert_eq!(terminal.ends(), (0, String::new()));
}

#[test]
fn a_passphrase_is_typed_once_however_often_the_line_drops() {
    let server = NetworkServer::start();
    let key = server.home().join(".ssh/id_ed25519");
    let mut lock = Command::new("ssh-keygen");
    lock.args(["-q", "-p", "-P", "", "-N", "horse", "-f"])
        .arg(&key);
    if !lock.output().is_ok_and(|ran| ran.status.success()) {
        return support::skip(
            "a_passphrase_is_typed_once_however_often_the_line_drops: no ssh-keygen",
        );
    }
    let (line, port) = Cutting::whole(address(&server));
    let dir = tempfile::tempdir().unwrap();
    let done = dir.path().join("done");
    let text = format!(
        "echo up; while ! [ -e {} ]; do sleep 0.01; done",
        done.display()
    );
    let run = through(&server, port, "run").args(["-n", "-c", &text]);
    let mut terminal = run.on_terminal();
    terminal.sees("id_ed25519");
    terminal.types_hidden("horse");
    terminal.sees("up\r\n");
    for _ in 0..2 {
        line.down();
        terminal.sees("dialling again … ");
        line.up();
        let between = terminal.sees("nothing lost\r\n");
        assert!(between.starts_with("back after "), "{between:?}");
    }
    fs::write(&done, "").unwrap();
    assert_eq!(terminal.ends(), (0, String::new()));
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
    assert_eq!((support::wait(&mut child), &*out), (6, "end\n"));
    assert_eq!(fs::read_to_string(&runs).unwrap(), "ran\n");
}
