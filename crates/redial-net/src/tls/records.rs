//! One TLS connection without its line: ciphertext in and out, plaintext in and out.
//!
//! rustls keeps the state and the keys; the buffers are ours, so that a read decrypts in
//! place and a write is cut into records straight from where the bytes lie.

use std::io::IoSlice;

use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus,
    WriteTraffic,
};
use rustls::{CommonState, Error};
use tokio::io::ReadBuf;

use super::incoming::{Incoming, MAX_RECORD_BYTES};
use super::outgoing::Outgoing;

/// What one record holds at most (RFC 8446 section 5.1).
const RECORD_BYTES: usize = 1 << 14;

/// Plaintext taken by one write: the driver's largest batch.
const WRITE_BYTES: usize = 640 * 1024;

/// A peer that makes us answer without reading the answers is left at this.
const MAX_UNSENT_BYTES: usize = 1024 * 1024;

/// In a box: futures that hold a stream are moved, and this is most of one.
pub(super) enum Core {
    Client(Box<UnbufferedClientConnection>),
    Server(Box<UnbufferedServerConnection>),
}

pub(super) struct Records {
    core: Core,
    pub(super) incoming: Incoming,
    pub(super) outgoing: Outgoing,
    /// Decrypted, not yet read.
    plain: Vec<u8>,
    plain_read: usize,
    peer_closed: bool,
    /// Bytes of `incoming` that rustls has looked at. It remembers places among them, so it is
    /// never shown fewer.
    seen: usize,
    failed: Option<Error>,
}

/// Where processing stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing is to be done before more has come.
    Hungry,
    /// The reader's buffer is full.
    Full,
}

/// What is to be done when the connection can.
enum Intent<'a, 'b> {
    Read,
    Write(&'a [IoSlice<'b>]),
    Close,
}

enum Stepped {
    Again,
    PeerClosed,
    /// More must come, or (the intent was carried out) so many bytes were taken.
    Done(usize),
}

impl Records {
    pub(super) fn new(core: Core) -> Self {
        Records {
            core,
            incoming: Incoming::new(),
            outgoing: Outgoing::default(),
            plain: Vec::new(),
            plain_read: 0,
            peer_closed: false,
            seen: 0,
            failed: None,
        }
    }

    pub(super) fn state(&self) -> &CommonState {
        match &self.core {
            Core::Client(core) => core,
            Core::Server(core) => core,
        }
    }

    /// Whether the peer has said that nothing follows, and all was read.
    pub(super) fn is_read_to_the_end(&self) -> bool {
        self.peer_closed && self.plain.is_empty()
    }

    /// Takes the handshake as far as it can go with what has come. What a client writes
    /// right behind it waits for its reader.
    ///
    /// # Errors
    ///
    /// As [`Records::decrypt`].
    pub(super) fn shake_hands(&mut self) -> Result<(), Error> {
        self.act(&Intent::Read).map(drop)
    }

    /// Decrypts what has come into `out`.
    ///
    /// # Errors
    ///
    /// Any is final; what is to be said about it lies in `outgoing`.
    pub(super) fn decrypt(&mut self, out: &mut ReadBuf<'_>) -> Result<Next, Error> {
        self.read_stash(out);
        let (before, mut whole) = (out.filled().len(), true);
        while self.plain.is_empty() {
            let room = out.remaining();
            if room < MAX_RECORD_BYTES && (room == 0 || out.filled().len() > before) {
                return Ok(Next::Full);
            }
            // No more records than have room, or the rest would be copied once more. What is no
            // record though it is as long as one is left to rustls, with all that there is.
            let most = if whole {
                room.max(MAX_RECORD_BYTES)
            } else {
                usize::MAX
            };
            let there = self.incoming.bytes().len();
            match self.step(&Intent::Read, out, most)? {
                Stepped::Again => {}
                Stepped::PeerClosed => self.peer_closed = true,
                Stepped::Done(_) if there <= most => return Ok(Next::Hungry),
                Stepped::Done(_) => whole = false,
            }
        }
        Ok(Next::Full)
    }

