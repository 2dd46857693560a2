//! The host key's one use, on a thread and a socket pair of its own.
//!
//! A front asks with the bytes to be signed, one packet, and is answered with one: a 1 and
//! the signature, or a 0 and why not. What is signed is a TLS 1.3 server's CertificateVerify
//! and nothing else, whoever asks, and not without end: so a front that was taken over can
//! pose as this server while it lives, and has nothing when it is gone.

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
/// A signer that does not answer in this time is gone.
const PATIENCE: Duration = Duration::from_secs(1);

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
    let signed = if allowance.take(Instant::now()) {
        let signed = key.sign_certificate_verify(&request[..received]);
        signed.map_err(|error| error.to_string())
    } else {
        Err(BUSY.to_owned())
    };
    let packet = match signed {
        Ok(signature) => [&[1][..], &signature].concat(),
        Err(reason) => [&[0][..], reason.as_bytes()].concat(),
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
pub struct SignerLink(Link);

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
        Ok(Self(Link::from_fd(fd)?))
    }

    /// Has a CertificateVerify input signed (RFC 8446 section 4.4.3). Waits for the answer, which
    /// takes some tenths of a millisecond; not to be called from two threads at once.
    ///
    /// # Errors
    /// [`SignerError`].
    pub fn sign(&self, input: &[u8]) -> Result<Vec<u8>, SignerError> {
        let gone = |error: io::Error| SignerError::Refused(format!("the signer: {error}"));
        self.0.send(input, &[]).map_err(gone)?;
        wait(&self.0, PollFlags::IN, Some(PATIENCE)).map_err(gone)?;
        let mut packet = [0; MAX_REQUEST_BYTES];
        let received = self.0.receive(&mut packet).map_err(gone)?;
        match &packet[..received.len] {
            [1, signature @ ..] => Ok(signature.to_vec()),
            [0, reason @ ..] if reason == BUSY.as_bytes() => Err(SignerError::Busy),
            [0, reason @ ..] => Err(SignerError::Refused(
                String::from_utf8_lossy(reason).into_owned(),
            )),
            _ => Err(SignerError::Refused("the signer is gone".to_owned())),
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
