//! Our stdin, read by a thread of its own (it may block for ever) and handed to the job
//! as that has room.

use std::io;

use redial_client::{Bytes, JobHandle};
use rustix::event::PollFlags;
use tokio::sync::mpsc::{Sender, channel};
use tokio::task::JoinHandle;

use crate::sinks::wait_or_fail;

const BLOCK: usize = 64 * 1024;
/// Blocks that wait for the job.
const AHEAD: usize = 4;

/// Feeds the job from our stdin until either ends. The task's result is a failure to
/// read.
///
/// # Errors
///
/// When the thread cannot be started.
pub(crate) fn feed(job: JobHandle) -> io::Result<JoinHandle<io::Result<()>>> {
    let (sender, mut blocks) = channel(AHEAD);
    std::thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(move || read_all(&sender))?;
    Ok(tokio::spawn(async move {
        let mut ended = Ok(());
        while let Some(block) = blocks.recv().await {
            match block {
                Ok(block) => {
                    if job.write_stdin(block).await.is_err() {
                        // The command reads no more: neither do we.
                        return Ok(());
                    }
                }
                Err(error) => ended = Err(error),
            }
        }
        job.close_stdin();
        ended
    }))
}

fn read_all(sender: &Sender<io::Result<Bytes>>) {
    let stdin = rustix::stdio::stdin();
    let mut buffer = vec![0; BLOCK];
    loop {
        let block = match rustix::io::read(stdin, &mut buffer) {
            Ok(0) => return,
            Ok(len) if len < BLOCK / 4 => Ok(Bytes::copy_from_slice(&buffer[..len])),
            Ok(len) => {
                let full = std::mem::replace(&mut buffer, vec![0; BLOCK]);
                Ok(Bytes::from(full).slice(..len))
            }
            Err(error) => match wait_or_fail(stdin, error, PollFlags::IN) {
                Ok(()) => continue,
                Err(error) => Err(error),
            },
        };
        let failed = block.is_err();
        if sender.blocking_send(block).is_err() || failed {
            return;
        }
    }
}
