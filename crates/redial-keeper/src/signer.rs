//! The host key's one use, on a thread and a socket pair of its own.
//!
//! A front asks with a number and the bytes to be signed, one packet, and is answered with one:
//! the number, a 1 and the signature, or a 0 and why not. An answer that came too late is so never
//! taken for another's. What is signed is a TLS 1.3 server's CertificateVerify
//! and nothing else, whoever asks, and not without end: so a front that was taken over can
//! pose as this server while it lives, and has nothing when it is gone.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use redial_auth::HostKey;
use rustix::event::{PollFd, PollFlags, Timespec};

use crate::wire::Link;

/// Signatures at once, after a quiet time. Stops a front from drawing on the key without end;
/// above what strangers may be connected.
const BURST: u32 = 2_000;
/// And a second, from then on: more than one core can shake hands.
const PER_SECOND: u32 = 2_000;
/// The longest request that means something is 146 bytes.
const MAX_REQUEST_BYTES: usize = 256;
/// A signer that does not answer in this time is not waited for: all of the front waits with us.
const PATIENCE: Duration = Duration::from_millis(250);
/// Of a packet: the request's number.
const NUMBER_BYTES: usize = 4;

/// Serves one front until it closes its end, on a thread of its own.
///
/// # Errors
/// No thread or no descriptors.
pub(crate) fn serve(key: &Arc<HostKey>) -> io::Result<OwnedFd> {
    let (ours, theirs) = Link::pair()?;
    let key = Arc::clone(key);
    thread::Builder::new()
        .name("redial-signer".to_owned())
        .spawn(move || {
            let mut allowance = Allowance::new(Instant::now());
            while answer(&ours, &key, &mut allowance).is_ok() {}
        })?;
    Ok(theirs.into())
}

fn answer(link: &Link, key: &HostKey, allowance: &mut Allowance) -> io::Result<()> {
    let mut request = [0; MAX_REQUEST_BYTES];
    wait(link, PollFlags::IN, None)?;
    let received = match link.receive(&mut request) {
        Ok(received) if received.len == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(received) => received.len,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
        // Too long for anything that is signed; the rest of it is gone.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => 0,
        Err(error) => return Err(error),
    };
    let (number, input) = request[..received].split_at(received.min(NUMBER_BYTES));
    let signed = if allowance.take(Instant::now()) {
        let signed = key.sign_certificate_verify(input);
        signed.map_err(|error| error.to_string())
    } else {
        Err(BUSY.to_owned())
    };
    let packet = match signed {
        Ok(signature) => [number, &[1], &signature].concat(),
        Err(reason) => [number, &[0], reason.as_bytes()].concat(),
    };
    wait(link, PollFlags::OUT, None)?;
    link.send(&packet, &[])
}

const BUSY: &str = "too many handshakes";

/// A bucket of signatures that fills with time.
#[derive(Debug)]
struct Allowance {
    left: f64,
    at: Instant,
}

impl Allowance {
    fn new(now: Instant) -> Self {
        Self {
            left: BURST.into(),
            at: now,
        }
    }

    fn take(&mut self, now: Instant) -> bool {
        let gained = now.saturating_duration_since(self.at).as_secs_f64() * f64::from(PER_SECOND);
        self.left = (self.left + gained).min(BURST.into());
        self.at = now;
        if self.left < 1.0 {
            return false;
        }
        self.left -= 1.0;
        true
    }
}

/// The front's side: asks for signatures.
#[derive(Debug)]
pub struct SignerLink {
    link: Link,
    last: Cell<u32>,
}

/// Why there is no signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignerError {
    /// Too many were asked for.
    #[error("too many handshakes at once")]
    Busy,
    /// The keeper does not sign this, or is gone.
    #[error("{0}")]
    Refused(String),
}

