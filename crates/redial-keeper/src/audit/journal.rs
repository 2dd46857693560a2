//! The systemd journal: a datagram for each line, in its native protocol
//! (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>).

use std::io::{self, IoSlice, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

/// Where it listens.
const SOCKET: &str = "/run/systemd/journal/socket";
/// sd-daemon(3).
const NOTICE: u8 = 5;
const INFO: u8 = 6;
/// What its lines are found by: `journalctl -t redial-audit`.
const IDENTIFIER: &str = "redial-audit";

/// A journal that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    socket: Option<UnixDatagram>,
}

impl Journal {
    pub(crate) fn new() -> Self {
        Self::at(Path::new(SOCKET))
    }

    fn at(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            socket: None,
        }
    }

    /// Connects, if that is not done.
    ///
    /// # Errors
    /// As socket(2) and connect(2): nobody listens there.
    pub(crate) fn open(&mut self) -> io::Result<()> {
        if self.socket.is_none() {
            let socket = UnixDatagram::unbound()?;
            socket.connect(&self.path)?;
            socket.set_write_timeout(Some(PATIENCE))?;
            self.socket = Some(socket);
        }
        Ok(())
    }

    /// Sends one line, which has no newline but at its end.
    ///
    /// # Errors
    /// As connect(2) and send(2).
    pub(crate) fn append(&mut self, line: &str) -> io::Result<()> {
        // Of a journal that was started anew, the old socket is dead.
        self.try_append(line).or_else(|_| self.try_append(line))
    }

    fn try_append(&mut self, line: &str) -> io::Result<()> {
        self.open()?;
        let message = line.trim_end_matches('\n');
        let priority = priority(message);
        let entry =
            format!("MESSAGE={message}\nPRIORITY={priority}\nSYSLOG_IDENTIFIER={IDENTIFIER}\n");
        let sent = match &self.socket {
            Some(socket) => send(socket, entry.as_bytes()),
            None => Ok(()),
        };
        sent.inspect_err(|_| self.socket = None)
    }
}

/// The journal limits the rate of each priority by itself: what strangers can make happen as often as they
/// like must not take the place of what is done.
fn priority(message: &str) -> u8 {
    let is_of_strangers = [r#""event":"login""#, r#""event":"refused""#];
    match is_of_strangers.iter().any(|it| message.contains(it)) {
        true => NOTICE,
        false => INFO,
    }
}

fn send(socket: &UnixDatagram, entry: &[u8]) -> io::Result<()> {
    match socket.send(entry) {
        Ok(_) => Ok(()),
        Err(error) if Errno::from_io_error(&error) == Some(Errno::MSGSIZE) => {
            send_in_memory(socket, entry)
        }
        Err(error) => Err(error),
    }
}

/// What is too long for a datagram goes in sealed memory, whose descriptor is sent.
fn send_in_memory(socket: &UnixDatagram, entry: &[u8]) -> io::Result<()> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memory = rustix::fs::memfd_create("redial-audit", flags)?;
    let mut file = std::fs::File::from(memory);
    file.write_all(entry)?;
    let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&file, seals)?;
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let fds = [file.as_fd()];
    ancillary.push(SendAncillaryMessage::ScmRights(&fds));
    rustix::net::sendmsg(
        socket,
        &[IoSlice::new(&[])],
        &mut ancillary,
        SendFlags::empty(),
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};

    use super::*;

    fn entry(message: &str) -> String {
        format!("MESSAGE={message}\nPRIORITY=6\nSYSLOG_IDENTIFIER=redial-audit\n")
    }

    #[test]
    fn a_line_is_a_datagram_and_the_journal_may_begin_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let mut journal = Journal::at(&path);
        assert!(journal.append("{}\n").is_err());
        let mut buffer = [0; 1024];
        for _ in 0..2 {
            let server = UnixDatagram::bind(&path).unwrap();
            journal.append("{\"a\":1}\n").unwrap();
            let len = server.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..len], entry("{\"a\":1}").as_bytes());
            std::fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn what_strangers_can_cause_has_a_limit_of_its_own() {
        for (event, expected) in [("login", 5), ("refused", 5), ("start", 6), ("end", 6)] {
            assert_eq!(priority(&format!(r#"{{"event":"{event}"}}"#)), expected);
        }
    }

    #[test]
    fn a_line_too_long_for_a_datagram_comes_in_sealed_memory() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let server = UnixDatagram::bind(&path).unwrap();
        let mut journal = Journal::at(&path);
        let long = "x".repeat(4_000_000);
        journal.append(&long).unwrap();
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received =
            rustix::net::recvmsg(&server, &mut [], &mut ancillary, RecvFlags::empty()).unwrap();
        assert_eq!(received.bytes, 0);
        let fd = ancillary.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        let fd = fd.unwrap();
        let seals = rustix::fs::fcntl_get_seals(&fd).unwrap();
        assert!(seals.contains(SealFlags::WRITE | SealFlags::SEAL));
        let file = std::fs::File::from(fd);
        let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(bytes, entry(&long).as_bytes());
    }
}
