//! A simulation's way in: lines, clock and chance that are its own. They count on the thread
//! that has entered it, and nothing of this does anything elsewhere.

use std::cell::RefCell;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use crate::connect::{Line, shake_hands, too_late};
use crate::error::ConnectError;
use crate::options::ConnectOptions;
use crate::target::Target;

/// A line to a server.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A line that is being dialled.
pub type Dialled = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send>>;

/// What is around the client.
pub trait World {
    /// Dials.
    fn dial(&self, target: &Target) -> Dialled;
    /// The time on a clock that counts sleep.
    fn uptime(&self) -> Duration;
    /// Any number.
    fn chance(&self) -> u32;
}

thread_local! {
    static WORLD: RefCell<Option<Rc<dyn World>>> = const { RefCell::new(None) };
}

/// As long as it is there, this thread is in a simulation.
#[derive(Debug)]
pub struct Inside(());

/// From now on, what this thread does is done in this world.
pub fn enter(world: Rc<dyn World>) -> Inside {
    WORLD.set(Some(world));
    Inside(())
}

impl Drop for Inside {
    fn drop(&mut self) {
        WORLD.take();
    }
}

fn world() -> Option<Rc<dyn World>> {
    WORLD.with_borrow(Clone::clone)
}

pub(crate) fn uptime() -> Option<Duration> {
    world().map(|world| world.uptime())
}

pub(crate) fn chance() -> Option<u32> {
    world().map(|world| world.chance())
}

pub(crate) fn dial(target: &Target) -> Option<Dialled> {
    world().map(|world| world.dial(target))
}

/// As for a Unix socket, or where the target is `exec:`, for a program.
pub(crate) async fn open(
    target: &Target,
    options: &ConnectOptions,
    dialled: Dialled,
) -> Result<Line, ConnectError> {
    let limit = options.connect_timeout;
    match timeout(limit, dialled).await {
        Ok(Ok(stream)) => shake_hands(target, options, limit, stream, None).await,
        Ok(Err(source)) => Err(ConnectError::Unreachable {
            target: target.clone(),
            path: PathBuf::new(),
            source,
        }),
        Err(_) => Err(too_late(target, options)),
    }
}