impl SignerLink {
    /// Takes over the descriptor that came with the welcome.
    ///
    /// # Errors
    /// It is no such link.
    pub fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        let (link, last) = (Link::from_fd(fd)?, Cell::new(0));
        Ok(Self { link, last })
    }

    /// Has a CertificateVerify input signed (RFC 8446 section 4.4.3). Waits for the answer, which
    /// takes some tenths of a millisecond; not to be called from two threads at once.
    ///
    /// # Errors
    /// [`SignerError`].
    pub fn sign(&self, input: &[u8]) -> Result<Vec<u8>, SignerError> {
        let gone = |error: io::Error| SignerError::Refused(format!("the signer: {error}"));
        let number = self.last.get().wrapping_add(1);
        self.last.set(number);
        let number = number.to_be_bytes();
        self.link
            .send(&[&number, input].concat(), &[])
            .map_err(gone)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            wait(&self.link, PollFlags::IN, Some(left)).map_err(gone)?;
            let mut packet = [0; MAX_REQUEST_BYTES];
            let received = self.link.receive(&mut packet).map_err(gone)?;
            let answer = packet[..received.len].split_first_chunk();
            return match answer {
                None => Err(SignerError::Refused("the signer is gone".to_owned())),
                // Of a request that was given up.
                Some((other, _)) if *other != number => continue,
                Some((_, [1, signature @ ..])) => Ok(signature.to_vec()),
                Some((_, [0, reason @ ..])) if reason == BUSY.as_bytes() => Err(SignerError::Busy),
                Some((_, reason)) => {
                    let reason = String::from_utf8_lossy(reason.get(1..).unwrap_or_default());
                    Err(SignerError::Refused(reason.into_owned()))
                }
            };
        }
    }
}

fn wait(link: &impl AsFd, what: PollFlags, limit: Option<Duration>) -> io::Result<()> {
    let limit = limit.map(|limit| Timespec {
        tv_sec: limit.as_secs().cast_signed(),
        tv_nsec: limit.subsec_nanos().into(),
    });
    let ready = rustix::io::retry_on_intr(|| {
        rustix::event::poll(&mut [PollFd::new(link, what)], limit.as_ref())
    })?;
    if ready == 0 {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input() -> Vec<u8> {
        let text = b"TLS 1.3, server CertificateVerify\0";
        [&[b' '; 64][..], text, &[7; 32]].concat()
    }

    fn signer() -> (SignerLink, Arc<HostKey>) {
        let key = Arc::new(HostKey::generate(&[1; 32]));
        let link = SignerLink::from_fd(serve(&key).unwrap()).unwrap();
        (link, key)
    }

    #[test]
    fn what_a_tls_server_signs_is_signed() {
        let (link, key) = signer();
        let expected = key.sign_certificate_verify(&input()).unwrap();
        assert_eq!(link.sign(&input()).unwrap(), expected);
    }

    #[test]
    fn nothing_else_is_signed_and_the_signer_lives_on() {
        let (link, _) = signer();
        let mut client = input();
        client[64 + 9..64 + 15].copy_from_slice(b"client");
        let sshsig = b"SSHSIG\0\0\0\x0bredial-auth".to_vec();
        for other in [
            client,
            sshsig,
            b"x".to_vec(),
            vec![b' '; 3_000],
            input()[1..].to_vec(),
        ] {
            let refused = link.sign(&other).unwrap_err();
            assert!(matches!(refused, SignerError::Refused(_)), "{refused}");
        }
        link.sign(&input()).unwrap();
    }

    #[test]
    fn an_answer_that_comes_too_late_is_not_taken_for_the_next() {
        let (ours, theirs) = Link::pair().unwrap();
        let link = SignerLink::from_fd(ours.into()).unwrap();
        assert!(link.sign(b"first").is_err());
        let key = HostKey::generate(&[1; 32]);
        let late = thread::spawn(move || {
            let mut allowance = Allowance::new(Instant::now());
            // The first request is still there, and is answered before the second.
            (0..2).for_each(|_| answer(&theirs, &key, &mut allowance).unwrap());
            key.sign_certificate_verify(&input()).unwrap()
        });
        assert_eq!(link.sign(&input()).unwrap(), late.join().unwrap());
    }

    #[test]
    fn signatures_are_bounded_in_number_and_come_again_with_time() {
        let start = Instant::now();
        let mut allowance = Allowance::new(start);
        assert_eq!(
            (0..5_000).filter(|_| allowance.take(start)).count(),
            BURST as usize
        );
        let later = start + Duration::from_millis(100);
        let again = (0..5_000).filter(|_| allowance.take(later)).count();
        assert_eq!(again, PER_SECOND as usize / 10);
    }
}