    /// Encrypts from the front of `slices`; how many bytes of them.
    pub(super) fn encrypt(&mut self, slices: &[IoSlice<'_>]) -> Result<usize, Error> {
        self.act(&Intent::Write(slices))
    }

    /// Says that nothing follows (RFC 8446 section 6.1).
    pub(super) fn close(&mut self) -> Result<(), Error> {
        self.act(&Intent::Close).map(drop)
    }

    /// rustls writes only when it has read all that is whole: what comes out of that
    /// waits here for its reader, at most one read's worth.
    fn act(&mut self, intent: &Intent<'_, '_>) -> Result<usize, Error> {
        loop {
            match self.step(intent, &mut ReadBuf::new(&mut []), usize::MAX)? {
                Stepped::Again => {}
                Stepped::PeerClosed => self.peer_closed = true,
                Stepped::Done(taken) => return Ok(taken),
            }
        }
    }

    fn read_stash(&mut self, out: &mut ReadBuf<'_>) {
        let stashed = &self.plain[self.plain_read..];
        let len = stashed.len().min(out.remaining());
        out.put_slice(&stashed[..len]);
        self.plain_read += len;
        if self.plain_read == self.plain.len() {
            self.plain = Vec::new();
            self.plain_read = 0;
        }
    }

    /// Looks at `most` bytes of what has come.
    fn step(
        &mut self,
        intent: &Intent<'_, '_>,
        out: &mut ReadBuf<'_>,
        most: usize,
    ) -> Result<Stepped, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if self.outgoing.len() > MAX_UNSENT_BYTES {
            return Err(self.fail(Error::General("the peer reads no answers".to_owned())));
        }
        let mut sink = |payload: &[u8]| {
            let (now, later) = payload.split_at(payload.len().min(out.remaining()));
            out.put_slice(now);
            self.plain.extend_from_slice(later);
        };
        let theirs = self.incoming.bytes_mut();
        let most = most.max(self.seen).min(theirs.len());
        let (ours, theirs) = (&mut self.outgoing, &mut theirs[..most]);
        let (discard, result) = match &mut self.core {
            Core::Client(core) => handle(core.process_tls_records(theirs), ours, &mut sink, intent),
            Core::Server(core) => handle(core.process_tls_records(theirs), ours, &mut sink, intent),
        };
        self.seen = most.saturating_sub(discard);
        self.incoming.discard(discard);
        result.map_err(|error| self.fail(error))
    }

    /// Takes out the alert that tells the peer; no more is ever processed.
    fn fail(&mut self, error: Error) -> Error {
        self.failed = Some(error.clone());
        // What waits is handed out before anything is looked at again.
        while self.state().wants_write() {
            let (ours, theirs) = (&mut self.outgoing, self.incoming.bytes_mut());
            let encoded = match &mut self.core {
                Core::Client(core) => encode_only(core.process_tls_records(theirs), ours),
                Core::Server(core) => encode_only(core.process_tls_records(theirs), ours),
            };
            if !encoded {
                break;
            }
        }
        error
    }
}

fn handle<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    outgoing: &mut Outgoing,
    sink: &mut dyn FnMut(&[u8]),
    intent: &Intent<'_, '_>,
) -> (usize, Result<Stepped, Error>) {
    let mut discard = status.discard;
    let state = match status.state {
        Ok(state) => state,
        Err(error) => return (discard, Err(error)),
    };
    let stepped = match state {
        ConnectionState::ReadTraffic(mut traffic) => loop {
            match traffic.next_record() {
                None => break Ok(Stepped::Again),
                Some(Err(error)) => break Err(error),
                Some(Ok(record)) => {
                    discard += record.discard;
                    sink(record.payload);
                }
            }
        },
        ConnectionState::EncodeTlsData(mut data) => {
            with_room(outgoing, |room| encoded(data.encode(room))).map(|_| Stepped::Again)
        }
        ConnectionState::TransmitTlsData(data) => {
            data.done();
            Ok(Stepped::Again)
        }
        ConnectionState::BlockedHandshake => Ok(Stepped::Done(0)),
        ConnectionState::WriteTraffic(mut traffic) => act(&mut traffic, outgoing, intent),
        ConnectionState::PeerClosed => Ok(Stepped::PeerClosed),
        ConnectionState::Closed => Ok(Stepped::Done(0)),
        // Early data, or a state that a later rustls knows: neither was asked for.
        _ => Err(Error::General("an unexpected state of TLS".to_owned())),
    };
    (discard, stepped)
}

