//! Our stdin, read by a thread of its own (it may block for ever) and handed to the job
//! as that has room.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redial_client::{Bytes, JobHandle};
use rustix::event::PollFlags;
use rustix::fs::{FileType, makedev};
use rustix::io::Errno;
use tokio::sync::mpsc::{Sender, UnboundedSender, channel};
use tokio::task::JoinHandle;

use crate::charset::{Charset, Recoding};
use crate::sinks::{Replaced, wait_or_fail};
use crate::terminal::{self, Escape, Key};

const BLOCK: usize = 64 * 1024;
/// Blocks that wait for the job.
const AHEAD: usize = 4;
/// The same of what is typed: a terminal gives 4 KiB at once, at most.
const AHEAD_KEYS: usize = 4 * 1024;

/// Feeds the job from our stdin until either ends, written in another charset if there
/// is one. The task's result is a failure to read.
///
/// # Errors
///
/// When the thread cannot be started.
pub(crate) fn feed(
    job: JobHandle,
    charset: Option<Charset>,
    replaced: Replaced,
    mut typist: Option<Typist>,
) -> io::Result<JoinHandle<io::Result<()>>> {
    if typist.is_none() && is_null() {
        job.close_stdin();
        return Ok(tokio::spawn(std::future::ready(Ok(()))));
    }
    let mut recoding = charset.map(Recoding::new);
    // While keys may be for us they are read, however many wait before them.
    let ahead = if typist.is_some() && terminal::is_typed() {
        AHEAD_KEYS
    } else {
        AHEAD
    };
    let (sender, mut blocks) = channel(ahead);
    std::thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(move || read_all(&sender, typist.as_mut()))?;
    Ok(tokio::spawn(async move {
        let mut ended = Ok(());
        while let Some(block) = blocks.recv().await {
            match block {
                Ok(block) => {
                    let block = match &mut recoding {
                        Some(recoding) => Bytes::from(recoding.recode(&block)),
                        None => block,
                    };
                    if let Some(recoding) = &recoding {
                        replaced.set_stdin(recoding.replaced());
                    }
                    if job.write_stdin(block).await.is_err() {
                        // The command reads no more: neither do we.
                        return Ok(());
                    }
                }
                Err(error) => ended = Err(error),
            }
        }
        if let Some(recoding) = &mut recoding {
            // A command that reads no more does not miss it.
            let _ = job.write_stdin(recoding.finish().into()).await;
            replaced.set_stdin(recoding.replaced());
        }
        job.close_stdin();
        ended
    }))
}

/// Whether nothing will ever come: for that no thread is needed (null(4)).
fn is_null() -> bool {
    rustix::fs::fstat(rustix::stdio::stdin()).is_ok_and(|about| {
        FileType::from_raw_mode(about.st_mode) == FileType::CharacterDevice
            && about.st_rdev == makedev(1, 3)
    })
}

/// Who looks for keys that are for us in what is typed.
#[derive(Debug)]
pub(crate) struct Typist {
    pub(crate) escape: Escape,
    /// Keys come one by one, and may be for us.
    pub(crate) is_raw: Arc<AtomicBool>,
    pub(crate) keys: UnboundedSender<Key>,
}

impl Typist {
    fn take(&mut self, typed: Bytes) -> Bytes {
        if !self.is_raw.load(Ordering::Relaxed) {
            return typed;
        }
        let (passed, keys) = self.escape.take(&typed);
        for key in keys {
            // Nobody listens only when we are leaving.
            let _ = self.keys.send(key);
        }
        passed.into()
    }
}

fn read_all(sender: &Sender<io::Result<Bytes>>, mut typist: Option<&mut Typist>) {
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
            // Our terminal is gone, and nobody says anything any more: that is no end of what was said.
            Err(Errno::IO) if typist.is_some() => loop {
                std::thread::park();
            },
            Err(error) => match wait_or_fail(stdin, error, PollFlags::IN) {
                Ok(()) => continue,
                Err(error) => Err(error),
            },
        };
        let block = match &mut typist {
            Some(typist) => block.map(|typed| typist.take(typed)),
            None => block,
        };
        if block.as_ref().is_ok_and(Bytes::is_empty) {
            continue;
        }
        let failed = block.is_err();
        let is_heard = sender.blocking_send(block).is_ok();
        // A command that reads no more may run on: then keys for us count still.
        if failed || (!is_heard && typist.is_none()) {
            return;
        }
    }
}
