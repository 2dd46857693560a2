//! A connected Unix socket whose reader's progress wakes nobody who does not wait for it.
//!
//! On a Unix socket every read by the peer announces new room to whoever watches for it.
//! A socket that is watched for both directions from the start is so woken by every
//! message that it sent itself: on two cores that costs a short command a good part of its
//! time. So room is watched for only while there is none.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::net::{SendAncillaryBuffer, SendFlags, Shutdown};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::unix::pipe;

/// Writes that did not have to wait, until room is no longer watched for.
const UNHINDERED_MAX: u8 = 64;

/// A connected, non-blocking stream socket (unix(7)).
#[derive(Debug)]
pub(crate) struct Socket {
    /// Watched for input only. The type is a pipe's because the runtime's socket type
    /// is always watched for both; what it does to its descriptor is read(2).
    reader: pipe::Receiver,
    /// While the socket was full not long ago.
    room: Option<Room>,
}

/// A second descriptor of the socket, watched for room.
#[derive(Debug)]
struct Room {
    watch: pipe::Sender,
    unhindered: u8,
}

impl Socket {
    /// Takes a connected socket and makes it non-blocking.
    ///
    /// # Errors
    ///
    /// When that cannot be, or the runtime cannot watch it.
    pub(crate) fn new(socket: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Socket {
            reader: pipe::Receiver::from_owned_fd_unchecked(socket)?,
            room: None,
        })
    }

    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reader).poll_read(cx, buffer)
    }

    /// Writes what there is room for; as sendmsg(2), and never with SIGPIPE.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            let Some(room) = &mut self.room else {
                match send(self.reader.as_fd(), slices) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        let again = self.reader.as_fd().try_clone_to_owned()?;
                        self.room = Some(Room {
                            watch: pipe::Sender::from_owned_fd_unchecked(again)?,
                            unhindered: 0,
                        });
                        continue;
                    }
                    result => return Poll::Ready(result),
                }
            };
            ready!(room.watch.poll_write_ready(cx))?;
            match room.watch.try_io(|| send(room.watch.as_fd(), slices)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => room.unhindered = 0,
                result => {
                    room.unhindered += 1;
                    if room.unhindered >= UNHINDERED_MAX {
                        self.room = None;
                    }
                    return Poll::Ready(result);
                }
            }
        }
    }

    /// Says that nothing follows, shutdown(2).
    pub(crate) fn shutdown(&self) -> io::Result<()> {
        match rustix::net::shutdown(&self.reader, Shutdown::Write) {
            // The peer has left: nobody needs to be told.
            Err(rustix::io::Errno::NOTCONN) => Ok(()),
            result => Ok(result?),
        }
    }
}

fn send(socket: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    let mut nothing_else = SendAncillaryBuffer::default();
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    let sent = rustix::io::retry_on_intr(|| {
        rustix::net::sendmsg(socket, slices, &mut nothing_else, flags)
    })?;
    Ok(sent)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    fn pair() -> (Socket, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Socket::new(ours.into()).unwrap(), theirs)
    }

    async fn write(socket: &mut Socket, bytes: &[u8]) -> usize {
        poll_fn(|cx| socket.poll_write(cx, &[IoSlice::new(bytes)]))
            .await
            .unwrap()
    }

    async fn read(socket: &mut Socket, bytes: &mut [u8], polls: &mut usize) {
        let mut buffer = ReadBuf::new(bytes);
        let read = poll_fn(|cx| {
            *polls += 1;
            socket.poll_read(cx, &mut buffer)
        });
        read.await.unwrap();
    }

    #[tokio::test]
    async fn what_the_peer_reads_wakes_nobody_who_waits_for_input() {
        let (mut socket, mut theirs) = pair();
        let (mut other, mut theirs_too) = pair();
        write(&mut socket, b"x").await;
        // A task of its own, so that only its own wake-ups count.
        let reader = tokio::spawn(async move {
            let mut polls = 0;
            read(&mut socket, &mut [0], &mut polls).await;
            polls
        });
        tokio::task::yield_now().await;
        theirs.read_exact(&mut [0]).unwrap();
        // When this has arrived, the runtime has seen what came before it.
        theirs_too.write_all(b"y").unwrap();
        read(&mut other, &mut [0], &mut 0).await;
        tokio::task::yield_now().await;
        theirs.write_all(b"z").unwrap();
        assert_eq!(reader.await.unwrap(), 2, "once at first, once for the byte");
    }

    #[tokio::test]
    async fn a_full_socket_waits_for_room_and_forgets_it_when_there_is_enough() {
        let (mut socket, mut theirs) = pair();
        let block = vec![7; 64 * 1024];
        let mut sent = 0;
        while socket.room.is_none() {
            let full = poll_fn(|cx| {
                Poll::Ready(
                    socket
                        .poll_write(cx, &[IoSlice::new(&block)])
                        .map(Result::unwrap),
                )
            });
            if let Poll::Ready(written) = full.await {
                sent += written;
            }
        }
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            theirs.read_to_end(&mut bytes).map(|_| bytes.len())
        });
        sent += write(&mut socket, &block).await;
        let mut small = 0;
        while socket.room.is_some() {
            sent += write(&mut socket, b"x").await;
            small += 1;
            assert!(small < 1_000_000, "room is watched for ever");
        }
        socket.shutdown().unwrap();
        assert_eq!(reader.join().unwrap().unwrap(), sent);
    }

    #[tokio::test]
    async fn a_peer_that_is_gone_is_an_error_and_no_signal() {
        let (mut socket, theirs) = pair();
        drop(theirs);
        let result = poll_fn(|cx| socket.poll_write(cx, &[IoSlice::new(b"x")])).await;
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert!(socket.shutdown().is_ok());
    }
}
