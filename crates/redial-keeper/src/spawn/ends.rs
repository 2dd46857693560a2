//! The child's three descriptors, and the ends of them that stay with us.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::pipe::PipeFlags;
use rustix::pty::OpenptFlags;
use rustix::termios::{InputModes, OptionalActions};

use super::{PtySize, SpawnRequest, Stdio3};

/// Who owns a terminal may read and write it, its group only write: as login(1).
const TERMINAL_MODE: Mode = Mode::from_raw_mode(0o620);

pub(super) struct Ends {
    /// What the child gets as 0, 1 and 2; `None` is /dev/null.
    pub(super) theirs: [Option<OwnedFd>; 3],
    /// Our end of each, non-blocking. Of a terminal the first two are the same.
    pub(super) ours: [Option<OwnedFd>; 3],
    /// All three are one terminal.
    pub(super) is_terminal: bool,
}

impl Ends {
    pub(super) fn open(request: &SpawnRequest) -> io::Result<Self> {
        if let Some(size) = request.pty {
            let owner = request.identity.as_ref().map(|identity| identity.uid);
            return Self::open_terminal(size, owner, request.stdin);
        }
        let (their_in, our_in) = pipe(request.stdin, |(read, write)| (read, write))?;
        let (their_out, our_out) = pipe(request.stdout, |(read, write)| (write, read))?;
        let (their_err, our_err) = pipe(request.stderr, |(read, write)| (write, read))?;
        Ok(Self {
            theirs: [their_in, their_out, their_err],
            ours: [our_in, our_out, our_err],
            is_terminal: false,
        })
    }

    fn open_terminal(size: PtySize, owner: Option<u32>, stdin: Stdio3) -> io::Result<Self> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = rustix::pty::openpt(flags)?;
        rustix::pty::unlockpt(&ours)?;
        // By the descriptor, not by its name: what is mounted at /dev/pts does not matter.
        let theirs = rustix::pty::ioctl_tiocgptpeer(&ours, flags)?;
        rustix::termios::tcsetwinsize(&theirs, size.winsize())?;
        // So that an erased character is a character, not a byte (termios(3)).
        let mut modes = rustix::termios::tcgetattr(&theirs)?;
        modes.input_modes |= InputModes::IUTF8;
        rustix::termios::tcsetattr(&theirs, OptionalActions::Now, &modes)?;
        if let Some(owner) = owner {
            rustix::fs::fchown(&theirs, Some(rustix::fs::Uid::from_raw(owner)), None)?;
            rustix::fs::fchmod(&theirs, TERMINAL_MODE)?;
        }
        unblock(ours.as_fd())?;
        let copies = [
            Some(theirs.try_clone()?),
            Some(theirs.try_clone()?),
            Some(theirs),
        ];
        let typed = match stdin {
            Stdio3::Pipe => Some(ours.try_clone()?),
            Stdio3::Null => None,
        };
        Ok(Self {
            theirs: copies,
            ours: [typed, Some(ours), None],
            is_terminal: true,
        })
    }
}

/// A pipe, sorted by `order` into the child's end and ours.
fn pipe(
    kind: Stdio3,
    order: impl FnOnce((OwnedFd, OwnedFd)) -> (OwnedFd, OwnedFd),
) -> io::Result<(Option<OwnedFd>, Option<OwnedFd>)> {
    if kind == Stdio3::Null {
        return Ok((None, None));
    }
    let (theirs, ours) = order(rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?);
    // Only ours: the flag belongs to the open end, and the child expects to block.
    unblock(ours.as_fd())?;
    Ok((Some(theirs), Some(ours)))
}

fn unblock(fd: BorrowedFd<'_>) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(fd)?;
    Ok(rustix::fs::fcntl_setfl(fd, flags | OFlags::NONBLOCK)?)
}

/// Three low descriptors that are ours for as long as the spawner lives.
///
/// The child's ends are put there before the clone. They hold /dev/null between
/// spawns, so that nobody else is given their numbers.
pub(super) struct Slots {
    null: OwnedFd,
    slots: [OwnedFd; 3],
}

impl Slots {
    pub(super) fn reserve() -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let null = rustix::fs::open("/dev/null", flags, Mode::empty())?;
        // Never 0, 1 or 2, even where the keeper was started with those closed.
        let slot = || rustix::io::fcntl_dupfd_cloexec(&null, 3);
        let slots = [slot()?, slot()?, slot()?];
        Ok(Self { null, slots })
    }

    pub(super) fn numbers(&self) -> [i32; 3] {
        use std::os::fd::AsRawFd;
        self.slots.each_ref().map(AsRawFd::as_raw_fd)
    }

    /// Puts copies of the child's ends into the slots.
    pub(super) fn fill(&mut self, theirs: &[Option<OwnedFd>; 3]) -> io::Result<Filled<'_>> {
        let filled = Filled(self);
        for (slot, end) in filled.0.slots.iter_mut().zip(theirs) {
            if let Some(end) = end {
                rustix::io::dup3(end, slot, rustix::io::DupFlags::CLOEXEC)?;
            }
        }
        Ok(filled)
    }
}

/// Puts /dev/null back when dropped: a pipe's end left in a slot would keep the
/// pipe open after the child has ended.
pub(super) struct Filled<'a>(&'a mut Slots);

impl Filled<'_> {
    pub(super) fn numbers(&self) -> [i32; 3] {
        self.0.numbers()
    }
}

impl Drop for Filled<'_> {
    fn drop(&mut self) {
        for slot in &mut self.0.slots {
            // Duplicating one valid descriptor over another cannot fail but for a
            // race with open(2) on that number (EBUSY), which a slot never leaves.
            let _ = rustix::io::dup3(&self.0.null, slot, rustix::io::DupFlags::CLOEXEC);
        }
    }
}