fn act<Data>(
    traffic: &mut WriteTraffic<'_, Data>,
    outgoing: &mut Outgoing,
    intent: &Intent<'_, '_>,
) -> Result<Stepped, Error> {
    match intent {
        Intent::Read => Ok(Stepped::Done(0)),
        Intent::Write(slices) => Ok(Stepped::Done(write(traffic, outgoing, slices)?)),
        Intent::Close => {
            with_room(outgoing, |room| encrypted(traffic.queue_close_notify(room)))?;
            Ok(Stepped::Done(0))
        }
    }
}

/// Cuts `slices` into records. What lies in one place is encrypted from there; a record
/// that needs several places is gathered first.
fn write<Data>(
    traffic: &mut WriteTraffic<'_, Data>,
    outgoing: &mut Outgoing,
    slices: &[IoSlice<'_>],
) -> Result<usize, Error> {
    let total: usize = slices.iter().map(|slice| slice.len()).sum();
    let wanted = total.min(WRITE_BYTES);
    // Grown once, not record by record.
    outgoing.room(wanted + (wanted / RECORD_BYTES + 2) * 32);
    let mut encrypt =
        |bytes: &[u8]| with_room(outgoing, |room| encrypted(traffic.encrypt(bytes, room)));
    let mut gathered = Gathered::default();
    let mut taken = 0;
    for slice in slices {
        let mut rest = &slice[..slice.len().min(wanted - taken)];
        taken += rest.len();
        if !gathered.is_empty() {
            rest = gathered.fill(rest);
            if gathered.is_full() {
                encrypt(gathered.take())?;
            }
        }
        let whole = if taken == wanted {
            rest.len()
        } else {
            rest.len() / RECORD_BYTES * RECORD_BYTES
        };
        if !gathered.is_empty() {
            continue;
        }
        if whole > 0 {
            encrypt(&rest[..whole])?;
        }
        gathered.fill(&rest[whole..]);
    }
    if !gathered.is_empty() {
        encrypt(gathered.take())?;
    }
    Ok(taken)
}

/// A record in the making.
#[derive(Default)]
struct Gathered(Vec<u8>, usize);

impl Gathered {
    fn is_empty(&self) -> bool {
        self.1 == 0
    }

    fn is_full(&self) -> bool {
        self.1 == RECORD_BYTES
    }

    /// Takes from the front of `bytes` what has room; the rest.
    fn fill<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (now, later) = bytes.split_at(bytes.len().min(RECORD_BYTES - self.1));
        self.0.truncate(self.1);
        self.0.extend_from_slice(now);
        self.1 += now.len();
        later
    }

    fn take(&mut self) -> &[u8] {
        &self.0[..std::mem::take(&mut self.1)]
    }
}

/// Lets `write` write behind what waits, with as much room as it turns out to need.
fn with_room(
    outgoing: &mut Outgoing,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Written>,
) -> Result<(), Error> {
    let mut wanted = 512;
    loop {
        match write(outgoing.room(wanted)) {
            Ok(len) => {
                outgoing.add(len);
                return Ok(());
            }
            Err(Written::Short(InsufficientSizeError { required_size }))
                if required_size > wanted =>
            {
                wanted = required_size;
            }
            Err(_) => return Err(Error::EncryptError),
        }
    }
}

/// Why rustls wrote nothing.
enum Written {
    Short(InsufficientSizeError),
    Never,
}

fn encoded(result: Result<usize, EncodeError>) -> Result<usize, Written> {
    result.map_err(|error| match error {
        EncodeError::InsufficientSize(size) => Written::Short(size),
        EncodeError::AlreadyEncoded => Written::Never,
    })
}

fn encrypted(result: Result<usize, EncryptError>) -> Result<usize, Written> {
    result.map_err(|error| match error {
        EncryptError::InsufficientSize(size) => Written::Short(size),
        EncryptError::EncryptExhausted => Written::Never,
    })
}

/// True if there was something.
fn encode_only<Data>(status: UnbufferedStatus<'_, '_, Data>, outgoing: &mut Outgoing) -> bool {
    match status.state {
        Ok(ConnectionState::EncodeTlsData(mut data)) => {
            with_room(outgoing, |room| encoded(data.encode(room))).is_ok()
        }
        _ => false,
    }
}

const _: () = assert!(RECORD_BYTES < MAX_RECORD_BYTES);
