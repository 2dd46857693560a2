//! One job by way of a NATS broker that is killed very often.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::cuts::{Sizes, exact, sizes};
use super::report;
use crate::alone;
use crate::settings::seed;
use crate::support::idle;
use crate::support::nats::{Broker, Host};
use crate::support::network::Home;

#[test]
fn a_thousand_killed_brokers_lose_nothing_of_a_gibibyte() {
    let _alone = alone();
    let (sizes, home) = (sizes(), Home::with_key());
    let mut broker = Broker::start();
    let host = Host::start(&broker, &home, "torture");
    let dir = tempfile::tempdir().unwrap();
    let redial = host.run(&home).args(["--on-drop", "keep:2m"]);
    // Each time when so much more of the output is there.
    let (read, made) = (AtomicU64::new(0), AtomicU64::new(0));
    let each = (sizes.output.run << 20) / (sizes.cuts.run + 1);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1..=sizes.cuts.run {
                let (mut is_over, mut is_due) = (false, false);
                idle(crate::TIME_LIMIT, || {
                    let read = read.load(Ordering::Relaxed);
                    (is_over, is_due) = (read == u64::MAX, read >= number * each);
                    is_over || is_due
                });
                if is_over {
                    return;
                }
                broker.dies_and_another_takes_its_place();
                made.fetch_add(1, Ordering::Relaxed);
            }
        });
        exact(redial, dir.path(), &sizes, |at| {
            read.store(at, Ordering::Relaxed);
            // Never two kills ahead of who kills: a fast line would be through before the last.
            idle(crate::TIME_LIMIT, || {
                at < (made.load(Ordering::Relaxed) + 2) * each
            });
        });
        read.store(u64::MAX, Ordering::Relaxed);
    });
    said(&sizes, made.into_inner(), host.logins());
}

fn said(sizes: &Sizes, made: u64, logins: usize) {
    let rows = [
        ("brokers killed", sizes.cuts),
        ("MiB of stdout", sizes.output),
        ("MiB of stdin at once", sizes.input),
    ];
    let result = format!(
        "Seed {}: {made} brokers were killed, {logins} logins were made. Every byte of both streams was as it \
         was written, the exit status exact, the command run once.",
        seed()
    );
    report("Brokers killed", &rows, &result);
    assert!(made * 10 >= sizes.cuts.run * 9, "{made} kills");
    // Some die before the line to the last is there again.
    assert!(logins as u64 * 2 > made, "{logins} logins");
}
