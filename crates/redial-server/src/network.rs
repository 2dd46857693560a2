//! A connection from the network: TLS first, then the protocol inside it.

use std::cell::RefCell;
use std::net::Ipv6Addr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redial_keeper::signer::{SignerError, SignerLink};
use redial_keeper::wire::{Capability, TcpPeer};
use redial_net::Transport;
use redial_net::proto::{Config, Connection, Time};
use redial_net::tls::{HostKey, HostSigner, SignError, TlsServer};
use tokio::time::Instant;

use crate::front::{FrontError, Pools, converse};
use crate::hub::Hub;
use crate::session::FrontSession;

/// A dismissed client may take so long to read why, and to say goodbye.
pub(crate) const LEAVE_AFTER: Duration = Duration::from_secs(2);
/// And so long who has not logged in when the server ends. Who says nothing keeps it waiting.
pub(crate) const STRANGERS_LEAVE_AFTER: Duration = Duration::from_millis(500);
/// Silence after which a peer is asked for a sign of life.
const KEEPALIVE_MS: u32 = 15_000;

/// The host key, as far as a front has it: its public half, and the way to who signs.
pub(crate) fn tls_server(blob: &[u8], signer: OwnedFd) -> Result<TlsServer, FrontError> {
    let key = HostKey::from_ssh(blob).map_err(|error| FrontError::HostKey(error.to_string()))?;
    let signer = KeeperSigner(Mutex::new(SignerLink::from_fd(signer)?));
    TlsServer::new(key, Arc::new(signer)).map_err(|error| FrontError::HostKey(error.to_string()))
}

/// The keeper's thread that signs; it answers within some tenths of a millisecond.
struct KeeperSigner(Mutex<SignerLink>);

impl HostSigner for KeeperSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        // A link is whole after every step.
        let link = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        link.sign(message).map_err(|error| match error {
            SignerError::Busy => SignError::Busy,
            SignerError::Refused(why) => SignError::Refused(why),
        })
    }
}

/// One connection, handed over by the keeper.
pub(crate) struct Caller {
    pub(crate) capability: Capability,
    pub(crate) peer: TcpPeer,
    pub(crate) transport: Transport,
}

/// From the first byte to the last. The keeper may have it aborted before it has logged in.
pub(crate) async fn serve(
    caller: Caller,
    tls: Rc<TlsServer>,
    config: Config,
    pools: Pools,
    hub: Rc<RefCell<Hub>>,
) {
    let Caller {
        capability,
        peer,
        transport,
    } = caller;
    let from = Ipv6Addr::from(*peer.address).to_canonical();
    let mut config = config;
    config.auth = true;
    config.nonce = Some(*peer.nonce);
    config.limits.keepalive_ms = KEEPALIVE_MS;
    // Its clock runs from here: the handshakes have one time together, not each its own.
    let (began, time) = (Instant::now(), config.handshake_timeout);
    let mut connection = Connection::server(config, Time::ZERO);
    let greeting = connection.take_greeting();
    let stream = match tls.accept_saying(transport, &greeting, began + time).await {
        Ok(stream) => stream,
        Err(error) => {
            let error = error.to_string();
            tracing::debug!(capability, %from, error = %error.escape_debug(), "no TLS");
            return hub.borrow_mut().close(capability);
        }
    };
    drop(greeting);
    let exporter = *stream.exporter().as_bytes();
    let session = FrontSession::of_stranger(capability, Rc::clone(&hub), pools, exporter);
    converse(began, capability, stream, connection, session, hub).await;
}

/// This connection is dismissed: it goes, whatever its client does.
pub(crate) fn leave_soon(capability: Capability, after: Duration, hub: Rc<RefCell<Hub>>) {
    tokio::task::spawn_local(async move {
        tokio::time::sleep(after).await;
        hub.borrow_mut().abort(capability);
    });
}
