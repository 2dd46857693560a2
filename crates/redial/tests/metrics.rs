//! What a monitor is told: in the form that it reads, and true.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

mod support;

use std::collections::{HashMap, HashSet};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use support::server::TestServer;
use support::{Redial, eventually};

/// Asks as a monitor does; the whole answer.
fn ask(socket: &Path, request: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

const REQUEST: &str = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn scrape(socket: &Path) -> String {
    let answer = ask(socket, REQUEST);
    let (head, text) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.0 200 OK\r\n"), "{head}");
    assert!(
        head.contains("Content-Type: text/plain; version=0.0.4"),
        "{head}"
    );
    assert!(
        head.contains(&format!("Content-Length: {}", text.len())),
        "{head}"
    );
    text.to_owned()
}

/// A server with a socket for its monitor.
fn monitored(dir: &Path, args: &[&str]) -> (TestServer, std::path::PathBuf) {
    let socket = dir.join("metrics");
    let at = format!("unix:{}", socket.display());
    let server = TestServer::with(&[&["--metrics", &at], args].concat());
    // It is there a moment after the socket for commands.
    let there = eventually(|| UnixStream::connect(&socket).ok());
    assert!(there.is_some());
    (server, socket)
}

/// The value of one sample, by its name and labels.
fn value(text: &str, sample: &str) -> f64 {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {sample} in {text}"))
        .parse()
        .unwrap()
}

#[test]
fn figures_are_what_has_happened() {
    let dir = tempfile::tempdir().unwrap();
    let (server, socket) = monitored(dir.path(), &[]);
    for (script, code) in [
        ("echo out; echo err >&2", 0),
        ("exit 3", 3),
        ("kill -9 $$", 137),
    ] {
        let ran = server.run().args(["-n", "-c", script]).ran();
        assert_eq!(ran.code, code, "{}", ran.stderr);
    }
    let failed = server.run().args(["-n", "--", "/no/such/program"]).ran();
    assert_eq!(failed.code, 127);
    let fed = server.run().args(["--", "cat"]).input("12345").ran();
    assert_eq!(fed.stdout, b"12345");
    let mut sleeps = server
        .run()
        .args(["-n", "-c", "echo on; exec sleep 1000"])
        .spawn();
    sleeps
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut [0; 3])
        .unwrap();
    let text = scrape(&socket);
    for (sample, expected) in [
        ("redial_jobs_started_total", 5.0),
        ("redial_jobs_ended_total{how=\"exited-0\"}", 2.0),
        ("redial_jobs_ended_total{how=\"exited\"}", 1.0),
        ("redial_jobs_ended_total{how=\"signaled\"}", 1.0),
        ("redial_jobs_ended_total{how=\"not-started\"}", 1.0),
        ("redial_jobs{state=\"running\"}", 1.0),
        ("redial_stream_bytes_total{stream=\"stdin\"}", 5.0),
        ("redial_stream_bytes_total{stream=\"stdout\"}", 12.0),
        ("redial_stream_bytes_total{stream=\"stderr\"}", 4.0),
        ("redial_spawn_duration_seconds_count", 5.0),
        ("redial_connections{from=\"unix\"}", 1.0),
        ("redial_front_restarts_total", 0.0),
    ] {
        assert_eq!(value(&text, sample), expected, "{sample}: {text}");
    }
    assert!(value(&text, "redial_authentications_total{result=\"accepted\"}") >= 6.0);
    support::server::kill_front(server.pid());
    let restarted = eventually(|| {
        let text = scrape(&socket);
        (value(&text, "redial_front_restarts_total") == 1.0).then_some(())
    });
    assert!(restarted.is_some());
    sleeps.kill().unwrap();
    sleeps.wait().unwrap();
}

