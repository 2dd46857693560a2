//! What its holder does to a job.

use super::Job;
use crate::keeper::ground::Ground;
use crate::keeper::workers::Walk;
use crate::outcome::ControlKind;
use crate::spawn::PtySize;

impl Job {
    /// Applies a control unless that was done before. `by` is for the outcome.
    pub(in crate::keeper) fn control(
        &mut self,
        ground: &mut Ground,
        number: u64,
        control: ControlKind,
        by: String,
    ) {
        self.tell.applied = true;
        if number <= self.applied {
            return;
        }
        self.applied = number;
        self.apply(ground, control, by);
    }

    /// Does it, numbered or not.
    pub(in crate::keeper) fn apply(
        &mut self,
        ground: &mut Ground,
        control: ControlKind,
        by: String,
    ) {
        match control {
            ControlKind::Signal(signal) => self.signal(i32::from(signal)),
            // Without a terminal there is nothing to resize.
            ControlKind::Resize(rows, columns, x_pixels, y_pixels) => {
                self.outputs[0].resize(
                    ground,
                    PtySize {
                        columns,
                        rows,
                        x_pixels,
                        y_pixels,
                    },
                );
            }
            ControlKind::Stop(stream) => {
                let is_read = self.is_read();
                let index = usize::from(stream).wrapping_sub(1);
                if let Some(output) = self.outputs.get_mut(index) {
                    output.drop_all(ground, &mut self.journal, is_read);
                }
                self.hang_up(ground);
            }
            ControlKind::Cancel(grace_ms) => {
                self.wait_for_no_room(ground);
                self.cancel(ground.now, u64::from(grace_ms), by);
            }
        }
    }

    /// A terminal that nobody looks at any more is closed on our side: its session gets SIGHUP.
    pub(in crate::keeper) fn hang_up(&mut self, ground: &mut Ground) {
        if self.outputs[0].is_terminal()
            && self.outputs[0].has_ended()
            && let Some(input) = &mut self.input
        {
            input.close(ground);
        }
    }

    fn signal(&mut self, signal: i32) {
        if !(1..=64).contains(&signal) || self.outcome.is_some() {
            return;
        }
        match self.ending.signal_group(signal) {
            // There is a group, and nobody in it whom its user could signal.
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => {}
            Err(_) => self.ending.queue(Walk::Ask(signal)),
            Ok(()) => {}
        }
    }
}
