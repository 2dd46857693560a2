//! A front in a simulation: hub and sessions are the real ones, what wakes them is not.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use redial_keeper::pool::{OutputView, StdinView};
use redial_keeper::wire::{
    Capability, Link, MAX_PACKET_BYTES, ToFront, ToKeeper, VERSION, decode_packet,
};
use redial_net::proto::{Config, Connection, Time};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::front::{Pools, converse};
use crate::hub::Hub;
use crate::session::FrontSession;

/// What the keeper has said to fronts, of what says how far they were tried.
#[derive(Debug, Default, Clone, Copy)]
pub struct Said {
    /// A job that ran already was attached to.
    pub attached: u64,
    /// Of those, some that had ended.
    pub ended: u64,
    /// A job was taken from another connection.
    pub taken: u64,
    /// A start or attach was refused.
    pub refused: u64,
}

/// A front, from the keeper's welcome until it is dropped, which ends its connections without
/// a word.
#[derive(Debug)]
pub struct Front {
    hub: Rc<RefCell<Hub>>,
    link: Rc<Link>,
    pools: Pools,
    instance: [u8; 16],
    packet: Vec<u8>,
    serving: BTreeMap<Capability, JoinHandle<()>>,
    /// Since somebody last took it.
    pub said: Said,
    /// Handed over by the keeper, and not taken yet.
    pub waiting: Vec<Capability>,
}

impl Front {
    /// Takes the keeper's welcome; none if it has not come yet.
    ///
    /// # Errors
    /// It is no welcome.
    pub fn welcomed(link: Link) -> io::Result<Result<Self, Link>> {
        let mut packet = vec![0; MAX_PACKET_BYTES];
        let received = match link.receive(&mut packet) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Err(link)),
            received => received?,
        };
        let broken = || io::Error::from(io::ErrorKind::InvalidData);
        let message = decode_packet::<ToFront>(&packet[..received.len]).next();
        let Some(Ok(ToFront::Welcome(VERSION, instance, settings))) = message else {
            return Err(broken());
        };
        let mut fds = received.fds.into_iter();
        let (output, stdin) = fds.next().zip(fds.next()).ok_or_else(broken)?;
        let pools = Pools {
            output: Rc::new(OutputView::map(output, settings.output_chunks)?),
            stdin: Rc::new(StdinView::map(stdin, settings.stdin_chunks)?),
        };
        let link = Rc::new(link);
        let mut hub = Hub::new(Rc::clone(&link), settings, Rc::clone(&pools.output));
        hub.tell(&ToKeeper::Ready(VERSION));
        hub.flush()?;
        Ok(Ok(Front {
            hub: Rc::new(RefCell::new(hub)),
            link,
            pools,
            instance: instance.into(),
            packet,
            serving: BTreeMap::new(),
            said: Said::default(),
            waiting: Vec::new(),
        }))
    }

    /// Sends what waits, and takes at most so many packets. True if there were any.
    ///
    /// # Errors
    /// The link is broken.
    pub fn turn(&mut self, packets: usize) -> io::Result<bool> {
        let mut any = false;
        self.hub.borrow_mut().flush()?;
        for _ in 0..packets {
            let len = match self.link.receive(&mut self.packet) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                received => received?.len,
            };
            any = true;
            for message in decode_packet::<ToFront>(&self.packet[..len]) {
                match message.map_err(io::Error::other)? {
                    ToFront::Connection(capability, _) => self.waiting.push(capability),
                    message => {
                        self.said.count(&message);
                        self.hub.borrow_mut().dispatch(message, None);
                    }
                }
            }
        }
        self.serving.retain(|_, task| !task.is_finished());
        Ok(any)
    }

    /// Serves a connection in a task of the present `LocalSet`.
    pub fn serve(
        &mut self,
        capability: Capability,
        transport: impl AsyncRead + AsyncWrite + Unpin + 'static,
    ) {
        let mut config = Config::server(self.instance);
        {
            let settings = &self.hub.borrow().settings;
            config.limits.channels = settings.channels;
            config.limits.early_stdin = 0;
            config.handshake_timeout = Duration::from_millis(settings.handshake_ms.into());
        }
        let hub = Rc::clone(&self.hub);
        let session = FrontSession::new(capability, Rc::clone(&hub), self.pools.clone());
        let connection = Connection::server(config, Time::ZERO);
        let began = Instant::now();
        let serving = converse(began, capability, transport, connection, session, hub);
        self.serving
            .insert(capability, tokio::task::spawn_local(serving));
    }

    /// Connections that are not over.
    pub fn connections(&self) -> usize {
        self.hub.borrow().connections()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        for task in self.serving.values() {
            task.abort();
        }
    }
}

impl Said {
    fn count(&mut self, message: &ToFront) {
        match message {
            ToFront::Attached(_, _, false, snapshot) => {
                self.attached += 1;
                self.ended += u64::from(snapshot.outcome.is_some());
            }
            ToFront::HolderLost(..) => self.taken += 1,
            ToFront::Refused(..) => self.refused += 1,
            _ => {}
        }
    }
}
