//! The life of a front: from the keeper's welcome to the end of its link.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use redial_keeper::pool::{OutputView, StdinView};
use redial_keeper::wire::{
    Capability, ConnectionKind, Link, MAX_PACKET_BYTES, ToFront, ToKeeper, VERSION, WireError,
    decode_packet,
};
use redial_net::proto::{Config, Connection, Time};
use redial_net::{DriveError, Transport, drive};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::LocalSet;

use crate::hub::Hub;
use crate::session::FrontSession;

/// Packets taken from the keeper before other tasks get their turn.
const PACKETS_A_TURN: usize = 64;

/// Why a front ended otherwise than with its keeper.
#[derive(Debug, thiserror::Error)]
pub enum FrontError {
    /// The descriptor given is not a keeper's link, or it failed.
    #[error("the link to the keeper: {0}")]
    Link(#[from] io::Error),
    /// The keeper sent what no keeper of this version sends.
    #[error("the keeper's message: {0}")]
    Message(#[from] WireError),
    /// Keeper and front are of different builds.
    #[error("the keeper speaks version {theirs} of their protocol, this front {VERSION}")]
    Version {
        /// The keeper's version.
        theirs: u32,
    },
    /// The first message was not a welcome with two descriptors.
    #[error("the keeper did not begin with a welcome")]
    NoWelcome,
}

/// Serves the connections that the keeper at the other end of `link` hands over,
/// until the keeper ends or shuts down. Runs a runtime of its own on this thread.
///
/// # Errors
///
/// [`FrontError`]; the keeper then starts another front.
pub fn front(link: OwnedFd) -> Result<(), FrontError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, serve(Link::from_fd(link)?))
}

async fn serve(link: Link) -> Result<(), FrontError> {
    let link = Rc::new(link);
    let interest = Interest::READABLE | Interest::WRITABLE;
    #[expect(
        deprecated,
        reason = "its successor is unsafe, which this crate forbids. What it asks for holds: a \
                  `SharedLink` owns its link, whose descriptor never changes"
    )]
    let watched = AsyncFd::with_interest(SharedLink(Rc::clone(&link)), interest)?;
    let mut front = Front::welcomed(link, &watched).await?;
    poll_fn(|cx| front.poll(cx, &watched)).await
}

/// Lets the runtime watch a link that others send on.
struct SharedLink(Rc<Link>);

impl std::os::fd::AsRawFd for SharedLink {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        use std::os::fd::AsFd;
        self.0.as_fd().as_raw_fd()
    }
}

struct Front {
    hub: Rc<RefCell<Hub>>,
    link: Rc<Link>,
    output: Rc<OutputView>,
    stdin: Rc<StdinView>,
    instance: [u8; 16],
    packet: Vec<u8>,
}

impl Front {
    async fn welcomed(link: Rc<Link>, watched: &AsyncFd<SharedLink>) -> Result<Self, FrontError> {
        let mut packet = vec![0; MAX_PACKET_BYTES];
        let received = watched
            .async_io(Interest::READABLE, |link| link.0.receive(&mut packet))
            .await?;
        let mut fds = received.fds.into_iter();
        let mut messages = decode_packet::<ToFront>(&packet[..received.len]);
        let Some(ToFront::Welcome(version, instance, settings)) = messages.next().transpose()?
        else {
            return Err(FrontError::NoWelcome);
        };
        drop(messages);
        if version != VERSION {
            return Err(FrontError::Version { theirs: version });
        }
        let (Some(output), Some(stdin)) = (fds.next(), fds.next()) else {
            return Err(FrontError::NoWelcome);
        };
        let output = Rc::new(OutputView::map(output, settings.output_chunks)?);
        let stdin = Rc::new(StdinView::map(stdin, settings.stdin_chunks)?);
        let mut hub = Hub::new(Rc::clone(&link), settings);
        hub.tell(&ToKeeper::Ready(VERSION));
        hub.flush()?;
        let hub = Rc::new(RefCell::new(hub));
        Ok(Front {
            hub,
            link,
            output,
            stdin,
            instance: instance.into(),
            packet,
        })
    }

