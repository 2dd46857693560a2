//! The user's side of a job on a terminal: keys, sizes, and what is said beside it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{CANCEL_GRACE, Run, say_left};
use redial_client::JobHandle;
use rustix::process::Signal as Sig;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::report;
use crate::stdin::Typist;
use crate::terminal::{self, Escape, EscapeChar, Key, Raw};

/// See the module.
#[derive(Debug)]
pub(super) struct Screen {
    escape: EscapeChar,
    /// Our terminal, while the job has the keys.
    raw: Option<Raw>,
    /// Keys are looked at.
    is_raw: Arc<AtomicBool>,
    keys: UnboundedReceiver<Key>,
    /// Until somebody types.
    typist: Option<Typist>,
    signals: Option<Signals>,
}

/// Those that are about a terminal.
#[derive(Debug)]
struct Signals {
    resized: Signal,
    /// We were stopped by somebody else, and the shell has set up its terminal meanwhile.
    continued: Signal,
    /// Who obeys it leaves the terminal as it is.
    quit: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        let continued = SignalKind::from_raw(Sig::CONT.as_raw());
        Ok(Signals {
            resized: signal(SignalKind::window_change())?,
            continued: signal(continued)?,
            quit: signal(SignalKind::quit())?,
        })
    }

    async fn next(&mut self) -> Done {
        tokio::select! {
            _ = self.resized.recv() => Done::Resized,
            _ = self.continued.recv() => Done::Continued,
            _ = self.quit.recv() => Done::Key(Key::Leave),
        }
    }
}

/// What has happened on this side.
#[derive(Debug, Clone, Copy)]
pub(super) enum Done {
    /// Our terminal has another size.
    Resized,
    /// We were stopped, and go on.
    Continued,
    Key(Key),
}

impl Screen {
    /// Nothing is done to our terminal before the job is there.
    pub(super) fn new(escape: EscapeChar) -> Self {
        let is_raw = Arc::new(AtomicBool::new(false));
        let (send, keys) = unbounded_channel();
        let typist = Typist {
            escape: Escape::new(escape),
            is_raw: Arc::clone(&is_raw),
            keys: send,
        };
        Screen {
            escape,
            raw: None,
            is_raw,
            keys,
            typist: Some(typist),
            signals: None,
        }
    }

    /// Who looks at the keys.
    pub(super) fn typist(&mut self) -> Option<Typist> {
        self.typist.take()
    }

    /// The job is there, and has a terminal: it gets the size of ours, and the keys if somebody types.
    ///
    /// # Errors
    ///
    /// Our terminal cannot be made raw, or signals cannot be heard.
    pub(super) fn open(&mut self, job: &JobHandle) -> io::Result<()> {
        self.signals = Some(Signals::listen()?);
        // Without a typist nobody would hear what is typed, not even Ctrl-C.
        self.raw = match self.typist {
            None => Raw::enter()?,
            Some(_) => None,
        };
        self.is_raw.store(self.raw.is_some(), Ordering::Relaxed);
        resize(job);
        Ok(())
    }

    /// What happens on this side; never, where there is none. Cancel-safe.
    pub(super) async fn next(&mut self) -> Done {
        let signalled = async {
            match &mut self.signals {
                Some(signals) => signals.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            done = signalled => done,
            Some(key) = self.keys.recv() => Done::Key(key),
            else => std::future::pending().await,
        }
    }

    /// Stops us until somebody lets us go on.
    ///
    /// # Errors
    ///
    /// See [`Raw::suspend`].
    pub(super) fn suspend(&self) -> io::Result<()> {
        self.raw.as_ref().map_or(Ok(()), Raw::suspend)
    }

    /// We go on.
    ///
    /// # Errors
    ///
    /// See [`Raw::again`].
    pub(super) fn go_on(&self, job: &JobHandle) -> io::Result<()> {
        resize(job);
        self.raw.as_ref().map_or(Ok(()), Raw::again)
    }

    /// Says what keys there are.
    pub(super) fn help(&self) {
        if let Some(key) = self.escape.shown() {
            report::note(format_args!(
                "at the beginning of a line: {key}. leaves, {key}^Z stops redial, {key}? says this, \
                 {key}{key} types {key}"
            ));
        }
    }

    /// How to get away from a job that does not answer, for people who type on it.
    pub(super) fn way_out(&self) -> Option<String> {
        let key = self.escape.shown().filter(|_| self.raw.is_some());
        key.map(|key| format!("Enter {key}. leaves"))
    }

    /// The job has the keys no more.
    pub(super) fn close(&mut self) {
        self.is_raw.store(false, Ordering::Relaxed);
        self.raw = None;
        self.signals = None;
    }
}

impl Run<'_> {
    /// The job is there, and has a terminal.
    pub(super) fn open_screen(&mut self) {
        if let Err(error) = self.screen.open(&self.handle) {
            self.fail(format!("cannot use this terminal: {error}"));
            let _ = self.handle.cancel(CANCEL_GRACE);
        }
    }

    fn uses_terminal(&mut self, used: io::Result<()>) {
        if let Err(error) = used {
            self.fail(format!("cannot use this terminal: {error}"));
        }
    }

    /// Something has happened on our side. True if we leave.
    pub(super) fn on_screen(&mut self, done: Done) -> bool {
        match done {
            Done::Resized => resize(&self.handle),
            Done::Key(Key::Help) => self.screen.help(),
            Done::Continued => self.uses_terminal(self.screen.go_on(&self.handle)),
            Done::Key(Key::Suspend) => self.uses_terminal(self.screen.suspend()),
            Done::Key(Key::Leave) => {
                self.screen.close();
                say_left(self.handle.id(), &self.settings.way.target, self.fate);
                self.say_leaving();
                return true;
            }
        }
        false
    }
}

/// One that cannot be sent any more is one for a job that is over.
pub(super) fn resize(job: &JobHandle) {
    let _ = job.resize(terminal::size());
}
