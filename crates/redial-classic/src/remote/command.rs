//! Running one command: both outputs read at once, an end in any case.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use super::hangup::Hangup;
use super::line::{Line, PIECE, deadline_in, poll_until};
use super::spool::Spool;

/// After SIGTERM, what still runs gets SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// After the command's end, pipes that its background processes hold are read for so long.
const DRAIN: Duration = Duration::from_secs(2);

/// Reads of [`PIECE`] bytes when the time is up: a pipe holds no more (pipe(7)), so the second one
/// finds its end.
const LAST_READS: usize = 2;

/// How long a command may run, and how much it may say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) deadline: Duration,
    /// Bytes of both outputs together.
    pub(crate) max_reply: u64,
}

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) stdout: Spool,
    pub(crate) stderr: Spool,
    pub(crate) end: End,
}

/// What ended it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Its own affair.
    Itself,
    /// It ended, but a background process of its own keeps an output open.
    HeldOpen,
    /// It ran too long.
    Deadline,
    /// It said too much.
    TooMuch,
    /// Its client is gone.
    ClientGone,
    /// The server is to end.
    Stopped,
}

/// Runs a command with `/bin/sh -c`, in a process group of its own, with nothing to read. While
/// it runs, the client and the shutdown of `line` are watched; both end the whole group. Of what
/// was beyond the limit nothing is kept.
///
/// # Errors
/// When it cannot be started, or its outputs cannot be kept.
pub(crate) fn run(text: &[u8], limits: Limits, line: &Line<'_>) -> io::Result<Ran> {
    let mut child = spawn(text)?;
    let pid = Pid::from_child(&child);
    let ran = Watch::new(&mut child, pid, limits, line).and_then(|watch| watch.follow());
    if ran.is_err() {
        // The group's number is not another's before its leader is reaped.
        let _ = kill_process_group(pid, Signal::KILL);
    }
    child.wait()?;
    ran
}

/// One at a time: between a spawn's fork and its exec the child has copies of all that we have
/// open, and would hold the pipes of another command that starts just then.
fn spawn(text: &[u8]) -> io::Result<Child> {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    Command::new("/bin/sh")
        // Without `--` a text that begins with a minus would be an option.
        .args(["-c", "--"])
        .arg(OsStr::from_bytes(text))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
}

/// A running command.
struct Watch<'a> {
    group: Pid,
    limits: Limits,
    line: &'a Line<'a>,
    client: Hangup<'a>,
    outputs: [Output; 2],
    /// Readable when the shell has ended; it is not reaped before we are done with its group.
    exit: Option<OwnedFd>,
    /// Why it is to end, or has ended.
    end: Option<End>,
    /// When something is to be done about it: the deadline, the end of grace or of draining.
    until: Option<Instant>,
}

/// One output: its pipe as long as it is open, and what came.
struct Output {
    pipe: Option<OwnedFd>,
    spool: Spool,
}

impl<'a> Watch<'a> {
    fn new(child: &mut Child, group: Pid, limits: Limits, line: &'a Line<'a>) -> io::Result<Self> {
        let output = |pipe: Option<OwnedFd>| -> io::Result<Output> {
            let pipe = pipe.expect("both outputs were asked for as pipes");
            rustix::io::ioctl_fionbio(&pipe, true)?;
            Ok(Output {
                pipe: Some(pipe),
                spool: Spool::new(),
            })
        };
        Ok(Self {
            group,
            limits,
            line,
            client: Hangup::new(line.socket()),
            outputs: [
                output(child.stdout.take().map(OwnedFd::from))?,
                output(child.stderr.take().map(OwnedFd::from))?,
            ],
            exit: Some(pidfd_open(group, PidfdFlags::empty())?),
            end: None,
            until: deadline_in(limits.deadline),
        })
    }

