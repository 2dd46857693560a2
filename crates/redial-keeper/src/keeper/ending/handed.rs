//! The end of a job, handed over from one program to the next.

use std::sync::Arc;

use rustix::process::{Pid, PidfdFlags};

use super::{Ending, Left, Sweep};
use crate::keeper::workers::Walk;
use crate::state::{EndingState, ExitState, SweepState};
use crate::tree::Tree;

impl Ending {
    /// For another program.
    pub(in crate::keeper) fn save(&self) -> EndingState {
        let signal = |walk: &Walk| match walk {
            Walk::Signal(signal) | Walk::Ask(signal) => Some(*signal),
            // Asked anew.
            Walk::Members | Walk::Holders(_) => None,
        };
        EndingState {
            tree: self.tree.save(),
            is_reaped: self.is_reaped(),
            pipes: self.pipes.clone(),
            deadline_at: self.deadline_at,
            exit: self.exit.map(|(exit, at)| ExitState { exit, at }),
            cpu_us: self.cpu_us,
            drain_until: self.drain_until,
            holders: self.holders.clone(),
            drained: self.drained,
            sweep: self.sweep.map(|sweep| SweepState {
                kill_at: sweep.kill_at,
                begins_with_term: sweep.begins_with_term,
                kills: sweep.kills,
                look_at: sweep.look_at,
            }),
            cause: self.cause.clone(),
            exact: self.exact,
            left: match self.left {
                Left::Known(left) => Some(left as u64),
                Left::NotAsked | Left::Asked => None,
            },
            signals: self.walks.iter().filter_map(signal).collect(),
        }
    }

    /// As it was saved. The process is our child still, if it is not reaped.
    pub(in crate::keeper) fn restore(pid: i32, state: EndingState) -> Self {
        let open = |pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok();
        let pidfd = Pid::from_raw(pid)
            .filter(|_| !state.is_reaped)
            .and_then(open);
        // What else there was to send may have been asked for by a client.
        let walk = |signal| match signal {
            libc::SIGKILL => Walk::Signal(signal),
            other => Walk::Ask(other),
        };
        let left = state
            .left
            .map(|left| usize::try_from(left).unwrap_or(usize::MAX));
        Self {
            tree: Arc::new(Tree::restore(pid, state.tree)),
            pidfd,
            pipes: state.pipes,
            deadline_at: state.deadline_at,
            exit: state.exit.map(|it| (it.exit, it.at)),
            cpu_us: state.cpu_us,
            drain_until: state.drain_until,
            holders_asked: state.drained,
            holders: state.holders,
            drained: state.drained,
            sweep: state.sweep.map(|sweep| Sweep {
                kill_at: sweep.kill_at,
                begins_with_term: sweep.begins_with_term,
                kills: sweep.kills,
                look_at: sweep.look_at,
            }),
            cause: state.cause,
            exact: state.exact,
            left: left.map_or(Left::NotAsked, Left::Known),
            walking: false,
            walks: state.signals.into_iter().map(walk).collect(),
        }
    }
}
