//! The server: who gets in, how it starts by itself, and that it leaves nothing behind.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use redial_client::{Cause, Command, ConnectOptions, JobEvent, Target, blocking};
use support::processes::{Process, descendants, descriptors, mark, marked};
use support::server::{TestServer, bridge, dir_for_socket, socket_in, terminate};
use support::{Redial, eventually};

fn client(target: &str) -> blocking::Client {
    let target: Target = target.parse().unwrap();
    blocking::Client::connect(&target, ConnectOptions::default()).unwrap()
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

#[test]
fn socket_and_directory_are_the_users_alone() {
    let server = TestServer::start();
    assert_eq!(mode(&server.socket()), 0o600);
    assert_eq!(mode(server.socket().parent().unwrap()), 0o700);
}

#[test]
fn a_second_server_on_the_same_socket_is_refused_and_a_stale_socket_replaced() {
    let mut server = TestServer::start();
    let ran = Redial::bare(["serve", "--listen", &server.target()]).ran();
    assert_eq!(ran.code, 125);
    assert!(ran.stderr.contains("already served"), "{}", ran.stderr);
    assert_eq!(server.run().args(["-n", "true"]).ran().code, 0);
    assert_eq!(server.stop(), 0);
    assert!(!server.socket().exists());
}

#[test]
fn a_place_that_cannot_be_served_is_named_once() {
    let dir = tempfile::tempdir().unwrap();
    let absent = dir.path().join("absent");
    let listen = format!("unix:{}/r.sock", absent.display());
    let needle = format!("the directory {} does not exist; make it", absent.display());
    let serve = Redial::bare(["serve", "--listen", &listen]).ran();
    assert_eq!(serve.code, 125);
    assert_eq!(serve.stderr.matches(&needle).count(), 1, "{}", serve.stderr);
    assert!(!serve.stderr.contains("listening"), "{}", serve.stderr);
    assert!(!absent.exists());
    let bridge = Redial::run(bridge(&absent.join("r.sock")));
    let ran = bridge.args(["-n", "true"]).ran();
    assert_eq!(ran.code, 125);
    assert!(ran.stderr.contains(&needle), "{}", ran.stderr);
    assert!(!absent.exists());
}

#[test]
fn a_server_says_where_it_listens_once_it_does() {
    use std::io::BufRead;
    let dir = dir_for_socket();
    let socket = socket_in(dir.path());
    let listen = format!("unix:{}", socket.display());
    let mut child = Redial::bare(["serve", "--listen", &listen]).spawn();
    let mut log = std::io::BufReader::new(child.stderr.take().unwrap()).lines();
    let line = log.find_map(|line| Some(line.unwrap()).filter(|line| line.contains("listening")));
    let line = line.unwrap();
    assert!(
        line.contains("INFO") && line.contains(socket.to_str().unwrap()),
        "{line}"
    );
    let ran = Redial::run(&listen).args(["-n", "echo", "hi"]).ran();
    assert_eq!((ran.code, &ran.stdout[..]), (0, &b"hi\n"[..]));
    terminate(child.id());
    assert_eq!(support::wait(&mut child), 0);
    assert!(log.all(|line| !line.unwrap().contains("listening")), "once");
}

/// As root it would be /run/redial, where a server of this machine may be.
#[test]
fn the_default_sockets_directory_is_made_for_the_user_alone() {
    if rustix::process::geteuid().is_root() {
        return support::skip(
            "the_default_sockets_directory_is_made_for_the_user_alone: needs an ordinary user",
        );
    }
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("redial/redial.sock");
    let server = |redial: Redial| redial.env("XDG_RUNTIME_DIR", dir.path());
    let mut child = server(Redial::bare(["serve"])).spawn();
    assert!(eventually(|| UnixStream::connect(&socket).ok()).is_some());
    assert_eq!(mode(socket.parent().unwrap()), 0o700);
    assert_eq!(
        server(Redial::run("unix:")).args(["-n", "true"]).ran().code,
        0
    );
    terminate(child.id());
    assert_eq!(support::wait(&mut child), 0);
}

#[test]
fn the_bridge_starts_a_server_which_stays_and_two_bridges_share_it() {
    let dir = dir_for_socket();
    let socket = socket_in(dir.path());
    let target = bridge(&socket);
    let both: Vec<_> = (0..2)
        .map(|_| {
            let target = target.clone();
            std::thread::spawn(move || Redial::run(target).args(["-n", "echo", "hi"]).ran())
        })
        .collect();
    for one in both {
        let ran = one.join().unwrap();
        assert_eq!(
            (ran.code, &ran.stdout[..]),
            (0, &b"hi\n"[..]),
            "{}",
            ran.stderr
        );
    }
    let server = server_behind(&socket);
    let ran = Redial::run(&target).args(["-n", "echo", "hi"]).ran();
    assert_eq!(ran.code, 0);
    assert!(server_behind(&socket).is(&server), "one server for all");
    terminate(server.pid);
    assert!(eventually(|| (!server.lives()).then_some(())).is_some());
}

/// Who listens there, as the kernel says.
fn server_behind(socket: &Path) -> Process {
    let stream = UnixStream::connect(socket).unwrap();
    let peer = rustix::net::sockopt::socket_peercred(&stream).unwrap();
    Process::of(peer.pid.as_raw_nonzero().get().cast_unsigned()).unwrap()
}

#[test]
fn a_server_that_ends_takes_its_jobs_along_and_says_so() {
    let mut server = TestServer::start();
    let mark = mark();
    let job = client(&server.target())
        .start(Command::new(["sleep", &mark]))
        .unwrap();
    assert_eq!(server.stop(), 0);
    let last = job.last().unwrap();
    let Ok(JobEvent::Ended(outcome)) = last else {
        panic!("{last:?}")
    };
    assert_eq!(outcome.cause, Cause::ServerEnded);
    assert!(marked(&mark).is_empty());
}

#[test]
fn a_private_server_ends_with_its_client() {
    let mark = mark();
    let mut child = Redial::run("local:")
        .args(["-n", "--", "sleep", &mark])
        .spawn();
    assert!(eventually(|| (!marked(&mark).is_empty()).then_some(())).is_some());
    let servers = descendants(child.id());
    assert!(servers.len() >= 2, "{servers:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    for process in servers {
        let gone = eventually(|| (!process.lives()).then_some(()));
        assert!(gone.is_some(), "{process:?}");
    }
}

/// Processes that try to get away: another session, a double fork, an empty environment.
fn fugitives(mark: &str) -> String {
    format!(
        "setsid sleep {mark} & (sleep {mark} & sleep {mark} &) & env -i /bin/sleep {mark} & \
         setsid sh -c '(sleep {mark} &) & env -i /bin/sleep {mark}' & sleep {mark}"
    )
}

#[test]
fn cancelling_a_job_ends_all_of_its_processes_and_none_of_anothers() {
    let server = TestServer::start();
    let client = client(&server.target());
    let (first, second) = (mark(), mark());
    let start = |mark: &str| {
        client
            .start(Command::new(["sh", "-c", &fugitives(mark)]))
            .unwrap()
    };
    let (cancelled, other) = (start(&first), start(&second));
    let all = |mark: &str| eventually(|| (sleeps(mark) == 7).then_some(()));
    assert!(
        all(&first).is_some() && all(&second).is_some(),
        "{:?}",
        marked(&first)
    );
    cancelled.handle().cancel(Duration::ZERO).unwrap();
    let last = cancelled.last().unwrap();
    let Ok(JobEvent::Ended(outcome)) = last else {
        panic!("{last:?}")
    };
    assert!(matches!(outcome.cause, Cause::Cancelled(_)), "{outcome:?}");
    if !outcome.exact {
        support::skip("an exact cancel: no cgroup can be made here, what was reached is tested");
    }
    assert!(
        eventually(|| (sleeps(&first) == 0).then_some(())).is_some(),
        "{:?}",
        marked(&first)
    );
    assert_eq!(sleeps(&second), 7, "{:?}", marked(&second));
    other.handle().cancel(Duration::ZERO).unwrap();
    other.last().unwrap().unwrap();
    assert!(eventually(|| (sleeps(&second) == 0).then_some(())).is_some());
}

fn sleeps(mark: &str) -> usize {
    let is_sleep = |process: &&Process| {
        process.arguments.starts_with("sleep ") || process.arguments.starts_with("/bin/sleep ")
    };
    marked(mark).iter().filter(is_sleep).count()
}

#[test]
fn a_stalled_reader_holds_no_neighbour_on_its_connection() {
    let server = TestServer::start();
    let client = client(&server.target());
    let stalled = client
        .start(Command::new(["head", "-c", "1073741824", "/dev/zero"]))
        .unwrap();
    let others: Vec<_> = (0..63)
        .map(|_| {
            let client = client.clone();
            let command = Command::new(["head", "-c", "1000000", "/dev/zero"]);
            std::thread::spawn(move || client.run(command).unwrap())
        })
        .collect();
    for other in others {
        assert_eq!(other.join().unwrap().stdout.len(), 1_000_000);
    }
    drop(stalled);
}

#[test]
fn twenty_thousand_commands_leave_no_zombie_and_no_descriptor() {
    let server = TestServer::start();
    let client = client(&server.target());
    let front = descendants(server.pid())[0].pid;
    client.run(Command::new(["true"])).unwrap();
    let open = || [server.pid(), front].map(descriptors);
    let before = open();
    let workers: Vec<_> = (0..32)
        .map(|_| {
            let client = client.clone();
            std::thread::spawn(move || {
                for _ in 0..625 {
                    let finished = client.run(Command::new(["true"])).unwrap();
                    assert!(finished.outcome.is_success(), "{finished:?}");
                }
            })
        })
        .collect();
    workers
        .into_iter()
        .for_each(|worker| worker.join().unwrap());
    // The keeper keeps up to 64 empty cgroups for jobs to come, each with a descriptor.
    let most = [before[0] + 64 + 2, before[1] + 2];
    let back = eventually(|| {
        let now = open();
        (now[0] <= most[0] && now[1] <= most[1]).then_some(())
    });
    assert!(
        back.is_some(),
        "descriptors: {before:?} before, {:?} now",
        open()
    );
    let zombies: Vec<_> = descendants(server.pid())
        .into_iter()
        .filter(|child| child.state == 'Z')
        .collect();
    assert!(zombies.is_empty(), "{zombies:?}");
}
