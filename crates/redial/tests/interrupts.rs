//! What becomes of a Ctrl-C.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

mod support;

use std::io::Read;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use support::processes::{descendants, mark, marked, none_left};
use support::server::{TestServer, terminate};
use support::{Redial, eventually, finish, private};

/// A command that says `up` when it runs, and then what it hears. It sleeps in short
/// steps: a shell that is about to start a `sleep` when the signal comes sees it behind that.
fn listening(target: &str, text: &str, mark: &str) -> Child {
    let text = format!("{text}; echo up; while :; do sleep 0.05; done # {mark}");
    let mut child = Redial::run(target)
        .args(["-n", "--", "sh", "-c", &text])
        .in_own_group()
        .spawn();
    let mut up = [0; 3];
    child.stdout.as_mut().unwrap().read_exact(&mut up).unwrap();
    assert_eq!(&up, b"up\n");
    child
}

fn interrupt(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
}

#[test]
fn the_first_interrupt_is_the_commands_to_handle() {
    let mark = mark();
    let child = listening("local:", "trap 'exit 7' INT", &mark);
    interrupt(&child);
    assert_eq!(finish(child, Instant::now()).code, 7);
    let child = listening("local:", ":", &mark);
    interrupt(&child);
    assert_eq!(finish(child, Instant::now()).code, 130);
    assert!(none_left(&mark), "{:?}", marked(&mark));
}

#[test]
fn the_second_interrupt_ends_the_tree() {
    let mark = mark();
    let mut child = listening("local:", "trap 'echo heard' INT", &mark);
    interrupt(&child);
    let mut heard = [0; 6];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut heard)
        .unwrap();
    assert_eq!(&heard, b"heard\n");
    interrupt(&child);
    let ran = finish(child, Instant::now());
    assert_eq!(ran.code, 130);
    let wanted = "redial: note: ending its processes: TERM, KILL in 5 s\n";
    assert_eq!(ran.stderr, wanted);
    assert!(none_left(&mark), "{:?}", marked(&mark));
}

#[test]
fn the_third_interrupt_leaves_and_names_the_job() {
    let mark = mark();
    let mut child = listening("local:", "trap 'echo heard' INT TERM", &mark);
    for _ in 0..2 {
        interrupt(&child);
        let mut heard = [0; 6];
        child
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut heard)
            .unwrap();
    }
    interrupt(&child);
    let ran = finish(child, Instant::now());
    assert_eq!(ran.code, 130);
    assert!(ran.stderr.contains("redial: left job "), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("; its private server ends "),
        "{}",
        ran.stderr
    );
    // The line has dropped, and the policy of local: is to kill.
    assert!(none_left(&mark), "{:?}", marked(&mark));
}

#[test]
fn term_and_hup_cancel_at_once_and_are_128_and_their_number() {
    use rustix::process::{Pid, Signal, kill_process};
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129)] {
        let mark = mark();
        let child = listening("local:", "trap '' INT; trap 'exit 3' TERM", &mark);
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(finish(child, Instant::now()).code, code);
        assert!(none_left(&mark), "{:?}", marked(&mark));
    }
}

#[test]
fn quiet_says_nothing_of_an_end_that_was_asked_for() {
    let mut child = Redial::run("local:")
        .args(["-q", "-n", "--", "sh", "-c", "echo up; exec sleep 60"])
        .in_own_group()
        .spawn();
    let mut up = [0; 3];
    child.stdout.as_mut().unwrap().read_exact(&mut up).unwrap();
    terminate(child.id());
    let ran = finish(child, Instant::now());
    assert_eq!((ran.code, ran.stderr.as_str()), (143, ""));
}

#[test]
fn term_before_there_is_a_server_is_143() {
    let mut child = Redial::run("exec:echo up >&2; exec sleep 60")
        .args(["-n", "--", "true"])
        .spawn();
    let mut up = [0; 3];
    child.stderr.as_mut().unwrap().read_exact(&mut up).unwrap();
    terminate(child.id());
    assert_eq!(finish(child, Instant::now()).code, 143);
}

#[test]
fn a_signal_that_was_ignored_when_we_started_stays_ignored() {
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "trap '' INT; exec \"$@\"", "sh"]);
    shell
        .arg(support::binary())
        .args(["run", "local:", "-n", "--"]);
    shell.args(["sh", "-c", "echo up; sleep 0.3; echo still"]);
    let mut child = shell
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut up = [0; 3];
    child.stdout.as_mut().unwrap().read_exact(&mut up).unwrap();
    interrupt(&child);
    let ran = finish(child, Instant::now());
    assert_eq!((ran.code, &ran.stdout[..]), (0, &b"still\n"[..]));
}

