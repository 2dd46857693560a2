//! Very much output to a reader that pauses: the server's memory is bounded.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::report;
use crate::flow::Flow;
use crate::settings::{scaled, seed};
use crate::support::nats::{Broker, Host};
use crate::support::network::Home;
use crate::support::server::{TestServer, front};
use crate::support::{Redial, idle, memory};
use crate::{TIME_LIMIT, alone};

const OUTPUT_MIB: u64 = 10 * 1_024;
const PAUSE_SECONDS: u64 = 60;
/// Of all processes of the server together.
const RESIDENT_MAX_KIB: u64 = 96 * 1_024;
const STATUS: i32 = 33;

#[test]
fn ten_gibibytes_to_a_reader_that_pauses_leave_the_servers_memory_bounded() {
    let _alone = alone();
    let server = TestServer::start();
    let pids = [server.pid(), front(server.pid())];
    bounded("A reader that pauses", server.run(), &pids);
}

#[test]
fn ten_gibibytes_by_way_of_nats_to_a_reader_that_pauses_leave_it_bounded_too() {
    let _alone = alone();
    let (broker, home) = (Broker::start(), Home::with_key());
    let host = Host::start(&broker, &home, "torture");
    let pids = [host.pid(), front(host.pid()), host.agent()];
    bounded("A reader that pauses, NATS", host.run(&home), &pids);
}

/// Keeper and front, and the agent if there is one.
fn bounded(name: &str, run: Redial, pids: &[u32]) {
    let (output, pause) = (scaled(OUTPUT_MIB), scaled(PAUSE_SECONDS));
    let dir = tempfile::tempdir().unwrap();
    let flow = Flow::new(seed(), output.run << 20);
    let text = format!("{}; exit {STATUS}", flow.command(dir.path()));
    let run = run.args(["--cwd", dir.path().to_str().unwrap()]);
    let mut child = run.args(["-n", "-c", &text]).spawn();
    let stdout = child.stdout.take().unwrap();
    let (most, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let (mut paused, began) = (false, Instant::now());
    let compared = thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                most.fetch_max(resident_kib(pids), Ordering::Relaxed);
                idle(Duration::from_millis(20), || over.load(Ordering::Relaxed));
            }
        });
        let compared = flow.compare(stdout, |at| {
            if !paused && at >= flow.bytes() / 2 {
                paused = true;
                idle(Duration::from_secs(pause.run), || false);
            }
        });
        over.store(true, Ordering::Relaxed);
        compared
    });
    idle(TIME_LIMIT, || child.try_wait().unwrap().is_some());
    // It is over, or it is too late.
    let _ = child.kill();
    let (most, shared) = (most.into_inner(), memory::kib(pids));
    let result = format!(
        "Seed {}, in {:.1} s: {} together had {} MiB resident at most, with all \
         memory that they share counted twice; at the end {} MiB, counted once. Every byte was as \
         it was written.",
        seed(),
        began.elapsed().as_secs_f64(),
        if pids.len() == 2 {
            "keeper and front"
        } else {
            "keeper, front and agent"
        },
        most.div_ceil(1_024),
        shared.div_ceil(1_024),
    );
    let rows = [("MiB of stdout", output), ("seconds of pause", pause)];
    report(name, &rows, &result);
    let said = crate::support::said(&mut child);
    assert_eq!(compared, Ok(()), "{said}");
    assert_eq!(child.wait().unwrap().code(), Some(STATUS), "{said}");
    assert!(paused && most < RESIDENT_MAX_KIB, "{most} KiB");
}

/// VmRSS, proc_pid_status(5).
fn resident_kib(pids: &[u32]) -> u64 {
    let of = |pid: &u32| -> u64 {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line.unwrap().split_ascii_whitespace().nth(1);
        kib.unwrap().parse().unwrap()
    };
    pids.iter().map(of).sum()
}
