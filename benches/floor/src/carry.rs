//! Much output from a pipe over a socket to /dev/null, as it is or sealed by AES-128-GCM in records as TLS
//! has them. A thread or a process at each end; nothing is kept, counted or acknowledged.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

use anyhow::Context;
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

/// The pipe's, and what is read and written at once.
const BLOCK_BYTES: usize = 256 << 10;
/// Of a record of TLS (RFC 8446 section 5.1), and what is added to it.
const RECORD_BYTES: usize = 16 << 10;
const TAG_BYTES: usize = 16;
const HEADER_BYTES: usize = 4;

/// Whether it is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As it is.
    Plain,
    /// By a key that is no secret: it is a floor.
    Aes,
}

/// Starts a process that writes so many zeros to a pipe.
///
/// # Errors
/// It cannot be started.
pub fn producer(bytes: u64) -> anyhow::Result<Child> {
    let mut head = Command::new("head");
    head.args(["-c", &bytes.to_string(), "/dev/zero"]);
    let child = head.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    child.context("head")
}

/// All that comes from a pipe, to a socket.
///
/// # Errors
/// The socket does not take it.
pub fn send(mut from: impl Read, mut to: impl Write, form: Form) -> anyhow::Result<()> {
    let mut block = vec![0; BLOCK_BYTES];
    let mut sealer = Sealer::new()?;
    let mut sealed = Vec::with_capacity(2 * BLOCK_BYTES);
    loop {
        let len = from.read(&mut block).context("read")?;
        if len == 0 {
            return Ok(());
        }
        match form {
            Form::Plain => to.write_all(&block[..len]),
            Form::Aes => {
                sealed.clear();
                for record in block[..len].chunks_mut(RECORD_BYTES) {
                    sealer.seal(record, &mut sealed)?;
                }
                to.write_all(&sealed)
            }
        }
        .context("write")?;
    }
}

/// All that comes from a socket, to somewhere.
///
/// # Errors
/// It is not what was sent, or cannot be written.
pub fn receive(mut from: impl Read, mut to: impl Write, form: Form) -> anyhow::Result<u64> {
    let mut block = vec![0; BLOCK_BYTES];
    let mut sealer = Sealer::new()?;
    let (mut filled, mut all) = (0, 0);
    loop {
        let len = from.read(&mut block[filled..]).context("read")?;
        if len == 0 {
            anyhow::ensure!(filled == 0, "a record is cut off");
            return Ok(all);
        }
        filled += len;
        match form {
            Form::Plain => {
                to.write_all(&block[..filled]).context("write")?;
                (all, filled) = (all + filled as u64, 0);
            }
            Form::Aes => {
                let mut at = 0;
                while let Some(record) = whole(&mut block[at..filled])? {
                    at += HEADER_BYTES + record.len();
                    let plain = sealer.open(record)?;
                    to.write_all(plain).context("write")?;
                    all += plain.len() as u64;
                }
                block.copy_within(at..filled, 0);
                filled -= at;
            }
        }
    }
}

/// The record at the beginning, if all of it is there.
fn whole(bytes: &mut [u8]) -> anyhow::Result<Option<&mut [u8]>> {
    let Some((header, rest)) = bytes.split_first_chunk_mut::<HEADER_BYTES>() else {
        return Ok(None);
    };
    let len = u32::from_be_bytes(*header) as usize;
    anyhow::ensure!(len <= RECORD_BYTES + TAG_BYTES, "a record of {len} bytes");
    Ok(rest.get_mut(..len))
}

struct Sealer {
    key: LessSafeKey,
    number: u64,
}

impl Sealer {
    fn new() -> anyhow::Result<Self> {
        let key = UnboundKey::new(&AES_128_GCM, &[0; 16]);
        let key = key.map_err(|_| anyhow::anyhow!("no AES-128-GCM"))?;
        Ok(Sealer {
            key: LessSafeKey::new(key),
            number: 0,
        })
    }

    fn nonce(&mut self) -> Nonce {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&self.number.to_be_bytes());
        self.number += 1;
        Nonce::assume_unique_for_key(nonce)
    }

    fn seal(&mut self, record: &mut [u8], into: &mut Vec<u8>) -> anyhow::Result<()> {
        let nonce = self.nonce();
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce, Aad::empty(), record);
        let tag = tag.map_err(|_| anyhow::anyhow!("cannot be sealed"))?;
        let len = u32::try_from(record.len() + tag.as_ref().len())?;
        into.extend_from_slice(&len.to_be_bytes());
        into.extend_from_slice(record);
        into.extend_from_slice(tag.as_ref());
        Ok(())
    }

    fn open<'r>(&mut self, record: &'r mut [u8]) -> anyhow::Result<&'r mut [u8]> {
        let nonce = self.nonce();
        let opened = self.key.open_in_place(nonce, Aad::empty(), record);
        opened.map_err(|_| anyhow::anyhow!("not what was sealed"))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;
    use std::thread;

    use super::*;
    use std::io;

    #[test]
    fn every_byte_arrives_in_both_forms() {
        const BYTES: u64 = 3_000_001;
        for form in [Form::Plain, Form::Aes] {
            let (ours, theirs) = UnixStream::pair().unwrap();
            let sending = thread::spawn(move || {
                let mut child = producer(BYTES).unwrap();
                send(child.stdout.take().unwrap(), theirs, form).unwrap();
                child.wait().unwrap();
            });
            let mut all = Vec::new();
            assert_eq!(receive(ours, &mut all, form).unwrap(), BYTES);
            assert!(all.iter().all(|byte| *byte == 0) && all.len() as u64 == BYTES);
            sending.join().unwrap();
        }
    }

    #[test]
    fn what_is_altered_is_noticed() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut out = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (line, _) = listener.accept().unwrap();
        let mut sealed = Vec::new();
        send(&b"words"[..], &mut sealed, Form::Aes).unwrap();
        sealed[HEADER_BYTES] ^= 1;
        out.write_all(&sealed).unwrap();
        drop(out);
        let error = receive(line, io::sink(), Form::Aes).unwrap_err();
        assert!(error.to_string().contains("sealed"), "{error}");
    }
}
