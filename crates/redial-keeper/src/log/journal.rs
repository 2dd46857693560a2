//! The order in which pieces of stdout and stderr arrived.

use std::collections::VecDeque;

use crate::wire::Piece;

/// Most pieces remembered for one job, and most that wait to be told. A job that
/// switches streams with every byte is read no further until they are
/// acknowledged; else its journal, not its log, would take the memory.
pub(crate) const MAX_PIECES: usize = 4_096;

/// What is not acknowledged yet, in order of arrival; and of that, what the front
/// has not been told.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    pieces: VecDeque<Piece>,
    news: Vec<Piece>,
}

impl Journal {
    /// With what another program had: all of it is news.
    pub(crate) fn restore(pieces: Vec<Piece>) -> Self {
        Self {
            news: pieces.clone(),
            pieces: pieces.into(),
        }
    }

    /// More has arrived.
    pub(crate) fn push(&mut self, stream: u8, len: u64) {
        match self.pieces.back_mut() {
            Some(last) if last.stream == stream => last.len += len,
            _ => self.pieces.push_back(Piece { stream, len }),
        }
        match self.news.last_mut() {
            Some(last) if last.stream == stream => last.len += len,
            _ => self.news.push(Piece { stream, len }),
        }
    }

    /// Whether no more may arrive until some is acknowledged or told.
    pub(crate) fn is_full(&self) -> bool {
        self.pieces.len() >= MAX_PIECES || self.news.len() >= MAX_PIECES
    }

    /// The oldest `len` bytes of a stream are acknowledged or gone.
    pub(crate) fn forget(&mut self, stream: u8, mut len: u64) {
        let mut emptied = false;
        for piece in self
            .pieces
            .iter_mut()
            .filter(|piece| piece.stream == stream)
        {
            let less = len.min(piece.len);
            piece.len -= less;
            len -= less;
            emptied |= piece.len == 0;
            if len == 0 {
                break;
            }
        }
        if emptied {
            self.join();
        }
    }

    /// Leaves out what is empty, and joins what then lies together.
    fn join(&mut self) {
        let mut kept: VecDeque<Piece> = VecDeque::new();
        for piece in self.pieces.drain(..).filter(|piece| piece.len > 0) {
            match kept.back_mut() {
                Some(last) if last.stream == piece.stream => last.len += piece.len,
                _ => kept.push_back(piece),
            }
        }
        self.pieces = kept;
    }

    /// A stream is given up: what was not told of it never will be.
    pub(crate) fn drop_news(&mut self, stream: u8) {
        self.news.retain(|piece| piece.stream != stream);
    }

    /// What has arrived since this was last asked.
    pub(crate) fn take_news(&mut self) -> Vec<Piece> {
        std::mem::take(&mut self.news)
    }

    /// Whether there is something to tell.
    pub(crate) fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// Whether all is acknowledged.
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Pieces that are not acknowledged.
    pub(crate) fn len(&self) -> usize {
        self.pieces.len()
    }

    /// All that is not acknowledged, in order.
    pub(crate) fn pieces(&self) -> Vec<Piece> {
        self.pieces.iter().copied().collect()
    }
}
