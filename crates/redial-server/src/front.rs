//! The life of a front: from the keeper's welcome to the end of its link.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use redial_keeper::pool::{OutputView, StdinView};
use redial_keeper::wire::{
    Capability, Confinement, ConnectionKind, Link, MAX_PACKET_BYTES, ToFront, ToKeeper, VERSION,
    WireError, decode_packet,
};
use redial_net::proto::{Config, Connection, Time};
use redial_net::tls::TlsServer;
use redial_net::{DriveError, Transport, drive_since};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::unix::pipe;
use tokio::task::LocalSet;
use tokio::time::Instant;

use crate::hub::Hub;
use crate::network::{self, Caller, tls_server};
use crate::session::FrontSession;

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
    /// The first message was not a welcome with its descriptors.
    #[error("the keeper did not begin with a welcome")]
    NoWelcome,
    /// TLS cannot be served with the host key.
    #[error("the host key: {0}")]
    HostKey(String),
}

/// Serves the connections that the keeper at the other end of `link` hands over,
/// until the keeper ends or shuts down. How far this process has shut itself in ([`crate::confine`])
/// is told to the keeper. Runs a runtime of its own on this thread.
///
/// # Errors
///
/// [`FrontError`]; the keeper then starts another front.
pub fn front(link: OwnedFd, confinement: Confinement) -> Result<(), FrontError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, serve(Link::from_fd(link)?, confinement))
}

async fn serve(link: Link, confinement: Confinement) -> Result<(), FrontError> {
    let mut watch = Watch::new(&link)?;
    let mut front = Front::welcomed(Rc::new(link), &watch).await?;
    front
        .hub
        .borrow_mut()
        .tell(&ToKeeper::Confined(confinement));
    poll_fn(|cx| front.poll(cx, &mut watch)).await
}

/// The runtime's eyes on the link, on descriptors of their own. For room in it they look
/// only while there is none: whoever looks is woken by every packet the keeper takes.
struct Watch {
    input: pipe::Receiver,
    room: Option<pipe::Sender>,
}

impl Watch {
    fn new(link: &Link) -> io::Result<Self> {
        let again = link.as_fd().try_clone_to_owned()?;
        Ok(Watch {
            input: pipe::Receiver::from_owned_fd_unchecked(again)?,
            room: None,
        })
    }

    /// Ready when sending is worth another try; the task is woken else.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(room) = &self.room else {
            let again = self.input.as_fd().try_clone_to_owned()?;
            self.room = Some(pipe::Sender::from_owned_fd_unchecked(again)?);
            return Poll::Ready(Ok(()));
        };
        ready!(room.poll_write_ready(cx))?;
        // What it knew is used up by the try that now follows.
        let _ = room.try_io(|| Err::<(), _>(io::ErrorKind::WouldBlock.into()));
        Poll::Ready(Ok(()))
    }
}

/// Where streams lie.
#[derive(Debug, Clone)]
pub(crate) struct Pools {
    pub(crate) output: Rc<OutputView>,
    pub(crate) stdin: Rc<StdinView>,
}

struct Front {
    hub: Rc<RefCell<Hub>>,
    link: Rc<Link>,
    pools: Pools,
    /// Where the network is listened on.
    tls: Option<Rc<TlsServer>>,
    instance: [u8; 16],
    packet: Vec<u8>,
}

impl Front {
    async fn welcomed(link: Rc<Link>, watch: &Watch) -> Result<Self, FrontError> {
        let mut packet = vec![0; MAX_PACKET_BYTES];
        let received = loop {
            watch.input.readable().await?;
            match watch.input.try_io(|| link.receive(&mut packet)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => break result?,
            }
        };
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
        let pools = Pools {
            output: Rc::new(OutputView::map(output, settings.output_chunks)?),
            stdin: Rc::new(StdinView::map(stdin, settings.stdin_chunks)?),
        };
        let tls = match (&settings.host_key, fds.next()) {
            (Some(blob), Some(signer)) => Some(Rc::new(tls_server(blob, signer)?)),
            (None, None) => None,
            _ => return Err(FrontError::NoWelcome),
        };
        let mut hub = Hub::new(Rc::clone(&link), settings, Rc::clone(&pools.output));
        hub.tell(&ToKeeper::Ready(VERSION));
        hub.flush()?;
        let hub = Rc::new(RefCell::new(hub));
        Ok(Front {
            hub,
            link,
            pools,
            tls,
            instance: instance.into(),
            packet,
        })
    }

