//! Ordered byte streams of every kind, behind one type.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::fs::{FileType, OFlags, fcntl_getfl, fcntl_setfl, fstat};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::unix::pipe;
use tokio::net::{TcpStream, UnixStream};

use crate::socket::Socket;

/// Until the next try when a Unix socket's queue is full (unix(7): EAGAIN, and nothing
/// tells when there is a place again).
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(10);

/// A byte stream in both directions.
#[derive(Debug)]
pub struct Transport(Kind);

#[derive(Debug)]
enum Kind {
    Socket(Socket),
    Tcp(TcpStream),
    Stdio {
        input: Input,
        output: Option<Output>,
    },
}

/// What is read from.
#[derive(Debug)]
enum Input {
    Socket(Socket),
    Pipe(pipe::Receiver),
}

/// What is written to.
#[derive(Debug)]
enum Output {
    Socket(Socket),
    Pipe(pipe::Sender),
}

impl Transport {
    /// Connects to a Unix socket. While the server's queue is full this waits for a
    /// place; the caller bounds the time.
    ///
    /// # Errors
    ///
    /// As connect(2) fails.
    pub async fn unix(path: &Path) -> io::Result<Self> {
        loop {
            match UnixStream::connect(path).await {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    tokio::time::sleep(QUEUE_FULL_PAUSE).await;
                }
                result => return Transport::from_socket(result?.into_std()?),
            }
        }
    }

    /// As [`Transport::unix`], but the server's kernel says that this user (a uid) has connected:
    /// for root only. Whoever accepts so needs to take nobody's word for it.
    ///
    /// # Errors
    ///
    /// As there, or EPERM.
    pub async fn unix_as(path: &Path, uid: u32) -> io::Result<Self> {
        loop {
            let path = path.to_owned();
            // The identity of a thread is its own (setresuid(2)), and this one does nothing else.
            let (tell, told) = tokio::sync::oneshot::channel();
            std::thread::Builder::new()
                .name("connect as user".to_owned())
                .spawn(move || tell.send(connect_as(&path, uid)))?;
            match told
                .await
                .unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
            {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    tokio::time::sleep(QUEUE_FULL_PAUSE).await;
                }
                result => return Transport::from_socket(result?),
            }
        }
    }

    /// Takes a connected socket.
    ///
    /// # Errors
    ///
    /// When it cannot be made non-blocking or the runtime cannot watch it.
    pub fn from_socket(socket: std::os::unix::net::UnixStream) -> io::Result<Self> {
        Ok(Transport(Kind::Socket(Socket::new(socket.into())?)))
    }

    /// Takes a connected TCP socket. What is written goes out at once (TCP_NODELAY), and
    /// the kernel asks nothing of a silent peer (no SO_KEEPALIVE): the protocol does.
    ///
    /// # Errors
    ///
    /// When it cannot be set up so or the runtime cannot watch it.
    pub fn from_tcp(socket: std::net::TcpStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        rustix::net::sockopt::set_socket_keepalive(&socket, false)?;
        socket.set_nodelay(true)?;
        Ok(Transport(Kind::Tcp(TcpStream::from_std(socket)?)))
    }

    /// The peer's address, of a TCP socket.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        match &self.0 {
            Kind::Tcp(socket) => socket.peer_addr().ok(),
            Kind::Socket(_) | Kind::Stdio { .. } => None,
        }
    }

    /// Takes two ends of a stdio, each a pipe or a socket.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a file or a terminal: these are no line to a peer.
    pub fn from_stdio(input: OwnedFd, output: OwnedFd) -> io::Result<Self> {
        let (a, b) = (fstat(&input)?, fstat(&output)?);
        let same_socket = a.st_ino == b.st_ino && a.st_dev == b.st_dev;
        if same_socket && is_socket(input.as_fd())? {
            return Transport::from_socket(input.into());
        }
        let input = if is_socket(input.as_fd())? {
            Input::Socket(Socket::new(input)?)
        } else {
            nonblocking(input.as_fd())?;
            Input::Pipe(pipe::Receiver::from_owned_fd(input).map_err(no_line)?)
        };
        let output = if is_socket(output.as_fd())? {
            Output::Socket(Socket::new(output)?)
        } else {
            nonblocking(output.as_fd())?;
            Output::Pipe(pipe::Sender::from_owned_fd(output).map_err(no_line)?)
        };
        Ok(Transport(Kind::Stdio {
            input,
            output: Some(output),
        }))
    }

    /// Two transports that are each other's peer, for tests.
    ///
    /// # Errors
    ///
    /// As socketpair(2) fails.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (a, b) = std::os::unix::net::UnixStream::pair()?;
        Ok((Transport::from_socket(a)?, Transport::from_socket(b)?))
    }
}

fn is_socket(fd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(FileType::from_raw_mode(fstat(fd)?.st_mode) == FileType::Socket)
}

fn nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    let flags = fcntl_getfl(fd)?;
    Ok(fcntl_setfl(fd, flags | OFlags::NONBLOCK)?)
}

fn no_line(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::InvalidInput {
        let text =
            "stdin and stdout must be a pipe or a socket to the peer, not a file or terminal";
        return io::Error::new(io::ErrorKind::InvalidInput, text);
    }
    error
}

/// Blocks while the server's queue is full. This thread stays who it has become.
fn connect_as(path: &Path, uid: u32) -> io::Result<std::os::unix::net::UnixStream> {
    let uid = rustix::process::Uid::from_raw(uid);
    rustix::thread::set_thread_res_uid(None, uid, None)?;
    std::os::unix::net::UnixStream::connect(path)
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Socket(socket)
            | Kind::Stdio {
                input: Input::Socket(socket),
                ..
            } => socket.poll_read(cx, buffer),
            Kind::Tcp(socket) => Pin::new(socket).poll_read(cx, buffer),
            Kind::Stdio {
                input: Input::Pipe(pipe),
                ..
            } => Pin::new(pipe).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Kind::Socket(socket)
            | Kind::Stdio {
                output: Some(Output::Socket(socket)),
                ..
            } => socket.poll_write(cx, slices),
            Kind::Tcp(socket) => Pin::new(socket).poll_write_vectored(cx, slices),
            Kind::Stdio {
                output: Some(Output::Pipe(pipe)),
                ..
            } => Pin::new(pipe).poll_write_vectored(cx, slices),
            // It was shut down.
            Kind::Stdio { output: None, .. } => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match &mut self.0 {
            Kind::Socket(socket) => socket.shutdown(),
            Kind::Tcp(socket) => return Pin::new(socket).poll_shutdown(cx),
            Kind::Stdio { output, .. } => match output.take() {
                Some(Output::Socket(socket)) => socket.shutdown(),
                // Only closing a pipe tells its reader that nothing follows.
                Some(Output::Pipe(_)) | None => Ok(()),
            },
        })
    }
}
