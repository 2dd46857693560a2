//! The signals that end a server, as a descriptor.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::sync_channel;
use std::thread;

use rustix::event::{EventfdFlags, eventfd};

use crate::interrupt::Interrupts;

/// Readable once SIGINT, SIGTERM or SIGHUP has come; a signal that was ignored when we
/// started stays ignored. They are heard when this returns.
///
/// # Errors
///
/// When they cannot be heard.
pub(in crate::commands) fn ending() -> io::Result<OwnedFd> {
    let ending = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    let heard = ending.try_clone()?;
    let (ready, is_ready) = sync_channel::<io::Result<()>>(1);
    let named = thread::Builder::new().name("signals".to_owned());
    named.spawn(move || {
        let listening = || -> io::Result<_> {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .build()?;
            let interrupts = runtime.block_on(async { Interrupts::listen() })?;
            Ok((runtime, interrupts))
        };
        match listening() {
            Ok((runtime, mut interrupts)) => {
                // Who started us waits for it.
                let _ = ready.send(Ok(()));
                runtime.block_on(interrupts.next());
                // It cannot fail: nothing was written before.
                let _ = rustix::io::write(&heard, &1_u64.to_ne_bytes());
            }
            Err(error) => {
                let _ = ready.send(Err(error));
            }
        }
    })?;
    is_ready.recv().map_err(io::Error::other)??;
    Ok(ending)
}
