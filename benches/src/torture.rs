//! Very many commands through one connection, and then: nothing left behind.

mod half_open;

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::memory::{Memory, kib, mib};
use crate::patience::until;
use crate::peer::redial::Redial;
use crate::peer::server::Server;
use crate::process;
use crate::settings::TortureSettings;

const IN_FLIGHT: usize = 64;
/// Before the first look: what is made once and kept is made by then.
const WARM_UP: usize = 1_000;
/// How long the last things may take to go.
const SETTLE_LIMIT: Duration = Duration::from_secs(10);
/// Ended jobs that a server remembers, so that none is started twice.
const REMEMBERED: usize = 16_384;
/// Memory for each of them, in bytes: id, hash, owner, outcome, and their place in
/// tables that double.
const REMEMBERED_BYTES: u64 = 512;
/// What allocators and measurement may add, in bytes.
const SLACK_BYTES: u64 = 2 << 20;
/// Growth allowed once all is remembered that ever is, in bytes. The table of what is
/// remembered has its full size from the start, so nothing is left that may grow.
const FLAT_BYTES: u64 = 1 << 20;
/// Empty cgroups, each with two descriptors, that a keeper keeps for the next jobs.
const CGROUPS_KEPT: usize = 64;

/// What a server has, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    memory: Memory,
    /// Of keeper and front, without those that lead to kept cgroups.
    descriptors: [usize; 2],
    cgroups: usize,
}

/// Runs the commands and looks.
///
/// # Errors
/// A command failed, a zombie or a descriptor is left, or memory has grown.
pub(crate) fn run(settings: &TortureSettings) -> anyhow::Result<()> {
    let server = Server::start(&[])?;
    let before = look(&server)?;
    let redial = Redial::connect(&server)?;
    redial.rate(WARM_UP, IN_FLIGHT)?;
    let start = settled(&server)?;
    println!("start: {start}");
    let (began, mut looks) = (Instant::now(), vec![(0, start)]);
    let mut done = 0;
    for tenth in 1..=10 {
        let next = settings.count * tenth / 10;
        let rate = redial.rate(next - done, IN_FLIGHT);
        let rate = rate.with_context(|| format!("among commands {done} to {next}"))?;
        done = next;
        let look = look(&server)?;
        println!("{done:7} done, {rate:5.0} per second: {look}");
        looks.push((done, look));
    }
    let time = began.elapsed().as_secs_f64();
    let rate = done as f64 / time;
    println!("{done} × true in {time:.1} s, {rate:.0} per second, every exit 0");
    no_child_is_left(&server)?;
    descriptors_are(&server, start.descriptors, "with the connection open")?;
    let end = settled(&server)?;
    println!("end, after a while: {end}");
    looks.push((done, end));
    memory_is_flat(&looks)?;
    redial.close();
    descriptors_are(&server, before.descriptors, "when the connection is closed")?;
    println!("no zombie, no descriptor left, memory flat but for what is remembered");
    drop(server);
    half_open::run()
}

fn look(server: &Server) -> anyhow::Result<Look> {
    let mut cgroups = 0;
    let mut descriptors = [0; 2];
    for (count, pid) in descriptors.iter_mut().zip(server.pids()) {
        let open = process::descriptors(pid)?;
        // Two for each cgroup, its directory and its events; one for the root of them.
        let of_cgroups = open.iter().filter(|to| to.starts_with("/sys/fs/cgroup"));
        *count = open.len() - of_cgroups.clone().count();
        cgroups += of_cgroups
            .filter(|to| to.ends_with("cgroup.events"))
            .count();
    }
    Ok(Look {
        memory: server.memory()?,
        descriptors,
        cgroups,
    })
}

fn settled(server: &Server) -> anyhow::Result<Look> {
    let memory = server.settled_memory()?;
    Ok(Look {
        memory,
        ..look(server)?
    })
}

