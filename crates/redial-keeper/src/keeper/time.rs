//! Time that counts sleep, and who is due when.

use std::collections::BTreeSet;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec,
};

use super::poll::Serial;

/// Milliseconds on `CLOCK_BOOTTIME`, which counts time asleep and is never set.
pub(super) type Millis = u64;

/// Now.
pub(super) fn now() -> Millis {
    let time = rustix::time::clock_gettime(ClockId::Boottime);
    time.tv_sec.unsigned_abs() * 1_000 + time.tv_nsec.unsigned_abs() / 1_000_000
}

/// The clock on the wall, which people set: for times that people wrote down.
pub(super) fn wall_clock() -> redial_auth::authorized_keys::Now {
    let now = rustix::time::clock_gettime(ClockId::Realtime).tv_sec;
    let mut local = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: a live time and room for what localtime_r(3) writes; zero is a valid `tm`.
    let found = unsafe { libc::localtime_r(&now, local.as_mut_ptr()) };
    let offset = if found.is_null() {
        0
    } else {
        // SAFETY: zeroed, and then written by the call that has succeeded.
        unsafe { local.assume_init() }.tm_gmtoff
    };
    redial_auth::authorized_keys::Now {
        unix_seconds: now.unsigned_abs(),
        utc_offset_seconds: i32::try_from(offset).unwrap_or(0),
    }
}

/// Milliseconds of Unix time: for people, and for what is read after a reboot.
pub(super) fn unix_ms() -> u64 {
    let time = rustix::time::clock_gettime(ClockId::Realtime);
    time.tv_sec.unsigned_abs() * 1_000 + time.tv_nsec.unsigned_abs() / 1_000_000
}

/// Which job is due when; one time for each. The keeper itself is number 0.
#[derive(Debug)]
pub(super) struct Timers {
    timer: OwnedFd,
    due: BTreeSet<(Millis, Serial)>,
    armed: Option<Millis>,
}

impl Timers {
    pub(super) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = rustix::time::timerfd_create(TimerfdClockId::Boottime, flags)?;
        Ok(Self {
            timer,
            due: BTreeSet::new(),
            armed: None,
        })
    }

    /// Changes when `serial` is due, from what it was set to before.
    pub(super) fn set(&mut self, serial: Serial, before: Option<Millis>, after: Option<Millis>) {
        if before == after {
            return;
        }
        if let Some(when) = before {
            self.due.remove(&(when, serial));
        }
        if let Some(when) = after {
            self.due.insert((when, serial));
        }
    }

    /// Who is due by now; each is told once.
    pub(super) fn take_due(&mut self, now: Millis) -> Vec<Serial> {
        let mut taken = Vec::new();
        while let Some(&(when, serial)) = self.due.first().filter(|(when, _)| *when <= now) {
            self.due.remove(&(when, serial));
            taken.push(serial);
        }
        taken
    }

    /// The descriptor has become readable: it is no longer armed.
    pub(super) fn acknowledge(&mut self) {
        let mut expirations = [0; 8];
        // Nothing to read only means that it was armed anew in the meantime.
        let _ = rustix::io::read(&self.timer, &mut expirations);
        self.armed = None;
    }

    /// Sees to it that the descriptor becomes readable in time. A time that is
    /// armed and has become void is left to pass: that is cheaper than a call now.
    pub(super) fn arm(&mut self) -> io::Result<()> {
        let Some(&(when, _)) = self.due.first() else {
            return Ok(());
        };
        if self.armed.is_some_and(|armed| armed <= when) {
            return Ok(());
        }
        let seconds = i64::try_from(when / 1_000).unwrap_or(i64::MAX);
        let nanos = i64::try_from(when % 1_000 * 1_000_000).unwrap_or(0);
        let spec = Itimerspec {
            it_interval: Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            // All zero would disarm it; one nanosecond is as good as now.
            it_value: Timespec {
                tv_sec: seconds,
                tv_nsec: nanos.max(1),
            },
        };
        rustix::time::timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &spec)?;
        self.armed = Some(when);
        Ok(())
    }
}

impl AsFd for Timers {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_due_once_at_the_time_set_last() {
        let mut timers = Timers::new().unwrap();
        timers.set(1, None, Some(10));
        timers.set(2, None, Some(20));
        timers.set(1, Some(10), Some(30));
        timers.set(3, None, Some(5));
        timers.set(3, Some(5), None);
        assert!(timers.take_due(19).is_empty());
        assert_eq!(timers.take_due(30), [2, 1]);
        assert!(timers.take_due(u64::MAX).is_empty());
    }

    #[test]
    fn the_descriptor_becomes_readable_in_time_also_for_what_is_long_past() {
        let mut timers = Timers::new().unwrap();
        timers.set(1, None, Some(u64::MAX));
        timers.arm().unwrap();
        for when in [0, 1, now() + 5] {
            timers.set(2, None, Some(when));
            timers.arm().unwrap();
            let mut fds = [rustix::event::PollFd::new(
                &timers,
                rustix::event::PollFlags::IN,
            )];
            let patience = Timespec {
                tv_sec: 20,
                tv_nsec: 0,
            };
            assert_eq!(rustix::event::poll(&mut fds, Some(&patience)).unwrap(), 1);
            timers.acknowledge();
            assert_eq!(timers.take_due(now()), [2]);
        }
    }
}
