//! What a program prints where the protocol should begin: a login's greeting, or why ssh
//! or docker could not go on. It is kept to be shown, since nobody else has seen it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::lock::lock;

/// Enough for a line that says what is wrong.
const KEPT_BYTES: usize = 1024;
/// Bytes of that line which are shown.
const SHOWN_BYTES: usize = 200;

/// A transport whose first bytes are kept.
#[derive(Debug)]
pub(crate) struct Overheard<T> {
    transport: T,
    preamble: Preamble,
    /// Bytes still to be kept.
    left: usize,
}

/// The first bytes that came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Preamble(Arc<Mutex<Vec<u8>>>);

impl Preamble {
    /// Keeps the first bytes that `transport` brings.
    pub(crate) fn of<T>(&self, transport: T) -> Overheard<T> {
        Overheard {
            transport,
            preamble: self.clone(),
            left: KEPT_BYTES,
        }
    }

    /// The first line with something in it, if text is what came. A frame has a zero
    /// among its first bytes, since none is as long as four letters would say.
    pub(crate) fn text(&self) -> Option<String> {
        let kept = lock(&self.0);
        if kept.iter().take(4).any(|&byte| byte == 0) {
            return None;
        }
        let mut lines = kept.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
        let line = lines.find(|line| !line.is_empty())?;
        let shown = String::from_utf8_lossy(&line[..line.len().min(SHOWN_BYTES)]);
        Some(shown.into_owned())
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Overheard<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.transport).poll_read(cx, buffer);
        if self.left > 0 {
            let new = &buffer.filled()[before..];
            let new = &new[..new.len().min(self.left)];
            self.left -= new.len();
            lock(&self.preamble.0).extend_from_slice(new);
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Overheard<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.transport).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.transport).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(kept: &[u8]) -> Option<String> {
        let preamble = Preamble::default();
        lock(&preamble.0).extend_from_slice(kept);
        preamble.text()
    }

    #[test]
    fn the_first_line_with_something_in_it_is_shown() {
        assert_eq!(text(b"\r\n\n  hello \r\nyou"), Some("hello".to_owned()));
        assert_eq!(text(b"caf\xe9"), Some("caf\u{fffd}".to_owned()));
        assert_eq!(
            text(&[b'x'; 1000]).map(|text| text.len()),
            Some(SHOWN_BYTES)
        );
        assert_eq!(text(b" \n\n"), None);
        assert_eq!(text(b""), None);
    }

    #[test]
    fn a_frame_is_no_text() {
        assert_eq!(text(&[0, 0, 0, 44, 1, 2, 3]), None);
    }
}