    /// Ready when the keeper is gone, or when it shuts down and the last client has left.
    fn poll(&mut self, cx: &mut Context<'_>, watch: &mut Watch) -> Poll<Result<(), FrontError>> {
        self.hub.borrow_mut().register_sender(cx.waker());
        self.poll_send(cx, watch)?;
        if self.has_nothing_to_do() {
            return Poll::Ready(Ok(()));
        }
        ready!(watch.input.poll_read_ready(cx))?;
        let received = watch.input.try_io(|| self.link.receive(&mut self.packet));
        match received.map_err(|error| (error.kind(), error)) {
            Ok(received) if received.len == 0 => return Poll::Ready(Ok(())),
            Ok(received) => self.packet(received.len, received.fds)?,
            Err((io::ErrorKind::WouldBlock, _)) => {}
            Err((io::ErrorKind::ConnectionReset, _)) => return Poll::Ready(Ok(())),
            Err((_, error)) => return Poll::Ready(Err(error.into())),
        }
        // Whom it was for goes on before the next one is looked for.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// The server shuts down and the last client has left.
    fn has_nothing_to_do(&self) -> bool {
        let hub = self.hub.borrow();
        hub.shutting_down && hub.connections() == 0
    }

    /// Sends what the sessions could not send themselves.
    fn poll_send(&mut self, cx: &mut Context<'_>, watch: &mut Watch) -> Result<(), FrontError> {
        loop {
            match self.hub.borrow_mut().flush() {
                Ok(true) => {
                    watch.room = None;
                    return Ok(());
                }
                Ok(false) => {}
                // The reading side sees the end of the keeper and says it better.
                Err(_) => return Ok(()),
            }
            if watch.poll_room(cx)?.is_pending() {
                return Ok(());
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
                message => {
                    let leave = |who, after| network::leave_soon(who, after, Rc::clone(&self.hub));
                    match message {
                        ToFront::Dismissed(who, _) => leave(who, network::LEAVE_AFTER),
                        // They may wait for the answer to a login: they are told.
                        ToFront::ShuttingDown => {
                            let strangers = self.hub.borrow().strangers();
                            strangers
                                .into_iter()
                                .for_each(|who| leave(who, network::STRANGERS_LEAVE_AFTER));
                        }
                        _ => {}
                    }
                    self.hub.borrow_mut().dispatch(message, fds.next());
                }
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
            (ConnectionKind::Unix(..) | ConnectionKind::Carried(_), Some(socket), _) => {
                Transport::from_socket(socket.into())
            }
            (ConnectionKind::Stdio, Some(input), Some(output)) => {
                Transport::from_stdio(input, output)
            }
            (ConnectionKind::Tcp(_), Some(socket), _) => Transport::from_tcp(socket.into()),
            _ => Err(io::Error::other(
                "a connection came without its descriptors",
            )),
        };
        let transport = match transport {
            Ok(transport) => transport,
            Err(error) => {
                tracing::warn!(capability, %error, "a connection that cannot be served");
                return self.hub.borrow_mut().close(capability);
            }
        };
        let (hub, pools) = (Rc::clone(&self.hub), self.pools.clone());
        match (kind, &self.tls) {
            (ConnectionKind::Tcp(peer) | ConnectionKind::Carried(peer), Some(tls)) => {
                let caller = Caller {
                    capability,
                    peer,
                    transport,
                };
                let serving = network::serve(caller, Rc::clone(tls), self.config(), pools, hub);
                // In a box: tokio moves a future on its way into a task and out of it, and this one is large.
                let task = tokio::task::spawn_local(Box::pin(serving));
                let mut hub = self.hub.borrow_mut();
                hub.add_caller(capability, task.abort_handle());
            }
            (ConnectionKind::Tcp(_) | ConnectionKind::Carried(_), None) => {
                tracing::error!(
                    capability,
                    "a connection from the network without a host key"
                );
                hub.borrow_mut().close(capability);
            }
            _ => {
                let session = FrontSession::new(capability, Rc::clone(&hub), pools);
                let connection = Connection::server(self.config(), Time::ZERO);
                let began = Instant::now();
                let serving = converse(began, capability, transport, connection, session, hub);
                tokio::task::spawn_local(serving);
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

/// One connection from its first byte to its last; its clock runs since it `began`.
pub(crate) async fn converse(
    began: Instant,
    capability: Capability,
    transport: impl AsyncRead + AsyncWrite + Unpin,
    connection: Connection,
    mut session: FrontSession,
    hub: Rc<RefCell<Hub>>,
) {
    match drive_since(began, transport, connection, &mut session).await {
        Ok(()) => tracing::debug!(capability, "connection closed"),
        Err(DriveError::Protocol(error)) => {
            tracing::warn!(capability, error = %error.to_string().escape_debug(), "refused");
        }
        Err(error) => tracing::debug!(capability, %error, "connection ended"),
    }
    hub.borrow_mut().close(capability);
}
