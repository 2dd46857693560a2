//! The program that brings lines from elsewhere, kept running.
//!
//! It speaks with strangers' machines, so it is a process of its own, with nothing of ours but the way to
//! our door.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, PidfdFlags};

use super::config::FrontProgram;
use super::front_program::command;
use super::gate::Gate;
use super::workers::Workers;
use crate::spawn::Identity;
use crate::tree::SpawnTickets;

/// Between two starts, at first and at most.
const PAUSE: Duration = Duration::from_millis(500);
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// Who has lived so long is no failure when it ends.
const GOOD_LIFE: Duration = Duration::from_secs(60);

struct Agent {
    executable: File,
    program: FrontProgram,
    /// Who it is; else who we are.
    identity: Option<Identity>,
    gate: Arc<Gate>,
    tickets: Arc<SpawnTickets>,
}

/// Keeps it running from now on, on a thread. It hears that we are gone by the end of its stdin.
pub(super) fn keep_running(
    program: FrontProgram,
    identity: Option<Identity>,
    workers: &Workers,
) -> io::Result<()> {
    let (_, gate, tickets) = workers.for_others();
    let agent = Agent {
        executable: File::open("/proc/self/exe")?,
        program,
        identity,
        gate,
        tickets,
    };
    let thread = thread::Builder::new().name("redial-agent".to_owned());
    thread.spawn(move || agent.again_and_again()).map(drop)
}

impl Agent {
    fn again_and_again(&self) {
        let mut pause = PAUSE;
        loop {
            let began = Instant::now();
            match self.start() {
                Ok((child, pidfd)) => {
                    tracing::debug!(pid = child.id(), "an agent runs");
                    wait(&pidfd);
                    tracing::warn!("the agent that brings lines has ended, and is started again");
                    // Its stdin ends with this; it is reaped by who reaps orphans.
                    drop(child);
                }
                Err(error) => tracing::error!(%error, "no agent to bring lines can be started"),
            }
            if began.elapsed() >= GOOD_LIFE {
                pause = PAUSE;
            }
            thread::sleep(pause);
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    fn start(&self) -> io::Result<(Child, OwnedFd)> {
        // Until it has a name that nobody else gets (pidfd_open(2)), nobody may reap it.
        let _ticket = self.tickets.begin();
        let identity = self.identity.as_ref();
        let mut command = command(&self.executable, &self.program, identity);
        command.stdin(Stdio::piped());
        let child = self.gate.start(|| command.spawn())?;
        crate::spawn::oom::give_back(child.id());
        let pidfd = rustix::process::pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
        Ok((child, pidfd))
    }
}

fn wait(pidfd: &OwnedFd) {
    loop {
        match rustix::event::poll(&mut [PollFd::new(pidfd, PollFlags::IN)], None) {
            Err(rustix::io::Errno::INTR) => {}
            _ => return,
        }
    }
}
