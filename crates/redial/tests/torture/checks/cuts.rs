//! One job, its line cut very often.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::thread;

use super::report;
use crate::flow::Flow;
use crate::settings::{Size, scaled, seed};
use crate::support::cutting::Cutting;
use crate::support::network::NetworkServer;
use crate::support::server::TestServer;
use crate::support::{Redial, idle};
use crate::{TIME_LIMIT, alone};

const CUTS: u64 = 1_000;
const OUTPUT_MIB: u64 = 1_024;
const INPUT_MIB: u64 = 256;
/// Between two cuts, so that there are bytes for all of them: a quarter comes in handshakes, and
/// what was on its way is sent again.
const WITHIN_BYTES: u64 = 1_600_000;
const STATUS: i32 = 77;

pub(super) struct Sizes {
    pub(super) cuts: Size,
    pub(super) output: Size,
    pub(super) input: Size,
}

pub(super) fn sizes() -> Sizes {
    Sizes {
        cuts: scaled(CUTS),
        output: scaled(OUTPUT_MIB),
        input: scaled(INPUT_MIB),
    }
}

#[test]
fn a_thousand_cuts_of_a_unix_socket_lose_nothing_of_a_gibibyte() {
    let _alone = alone();
    let (sizes, server) = (sizes(), TestServer::start());
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("line.sock");
    let cuts = sizes.cuts.run as u32;
    let line = Cutting::unix(&at, &server.socket(), cuts, WITHIN_BYTES, seed());
    let redial = Redial::run(format!("unix:{}", at.display())).args(["--on-drop", "keep:2m"]);
    exact(redial, dir.path(), &sizes, |_| ());
    said("Cuts, Unix socket", &line, &sizes);
}

#[test]
fn a_thousand_cuts_of_tls_lose_nothing_of_a_gibibyte() {
    let _alone = alone();
    let (sizes, server) = (sizes(), NetworkServer::start());
    let dir = tempfile::tempdir().unwrap();
    let to = SocketAddr::from(([127, 0, 0, 1], server.port()));
    let (line, port) = Cutting::tcp(to, sizes.cuts.run as u32, WITHIN_BYTES, seed());
    let redial = server.redial(["run", "--host-key", server.host_key()]);
    exact(
        redial.args([format!("127.0.0.1:{port}")]),
        dir.path(),
        &sizes,
        |_| (),
    );
    said("Cuts, TCP with TLS", &line, &sizes);
}

/// Both streams in full at once, the exit status, one run. Says how much of the output is there.
pub(super) fn exact(redial: Redial, dir: &Path, sizes: &Sizes, at: impl FnMut(u64)) {
    let output = Flow::new(seed(), sizes.output.run << 20);
    let input = Flow::new(seed() + 1, sizes.input.run << 20);
    let text = format!(
        "echo ran >> ran; {{ {}; }} & cat > in; wait; exit {STATUS}",
        output.command(dir)
    );
    let redial = redial.args(["--cwd", dir.to_str().unwrap(), "-c", &text]);
    let mut child = redial.spawn();
    let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let compared = thread::scope(|scope| {
        scope.spawn(|| input.write(stdin));
        output.compare(stdout, at)
    });
    idle(TIME_LIMIT, || child.try_wait().unwrap().is_some());
    // It is over, or it is too late.
    let _ = child.kill();
    let said = crate::support::said(&mut child);
    assert_eq!(compared, Ok(()), "stdout; {said}");
    assert_eq!(child.wait().unwrap().code(), Some(STATUS), "{said}");
    let taken = File::open(dir.join("in")).unwrap();
    assert_eq!(input.compare(taken, |_| ()), Ok(()), "stdin");
    assert_eq!(fs::read_to_string(dir.join("ran")).unwrap(), "ran\n");
}

fn said(name: &str, line: &Cutting, sizes: &Sizes) {
    let rows = [
        ("cuts", sizes.cuts),
        ("MiB of stdout", sizes.output),
        ("MiB of stdin at once", sizes.input),
    ];
    let (cuts, early) = (line.made(), line.early());
    let result = format!(
        "Seed {}: {cuts} cuts were made, {early} of them in a handshake. Every byte of both \
         streams was as it was written, the exit status exact, the command run once.",
        seed()
    );
    report(name, &rows, &result);
    // The last connection may end before it is cut, and there may be one that gives up before.
    assert!(cuts * 10 >= sizes.cuts.run * 9, "{cuts} cuts");
}