    /// Ready when the keeper is gone, or when it shuts down and the last client has left.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        watched: &AsyncFd<SharedLink>,
    ) -> Poll<Result<(), FrontError>> {
        self.hub.borrow_mut().register_sender(cx.waker());
        self.poll_send(cx, watched)?;
        for _ in 0..PACKETS_A_TURN {
            if self.has_nothing_to_do() {
                return Poll::Ready(Ok(()));
            }
            let mut ready = ready!(watched.poll_read_ready(cx))?;
            match ready.try_io(|link| link.get_ref().0.receive(&mut self.packet)) {
                Ok(Ok(received)) if received.len == 0 => return Poll::Ready(Ok(())),
                Ok(Ok(received)) => self.packet(received.len, received.fds)?,
                Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) => return Poll::Ready(Err(error.into())),
                Err(_would_block) => {}
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// The server shuts down and the last client has left.
    fn has_nothing_to_do(&self) -> bool {
        let hub = self.hub.borrow();
        hub.shutting_down && hub.connections() == 0
    }

    /// Sends what the sessions could not send themselves.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        watched: &AsyncFd<SharedLink>,
    ) -> Result<(), FrontError> {
        loop {
            match self.hub.borrow_mut().flush() {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                // The reading side sees the end of the keeper and says it better.
                Err(_) => return Ok(()),
            }
            match watched.poll_write_ready(cx) {
                Poll::Ready(guard) => guard?.clear_ready(),
                Poll::Pending => return Ok(()),
            }
        }
    }

    fn packet(&mut self, len: usize, fds: Vec<OwnedFd>) -> Result<(), FrontError> {
        let mut fds = fds.into_iter();
        for message in decode_packet::<ToFront>(&self.packet[..len]) {
            match message? {
                ToFront::Connection(capability, kind) => {
                    self.connection(capability, kind, fds.next(), fds.next());
                }
                message => self.hub.borrow_mut().dispatch(message),
            }
        }
        Ok(())
    }

    fn connection(
        &self,
        capability: Capability,
        kind: ConnectionKind,
        first: Option<OwnedFd>,
        second: Option<OwnedFd>,
    ) {
        let transport = match (kind, first, second) {
            (ConnectionKind::Unix(..), Some(socket), _) => Transport::from_socket(socket.into()),
            (ConnectionKind::Stdio, Some(input), Some(output)) => {
                Transport::from_stdio(input, output)
            }
            _ => Err(io::Error::other(
                "a connection came without its descriptors",
            )),
        };
        let hub = Rc::clone(&self.hub);
        let session = FrontSession::new(
            capability,
            Rc::clone(&hub),
            Rc::clone(&self.output),
            Rc::clone(&self.stdin),
        );
        match transport {
            Ok(transport) => {
                let connection = Connection::server(self.config(), Time::ZERO);
                tokio::task::spawn_local(converse(capability, transport, connection, session, hub));
            }
            Err(error) => {
                tracing::warn!(capability, %error, "a connection that cannot be served");
                hub.borrow_mut().close(capability);
            }
        }
    }

    fn config(&self) -> Config {
        let hub = self.hub.borrow();
        let mut config = Config::server(self.instance);
        config.limits.channels = hub.settings.channels;
        // Stdin has its place only when the keeper has answered.
        config.limits.early_stdin = 0;
        config.handshake_timeout = Duration::from_millis(hub.settings.handshake_ms.into());
        config
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        tracing::debug!(link = ?self.link, "the front ends");
    }
}

/// One connection from its first byte to its last.
async fn converse(
    capability: Capability,
    transport: Transport,
    connection: Connection,
    mut session: FrontSession,
    hub: Rc<RefCell<Hub>>,
) {
    match drive(transport, connection, &mut session).await {
        Ok(()) => tracing::debug!(capability, "connection closed"),
        Err(DriveError::Protocol(error)) => {
            tracing::warn!(capability, error = %error.to_string().escape_debug(), "refused");
        }
        Err(error) => tracing::debug!(capability, %error, "connection ended"),
    }
    hub.borrow_mut().close(capability);
}