    fn follow(mut self) -> io::Result<Ran> {
        let mut buffer = vec![0; PIECE];
        while self.exit.is_some() || self.outputs.iter().any(|output| output.pipe.is_some()) {
            let ready = self.wait()?;
            for index in 0..2 {
                if ready.outputs[index] {
                    self.read(index, &mut buffer)?;
                }
            }
            if ready.exited {
                self.exit = None;
                if self.end.is_none() {
                    self.until = deadline_in(DRAIN);
                }
            }
            if ready.stopped {
                self.begin_end(End::Stopped);
            }
            if self.client_watched() && self.client.is_gone(ready.client) {
                self.begin_end(End::ClientGone);
            }
            if self.until.is_some_and(|until| Instant::now() >= until) && self.time_is_up() {
                self.last_look(&mut buffer)?;
                break;
            }
        }
        if !matches!(self.end, None | Some(End::HeldOpen)) {
            // Also who ignored SIGTERM and holds no output.
            let _ = kill_process_group(self.group, Signal::KILL);
        }
        let [stdout, stderr] = self.outputs;
        Ok(Ran {
            stdout: stdout.spool,
            stderr: stderr.spool,
            end: self.end.unwrap_or(End::Itself),
        })
    }

    fn wait(&self) -> io::Result<Ready> {
        let pipes = self.outputs.each_ref().map(|output| output.pipe.as_ref());
        let watched: [Option<PollFd<'_>>; 5] = [
            pipes[0].map(|pipe| PollFd::new(pipe, PollFlags::IN)),
            pipes[1].map(|pipe| PollFd::new(pipe, PollFlags::IN)),
            self.exit
                .as_ref()
                .map(|exit| PollFd::new(exit, PollFlags::IN)),
            self.client_watched().then(|| self.client.poll_fd()),
            // Once we are ending it, there is no more to be told.
            self.line
                .stop()
                .filter(|_| self.end.is_none())
                .map(|stop| PollFd::from_borrowed_fd(stop, PollFlags::IN)),
        ];
        let places: Vec<usize> = (0..5).filter(|at| watched[*at].is_some()).collect();
        let mut fds: Vec<PollFd<'_>> = watched.into_iter().flatten().collect();
        let look = self.client.look_again().and_then(deadline_in);
        let until = [self.until, look.filter(|_| self.client_watched())];
        poll_until(&mut fds, until.into_iter().flatten().min())?;
        let mut seen = [PollFlags::empty(); 5];
        for (place, fd) in places.into_iter().zip(&fds) {
            seen[place] = fd.revents();
        }
        Ok(Ready {
            outputs: [!seen[0].is_empty(), !seen[1].is_empty()],
            exited: !seen[2].is_empty(),
            client: seen[3],
            stopped: !seen[4].is_empty(),
        })
    }

    fn client_watched(&self) -> bool {
        self.end.is_none()
    }

    fn read(&mut self, index: usize, buffer: &mut [u8]) -> io::Result<()> {
        let output = &mut self.outputs[index];
        let Some(pipe) = &output.pipe else {
            return Ok(());
        };
        match rustix::io::read(pipe.as_fd(), &mut *buffer) {
            Ok(0) => output.pipe = None,
            Ok(count) => {
                let kept: u64 = self.outputs.iter().map(|it| it.spool.length()).sum();
                if self.end == Some(End::TooMuch) {
                    // Read on, so that it can see its signal and end.
                } else if count as u64 > self.limits.max_reply.saturating_sub(kept) {
                    self.begin_end(End::TooMuch);
                } else {
                    self.outputs[index].spool.append(&buffer[..count])?;
                }
            }
            Err(Errno::INTR | Errno::WOULDBLOCK) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// On a busy machine the time may be up before we came to read what is long there.
    fn last_look(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        // Who goes on writing is not waited for.
        for _ in 0..LAST_READS {
            self.read(0, buffer)?;
            self.read(1, buffer)?;
        }
        if self.end.is_none() && self.outputs.iter().any(|output| output.pipe.is_some()) {
            self.end = Some(End::HeldOpen);
        }
        Ok(())
    }

    /// Asks the group to end, once.
    fn begin_end(&mut self, why: End) {
        if self.end.is_some() {
            return;
        }
        self.end = Some(why);
        self.until = deadline_in(GRACE);
        // Who has been stopped (it asked the terminal something) has to go on to hear it.
        for signal in [Signal::TERM, Signal::CONT] {
            let _ = kill_process_group(self.group, signal);
        }
    }

    /// The time is up for what was due; whether all is over.
    fn time_is_up(&mut self) -> bool {
        match self.end {
            None if self.exit.is_none() => true,
            None => {
                self.begin_end(End::Deadline);
                false
            }
            // Who left the group may keep the pipes.
            Some(_) => true,
        }
    }
}

/// What poll saw.
struct Ready {
    outputs: [bool; 2],
    exited: bool,
    client: PollFlags,
    stopped: bool,
}
