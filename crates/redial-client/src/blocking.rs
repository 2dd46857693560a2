//! The same client for code without a runtime.
//!
//! ```no_run
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use redial_client::{Command, ConnectOptions, blocking};
//!
//! let client = blocking::Client::connect(&"unix:".parse()?, ConnectOptions::default())?;
//! let finished = client.run(Command::new(["id", "-un"]))?;
//! print!("{}", String::from_utf8_lossy(&finished.stdout));
//! # Ok(())
//! # }
//! ```

use std::io;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use bytes::Bytes;
use redial_net::proto::JobId;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use crate::client::GOODBYE_TIMEOUT;
use crate::collect::Finished;
use crate::command::Command;
use crate::error::{ConnectError, JobError, StartError, StdinError};
use crate::job::{JobEvent, JobHandle};
use crate::options::ConnectOptions;
use crate::target::Target;

/// A connection whose driver runs on a thread of its own. Must not be used inside an
/// async runtime: its calls block, and panic there.
#[derive(Debug, Clone)]
pub struct Client {
    client: crate::Client,
    runtime: Arc<Runtime>,
}

/// As [`crate::Job`].
#[derive(Debug)]
pub struct Job {
    job: crate::Job,
    runtime: Arc<Runtime>,
}

/// There is no connection, or no thread to drive it.
#[derive(Debug, thiserror::Error)]
pub enum BlockingError {
    /// As [`crate::Client::connect`] failed.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// No runtime.
    #[error("cannot start the thread that drives the connection: {0}")]
    Thread(#[from] io::Error),
}

impl Client {
    /// As [`crate::Client::connect`].
    ///
    /// # Errors
    ///
    /// [`BlockingError`].
    pub fn connect(target: &Target, options: ConnectOptions) -> Result<Self, BlockingError> {
        let runtime = Arc::new(Runtime::start()?);
        let client = runtime
            .handle
            .block_on(crate::Client::connect(target, options))?;
        // Only this call sets it, so it is empty.
        let _ = runtime.driver.set(client.driver());
        Ok(Client { client, runtime })
    }

    /// As [`crate::Client::run`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn run(&self, command: Command) -> Result<Finished, JobError> {
        self.runtime.handle.block_on(self.client.run(command))
    }

    /// As [`crate::Client::start`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn start(&self, command: Command) -> Result<Job, StartError> {
        let job = self.runtime.handle.block_on(self.client.start(command))?;
        Ok(Job {
            job,
            runtime: Arc::clone(&self.runtime),
        })
    }

    /// As [`crate::Client::close`].
    pub fn close(&self) {
        self.runtime.handle.block_on(self.client.close());
    }
}

impl Job {
    /// Its id.
    pub fn id(&self) -> JobId {
        self.job.id()
    }

    /// The side that controls; its `write_stdin` is [`Job::write_stdin`] here.
    pub fn handle(&self) -> JobHandle {
        self.job.handle()
    }

    /// As [`crate::JobHandle::write_stdin`]. Who writes and reads from one thread must
    /// not write more than the command takes without its output being read.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn write_stdin(&self, bytes: Bytes) -> Result<(), StdinError> {
        self.runtime
            .handle
            .block_on(self.job.handle().write_stdin(bytes))
    }
}

impl Iterator for Job {
    type Item = Result<JobEvent, JobError>;

    /// As [`crate::Job::next`].
    fn next(&mut self) -> Option<Self::Item> {
        self.runtime.handle.block_on(self.job.next())
    }
}

/// A thread that drives a runtime until this is dropped.
#[derive(Debug)]
struct Runtime {
    handle: Handle,
    /// Whether the connection is over, once there is one.
    driver: OnceLock<watch::Receiver<bool>>,
    stop: Option<oneshot::Sender<Option<watch::Receiver<bool>>>>,
    thread: Option<JoinHandle<()>>,
}

impl Runtime {
    fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<Option<watch::Receiver<bool>>>();
        let thread = std::thread::Builder::new()
            .name("redial".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    if let Ok(Some(mut driver)) = stopped.await {
                        // The last handle has gone: the goodbye is on its way.
                        let _ = timeout(GOODBYE_TIMEOUT, driver.wait_for(|over| *over)).await;
                    }
                });
            })?;
        let (driver, stop) = (OnceLock::new(), Some(stop));
        Ok(Runtime {
            handle,
            driver,
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // It fails when the thread has panicked, which is an end too.
            let _ = stop.send(self.driver.take());
        }
        if let Some(thread) = self.thread.take() {
            // It panicked or not: it is over.
            let _ = thread.join();
        }
    }
}