fn no_child_is_left(server: &Server) -> anyhow::Result<()> {
    let mut left = Vec::new();
    until(SETTLE_LIMIT, || {
        left = server.jobs().unwrap_or_default();
        left.is_empty()
    });
    let zombies = left.iter().filter(|(_, stat)| stat.state == 'Z').count();
    let all = left.len();
    anyhow::ensure!(
        all == 0,
        "{all} children are left, {zombies} of them zombies"
    );
    Ok(())
}

fn descriptors_are(server: &Server, expected: [usize; 2], when: &str) -> anyhow::Result<()> {
    let mut now = look(server)?;
    until(SETTLE_LIMIT, || {
        now = look(server).unwrap_or(now);
        now.descriptors == expected
    });
    let same = now.descriptors == expected;
    anyhow::ensure!(same, "{when}: {now}; descriptors were {expected:?}");
    let bounded = now.cgroups <= CGROUPS_KEPT;
    anyhow::ensure!(
        bounded,
        "{when}: {now}; at most {CGROUPS_KEPT} cgroups are kept"
    );
    Ok(())
}

/// Looks taken after so many commands, the first and the last at rest.
fn memory_is_flat(looks: &[(usize, Look)]) -> anyhow::Result<()> {
    let (Some((_, first)), Some((count, last))) = (looks.first(), looks.last()) else {
        return Ok(());
    };
    let remembered = (*count).min(REMEMBERED) as u64 * REMEMBERED_BYTES;
    let allowed = SLACK_BYTES + remembered;
    grew_at_most("in all", first, last, allowed)?;
    // Beyond that number the oldest is forgotten for each new one. While commands
    // run there is more than at rest, so that only like is compared with like.
    let running = &looks[1..looks.len() - 1];
    let full = running.iter().find(|(done, _)| *done > REMEMBERED * 5 / 4);
    match (full, running.last()) {
        (Some((_, full)), Some((_, last))) => {
            grew_at_most("when all was remembered", full, last, FLAT_BYTES)
        }
        _ => Ok(()),
    }
}

fn grew_at_most(when: &str, from: &Look, to: &Look, allowed: u64) -> anyhow::Result<()> {
    let growth = u64::try_from(to.memory - from.memory).unwrap_or(0);
    let (grew, allowed_text) = (kib(growth), kib(allowed));
    println!("memory grew {when} by {grew}, allowed {allowed_text}");
    anyhow::ensure!(
        growth <= allowed,
        "memory grew {when} by {grew}, more than {allowed_text}"
    );
    Ok(())
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (private, shared) = (mib(self.memory.private), mib(self.memory.shared));
        let [keeper, front] = self.descriptors;
        write!(
            f,
            "memory {private} + {shared} shared, descriptors {keeper} + {front}, {} cgroups kept",
            self.cgroups
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(private: &[(usize, u64)]) -> Vec<(usize, Look)> {
        let look = |&(done, private): &(usize, u64)| {
            let memory = Memory { private, shared: 0 };
            let (descriptors, cgroups) = ([10, 10], 0);
            (
                done,
                Look {
                    memory,
                    descriptors,
                    cgroups,
                },
            )
        };
        private.iter().map(look).collect()
    }

    #[test]
    fn memory_may_grow_by_what_is_remembered_and_no_more() {
        let per_job = |bytes: u64| {
            let end = 4_000_000 + 1_000 * bytes;
            memory_is_flat(&looks(&[(0, 4_000_000), (1_000, end), (1_000, end)]))
        };
        assert!(per_job(REMEMBERED_BYTES).is_ok());
        assert!(per_job(REMEMBERED_BYTES + SLACK_BYTES / 1_000 + 10).is_err());
    }

    #[test]
    fn memory_may_not_grow_any_more_once_all_is_remembered() {
        let end_at = |end| {
            let all = [
                (0, 4 << 20),
                (40_000, 8 << 20),
                (400_000, end),
                (400_000, end),
            ];
            memory_is_flat(&looks(&all))
        };
        assert!(end_at((8 << 20) + FLAT_BYTES).is_ok());
        assert!(end_at((8 << 20) + FLAT_BYTES + 1).is_err());
    }
}