#[test]
fn an_interrupt_leaves_at_once_when_only_our_own_writing_is_left() {
    let mut child = Redial::run("local:")
        .args([
            "-n",
            "--",
            "sh",
            "-c",
            "head -c 300000 /dev/zero; echo over >&2",
        ])
        .spawn();
    let mut word = [0; 5];
    child
        .stderr
        .as_mut()
        .unwrap()
        .read_exact(&mut word)
        .unwrap();
    // Nobody reads stdout, so it never ends by itself. How far the end of the job has come
    // is not seen here: at most three interrupts are needed, and each is heard.
    let left = eventually(|| {
        interrupt(&child);
        child.try_wait().unwrap()
    });
    assert_eq!(left.and_then(|status| status.code()), Some(130));
}

/// As the terminal does it: to the whole foreground group.
fn interrupt_group(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process_group(pid, rustix::process::Signal::INT).unwrap();
}

#[test]
fn the_terminals_interrupt_is_the_commands_and_cuts_no_line() {
    let server = TestServer::start();
    for target in ["local:".to_owned(), private(), server.bridged()] {
        let mark = mark();
        let child = listening(&target, "trap 'exit 7' INT", &mark);
        interrupt_group(&child);
        let ran = finish(child, Instant::now());
        assert_eq!(ran.code, 7, "{target}: {}", ran.stderr);
        assert!(none_left(&mark), "{:?}", marked(&mark));
    }
}

/// Else a password question on the terminal would stop it.
#[test]
fn the_program_of_an_exec_target_is_in_our_process_group() {
    let child = Redial::run("exec:cut -d' ' -f5 /proc/$$/stat >&2; exit 1")
        .args(["-n", "--", "true"])
        .in_own_group()
        .spawn();
    let group = format!("{}\n", child.id());
    let ran = finish(child, Instant::now());
    assert!(ran.stderr.starts_with(&group), "{group}{}", ran.stderr);
}

/// Stands between a client and a server, and holds back what the server says after its
/// hello until it is told.
struct Slow {
    socket: PathBuf,
    release: Sender<()>,
    _dir: tempfile::TempDir,
}

impl Slow {
    fn before(server: &TestServer) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("s");
        let listener = UnixListener::bind(&socket).unwrap();
        let (release, held) = channel();
        let server = UnixStream::connect(server.socket()).unwrap();
        std::thread::spawn(move || {
            let (client, _) = listener.accept().unwrap();
            let (mut up, mut down) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut up, &mut down));
            pass_hello_then_hold(server, client, &held);
        });
        let _dir = dir;
        Slow {
            socket,
            release,
            _dir,
        }
    }

    fn target(&self) -> String {
        format!("unix:{}", self.socket.display())
    }
}

/// The hello is all a server says before it is asked for something.
fn pass_hello_then_hold(mut server: UnixStream, mut client: UnixStream, held: &Receiver<()>) {
    use std::io::Write;
    let mut hello = [0; 4096];
    let len = server.read(&mut hello).unwrap();
    client.write_all(&hello[..len]).unwrap();
    if held.recv().is_ok() {
        // It ends when either side does.
        let _ = std::io::copy(&mut server, &mut client);
    }
}

#[test]
fn an_interrupt_before_the_server_has_answered_is_kept_for_the_command() {
    let server = TestServer::start();
    let (mark, slow) = (mark(), Slow::before(&server));
    let text = format!("trap 'exit 7' INT; while :; do sleep 0.05; done # {mark}");
    let args = ["-n", "--", "sh", "-c", &text];
    let child = Redial::run(slow.target()).args(args).spawn();
    // It runs once it sleeps: its trap is set then.
    let runs = eventually(|| {
        let shell = marked(&mark).into_iter().next()?;
        (!descendants(shell.pid).is_empty()).then_some(())
    });
    assert!(runs.is_some());
    interrupt(&child);
    slow.release.send(()).unwrap();
    let ran = finish(child, Instant::now());
    assert_eq!(ran.code, 7, "{}", ran.stderr);
    assert!(none_left(&mark), "{:?}", marked(&mark));
}

#[test]
fn who_leaves_before_the_server_has_answered_is_told_the_jobs_name() {
    let server = TestServer::start();
    let (mark, slow) = (mark(), Slow::before(&server));
    let mut child = Redial::run(slow.target())
        .args(["-n", "--", "sleep", &mark])
        .spawn();
    assert!(eventually(|| (!marked(&mark).is_empty()).then_some(())).is_some());
    // Signals of one kind that come together are one.
    let left = eventually(|| {
        interrupt(&child);
        child.try_wait().unwrap()
    });
    assert_eq!(left.and_then(|status| status.code()), Some(130));
    let ran = finish(child, Instant::now());
    assert!(ran.stderr.contains("redial: left job "), "{}", ran.stderr);
    drop(slow);
    assert!(none_left(&mark), "{:?}", marked(&mark));
}