/// What `promtool check metrics` looks at, and the format itself.
#[test]
fn a_monitor_can_read_every_line() {
    let dir = tempfile::tempdir().unwrap();
    let (server, socket) = monitored(dir.path(), &[]);
    server.run().args(["--", "true"]).ran();
    let text = scrape(&socket);
    assert!(text.ends_with('\n'));
    let mut kinds: HashMap<&str, &str> = HashMap::new();
    let (mut helped, mut seen) = (HashSet::new(), HashSet::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(helped.insert(name), "{name} has two helps");
            assert!(help.ends_with('.') && help.len() > 9, "{line}");
            continue;
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(helped.contains(name), "{name} has no help before its type");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(kinds.insert(name, kind).is_none(), "{name} has two types");
            continue;
        }
        let (sample, number) = line.rsplit_once(' ').unwrap();
        assert!(seen.insert(sample), "{sample} is there twice");
        let number: f64 = number.parse().unwrap();
        assert!(number >= 0.0, "{line}");
        let name = sample.split('{').next().unwrap();
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        assert!(
            name.starts_with("redial_") && name.bytes().all(plain),
            "{line}"
        );
        let base = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|it| name.strip_suffix(it));
        let base = base.filter(|base| kinds.get(base) == Some(&"histogram"));
        assert!(
            kinds.contains_key(base.unwrap_or(name)),
            "{line}: no type before it"
        );
    }
    assert_eq!(helped.len(), kinds.len());
    // A histogram only grows, and its last bucket has all.
    let buckets = text.lines().filter(|line| line.contains("_bucket{"));
    let counts: Vec<f64> = buckets
        .map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
        .collect();
    assert!(counts.is_sorted());
    assert_eq!(
        counts.last(),
        Some(&value(&text, "redial_spawn_duration_seconds_count"))
    );
}

#[test]
fn whatever_is_asked_the_answer_is_the_same_and_nobody_else_waits() {
    let dir = tempfile::tempdir().unwrap();
    let (server, socket) = monitored(dir.path(), &[]);
    let noise = String::from_utf8_lossy(&support::noise(7, 4_000)).into_owned();
    for request in ["x", "POST / HTTP/9\r\n\r\n", &noise, "GET /\0\0"] {
        assert!(
            ask(&socket, request).starts_with("HTTP/1.0 200 OK"),
            "{request:?}"
        );
    }
    // Who asks nothing, and stays, holds up monitors for a second at most, and commands not at all.
    let silent = UnixStream::connect(&socket).unwrap();
    assert_eq!(server.run().args(["--", "true"]).ran().code, 0);
    scrape(&socket);
    drop(silent);
    let about = std::fs::metadata(&socket).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&about.permissions());
    assert_eq!(mode & 0o777, 0o600);
    drop(server);
    assert!(!socket.exists(), "its socket goes with it");
}

#[test]
fn no_secret_is_in_it_and_an_upgrade_serves_it_again() {
    let dir = tempfile::tempdir().unwrap();
    let (server, socket) = monitored(dir.path(), &[]);
    let run = server
        .run()
        .args(["--env", "CANARY=canary-env", "--", "sh", "-c"]);
    let ran = run
        .args(["cat; echo canary-argv"])
        .input("canary-stdin")
        .ran();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(!scrape(&socket).contains("canary"));
    let upgraded = Redial::bare(["upgrade", &server.target()]).ran();
    assert_eq!(upgraded.code, 0, "{}", upgraded.stderr);
    let again = eventually(|| {
        UnixStream::connect(&socket).ok()?;
        Some(scrape(&socket))
    });
    assert!(
        again
            .expect("metrics")
            .contains("redial_build_info{version=")
    );
}

#[test]
fn only_a_loopback_address_or_a_socket_is_taken() {
    for (at, taken) in [
        ("127.0.0.1:0", true),
        ("[::1]:0", true),
        ("0.0.0.0:9100", false),
        ("192.0.2.1:9100", false),
        ("unix:", false),
        ("nonsense/", false),
    ] {
        let dir = support::server::dir_for_socket();
        let socket = format!("unix:{}", support::server::socket_in(dir.path()).display());
        let serve = Redial::bare(["serve", "--listen", &socket, "--metrics", at]);
        let serve = serve.env("REDIAL_STATE_DIR", dir.path());
        if taken {
            let mut child = serve.spawn();
            let is_there = eventually(|| {
                support::server::socket_in(dir.path())
                    .exists()
                    .then_some(())
            });
            assert!(is_there.is_some());
            support::server::terminate(child.id());
            let said = support::said(&mut child);
            assert!(said.contains("metrics"), "{said}");
            child.wait().unwrap();
        } else {
            let ran = serve.ran();
            assert_eq!(ran.code, 125, "{at}");
            assert!(
                ran.stderr.contains("--metrics") || ran.stderr.contains("--listen"),
                "{}",
                ran.stderr
            );
        }
    }
}
