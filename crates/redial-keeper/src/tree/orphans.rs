//! Reaping what jobs leave behind, and never what is still a job's.
//!
//! The keeper is a child subreaper, so a job's orphans become its children. They
//! are reaped by pid, after a look that takes nothing away: a job's root must be
//! left to who waits for it, also when its spawning thread has not yet come to
//! saying so. For that each start holds a [`SpawnTicket`] until its pid is known.
//!
//! What cannot be told apart waits: while one start hangs in its exec (a program on a
//! dead file system), orphans that ended after it began stay zombies until it goes on.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use super::process;

/// Orphans reaped in one go, so that a fork bomb does not keep the keeper from work.
const REAPED_MAX: usize = 1_024;

/// Makes orphaned descendants children of this process (prctl(2),
/// PR_SET_CHILD_SUBREAPER).
///
/// # Errors
/// As prctl(2).
pub fn become_subreaper() -> io::Result<()> {
    // SAFETY: takes numbers only.
    let result = unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The starts that are under way.
#[derive(Debug, Default)]
pub struct SpawnTickets {
    state: Mutex<Tickets>,
}

#[derive(Debug, Default)]
struct Tickets {
    next: u64,
    under_way: BTreeSet<u64>,
}

/// One start under way; taken before [`crate::spawn::Spawner::spawn`], and dropped
/// when the new pid is known to the `is_job` of [`OrphanReaper::reap`]. It may go
/// with the result from one thread to another.
#[derive(Debug)]
pub struct SpawnTicket {
    tickets: Arc<SpawnTickets>,
    number: u64,
}

impl SpawnTickets {
    /// None under way.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// A start begins.
    pub fn begin(self: &Arc<Self>) -> SpawnTicket {
        let number = self.with(|tickets| {
            let number = tickets.next;
            tickets.next += 1;
            tickets.under_way.insert(number);
            number
        });
        SpawnTicket {
            tickets: Arc::clone(self),
            number,
        }
    }

    fn next(&self) -> u64 {
        self.with(|tickets| tickets.next)
    }

    /// Whether every start before `number` has come to its end.
    fn settled_before(&self, number: u64) -> bool {
        self.with(|tickets| {
            tickets
                .under_way
                .first()
                .is_none_or(|first| *first >= number)
        })
    }

    fn with<T>(&self, change: impl FnOnce(&mut Tickets) -> T) -> T {
        // No code that can panic runs under the lock.
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for SpawnTicket {
    fn drop(&mut self) {
        self.tickets
            .with(|tickets| tickets.under_way.remove(&self.number));
    }
}

/// What a round of reaping leaves to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nobody waits to be reaped.
    Nothing,
    /// Somebody does who may belong to a start under way, or there are many: come
    /// again when that start is known, or soon.
    Deferred,
    /// This root of a job does. It hides those behind it: reap it, and come again.
    Job(i32),
}

/// The result of [`OrphanReaper::reap`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orphans {
    /// How many were reaped.
    pub reaped: usize,
    /// What is left.
    pub next: Next,
}

/// Reaps orphans; one for the process.
#[derive(Debug)]
pub struct OrphanReaper {
    tickets: Arc<SpawnTickets>,
    /// The ended child (pid, start) seen last, and the first ticket that cannot be its.
    suspect: Option<((i32, u64), u64)>,
}

impl OrphanReaper {
    /// With the tickets of every thread that starts processes.
    pub fn new(tickets: Arc<SpawnTickets>) -> Self {
        Self {
            tickets,
            suspect: None,
        }
    }

    /// Reaps the children that have ended and are not `is_job` (also to say yes for
    /// the keeper's other children, such as the front). Never blocks.
    ///
    /// # Errors
    /// As waitid(2), but for having no children.
    pub fn reap(&mut self, is_job: impl Fn(i32) -> bool) -> io::Result<Orphans> {
        let mut reaped = 0;
        while reaped < REAPED_MAX {
            let Some(pid) = ended_child()? else {
                return Ok(Orphans {
                    reaped,
                    next: Next::Nothing,
                });
            };
            let settled = self.is_settled(pid);
            // Only now: whoever was still to say so has said it.
            if is_job(pid) {
                return Ok(Orphans {
                    reaped,
                    next: Next::Job(pid),
                });
            }
            let Some(orphan) = Pid::from_raw(pid).filter(|_| settled) else {
                return Ok(Orphans {
                    reaped,
                    next: Next::Deferred,
                });
            };
            match waitid(
                WaitId::Pid(orphan),
                WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
            ) {
                Ok(_) => reaped += 1,
                // A spawner has reaped it in this moment: a start that failed.
                Err(rustix::io::Errno::CHILD) => {}
                Err(error) => return Err(error.into()),
            }
            self.suspect = None;
        }
        Ok(Orphans {
            reaped,
            next: Next::Deferred,
        })
    }

    /// Whether every start that could have made this ended child is over.
    fn is_settled(&mut self, pid: i32) -> bool {
        // With its start time, for the number alone may be another's by now.
        let Some(child) = process::read(pid) else {
            return false;
        };
        let limit = match self.suspect {
            Some((suspect, limit)) if suspect == (pid, child.started) => limit,
            // It was there before this number is asked for, so its ticket is lower.
            _ => self.tickets.next(),
        };
        self.suspect = Some(((pid, child.started), limit));
        self.tickets.settled_before(limit)
    }
}

/// A child that has ended, left as it is.
fn ended_child() -> io::Result<Option<i32>> {
    let look = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    loop {
        // SAFETY: a C struct of integers; zero is valid, and means "nobody" here.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: `info` is a live local. (rustix's waitid does not tell the pid.)
        if unsafe { libc::waitid(libc::P_ALL, 0, &mut info, look) } == 0 {
            // SAFETY: waitid fills in the fields of SIGCHLD, or leaves zeroes.
            let pid = unsafe { info.si_pid() };
            return Ok((pid > 0).then_some(pid));
        }
        match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ECHILD) => return Ok(None),
            error if error.kind() == io::ErrorKind::Interrupted => {}
            error => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_settled_when_all_starts_before_it_are_over() {
        let tickets = SpawnTickets::new();
        let (first, second) = (tickets.begin(), tickets.begin());
        let limit = tickets.next();
        let third = tickets.begin();
        assert!(!tickets.settled_before(limit));
        drop(second);
        assert!(!tickets.settled_before(limit));
        drop(first);
        assert!(tickets.settled_before(limit), "the third began after");
        drop(third);
        assert!(tickets.settled_before(tickets.next()));
    }
}
