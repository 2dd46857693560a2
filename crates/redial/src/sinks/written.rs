//! What is written of both outputs, and acknowledged in steps.

use std::time::Duration;

use redial_client::{JobHandle, Output};

/// Acknowledged at once when so much is written: an eighth of the window, so that the
/// server need not wait for it.
const ACKNOWLEDGE_BYTES: u64 = 128 * 1024;
/// Less is acknowledged when nothing more has come for so long.
pub(super) const ACKNOWLEDGE_AFTER: Duration = Duration::from_millis(4);

/// What is written and not yet acknowledged. To acknowledge wakes the thread that reads
/// from the line, which for every piece would cost more than the piece.
#[derive(Debug)]
pub(super) struct Written {
    job: JobHandle,
    pub(super) ends: [u64; 2],
    acknowledged: [u64; 2],
}

impl Written {
    pub(super) fn new(job: JobHandle) -> Self {
        Written {
            job,
            ends: [0; 2],
            acknowledged: [0; 2],
        }
    }

    pub(super) fn add(&mut self, stream: Output, end: u64) {
        let written = &mut self.ends[stream.index()];
        *written = end.max(*written);
        if self.waiting() >= ACKNOWLEDGE_BYTES {
            self.acknowledge();
        }
    }

    /// Bytes that are not acknowledged.
    pub(super) fn waiting(&self) -> u64 {
        self.ends.iter().sum::<u64>() - self.acknowledged.iter().sum::<u64>()
    }

    pub(super) fn acknowledge(&mut self) {
        for stream in Output::BOTH {
            let index = stream.index();
            if self.ends[index] > self.acknowledged[index] {
                self.acknowledged[index] = self.ends[index];
                self.job.acknowledge(stream, self.ends[index]);
            }
        }
    }
}
