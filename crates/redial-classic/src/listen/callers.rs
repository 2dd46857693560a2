//! Many callers at once: a thread each, a bound on their number, and an end.

use std::collections::HashMap;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

use super::Listener;
use crate::address::Endpoint;
use crate::connect::Stream;

/// How long threads may take to notice that their caller was hung up on.
const FAREWELL: Duration = Duration::from_secs(1);
/// When the system has no descriptor or memory for a caller, it waits for so long before
/// it is asked for again.
const RESPITE: Duration = Duration::from_millis(100);

/// How many callers are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calls {
    /// One. While it lasts, nobody listens any more.
    One,
    /// One after the other, at most so many at once; the next ones wait in the backlog, so
    /// that a flood of callers takes neither all threads nor all descriptors.
    Many {
        /// At least 1.
        at_once: usize,
    },
}

/// Accepts callers until `shutdown` is readable (or, of [`Calls::One`], until it is over)
/// and gives each a thread of its own that runs `each`, with the number of the call from
/// 1; then the caller is hung up on. At the shutdown all callers are hung up on, and
/// threads that still run a second later are left alone.
///
/// # Errors
///
/// When waiting itself fails; nothing that a caller does.
pub fn answer_each(
    listener: Listener,
    calls: Calls,
    shutdown: BorrowedFd<'_>,
    each: impl Fn(u64, &Stream, Endpoint) + Send + Sync + 'static,
) -> io::Result<()> {
    let at_once = match calls {
        Calls::One => 1,
        Calls::Many { at_once } => at_once.max(1),
    };
    let each = Arc::new(each);
    let floor = Arc::new(Floor::new()?);
    let mut listener = Some(listener);
    let mut number = 0;
    let mut exhausted = false;
    loop {
        let open = floor.open().len();
        if listener.is_none() && open == 0 {
            return Ok(());
        }
        let room = listener.as_ref().filter(|_| open < at_once && !exhausted);
        let limit = exhausted.then_some(RESPITE);
        let Some(called) = floor.wait(shutdown, room, limit)? else {
            return floor.clear();
        };
        exhausted = false;
        let (Some(taken_from), true) = (room, called) else {
            continue;
        };
        match taken_from.accept() {
            Ok((stream, from)) => {
                number += 1;
                if calls == Calls::One {
                    listener = None;
                }
                let each = Arc::clone(&each);
                exhausted = Floor::admit(&floor, number, stream, move |stream| {
                    each(number, stream, from);
                })
                .is_err();
            }
            Err(error) => exhausted = is_exhaustion(&error),
        }
    }
}

/// Others (see accept(2)) concern a caller who has gone before we came.
fn is_exhaustion(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(
        errno,
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
    )
}

/// Who is being talked to.
struct Floor {
    open: Mutex<HashMap<u64, Arc<Stream>>>,
    /// An eventfd(2) that is readable when somebody has left.
    left: OwnedFd,
}

impl Floor {
    fn new() -> io::Result<Self> {
        Ok(Floor {
            open: Mutex::default(),
            left: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, Arc<Stream>>> {
        // A map is whole even if a thread has panicked beside it.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until somebody leaves, calls (`true`), or the time is over. `None`: shutdown.
    fn wait(
        &self,
        shutdown: BorrowedFd<'_>,
        listener: Option<&Listener>,
        limit: Option<Duration>,
    ) -> io::Result<Option<bool>> {
        let mut waited = vec![
            PollFd::from_borrowed_fd(shutdown, PollFlags::IN),
            PollFd::new(&self.left, PollFlags::IN),
        ];
        waited.extend(listener.map(|listener| PollFd::new(listener, PollFlags::IN)));
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        match poll(&mut waited, limit.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let is_ready = |at: usize| waited.get(at).is_some_and(|fd| !fd.revents().is_empty());
        if is_ready(0) {
            return Ok(None);
        }
        if is_ready(1) {
            // To be readable again only when the next one leaves.
            let _ = rustix::io::read(&self.left, &mut [0; 8]);
        }
        Ok(Some(is_ready(2)))
    }

    /// Starts a thread for a caller.
    fn admit(
        floor: &Arc<Self>,
        number: u64,
        stream: Stream,
        talk: impl FnOnce(&Stream) + Send + 'static,
    ) -> io::Result<()> {
        let stream = Arc::new(stream);
        floor.open().insert(number, Arc::clone(&stream));
        let leaving = Leaving {
            floor: Arc::clone(floor),
            number,
        };
        // If no thread can be had, the closure is dropped, and with it the caller.
        let named = thread::Builder::new().name(format!("call {number}"));
        named.spawn(move || {
            let _leaving = leaving;
            talk(&stream);
            drop(stream);
        })?;
        Ok(())
    }

    /// Hangs up on everybody, and waits until they have noticed.
    fn clear(&self) -> io::Result<()> {
        for stream in self.open().values() {
            // Who has gone already need not be told.
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
        let deadline = Instant::now() + FAREWELL;
        while !self.open().is_empty() {
            let rest = deadline.saturating_duration_since(Instant::now());
            if rest.is_zero() || !crate::connect::wait_readable(&self.left, rest)? {
                break;
            }
            let _ = rustix::io::read(&self.left, &mut [0; 8]);
        }
        Ok(())
    }
}

/// Takes a caller off the list, however its thread ends.
struct Leaving {
    floor: Arc<Floor>,
    number: u64,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.floor.open().remove(&self.number);
        // It can only fail when it is readable already.
        let _ = rustix::io::write(&self.floor.left, &1_u64.to_ne_bytes());
    }
}
