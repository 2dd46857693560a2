//! A line: two directions of bytes that come late, in pieces, or not at all.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::chance::Chance;
use crate::plan::Weather;

/// A client's hello has less.
const HELLO_BYTES: u64 = 70;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// To the server.
    Up = 0,
    /// To the client.
    Down = 1,
}

impl Way {
    fn back(self) -> Way {
        match self {
            Way::Up => Way::Down,
            Way::Down => Way::Up,
        }
    }
}

/// One direction.
#[derive(Debug, Default)]
struct Pipe {
    /// Bytes, and when they arrive; in order.
    under_way: VecDeque<(u64, Vec<u8>)>,
    arrived: VecDeque<u8>,
    held: usize,
    /// When the reader learns of the end, behind what is under way.
    end_at: Option<u64>,
    /// It has learnt of it.
    ended: bool,
    /// What is written goes nowhere.
    void: bool,
    /// The writer is told that there is nobody any more.
    broken: bool,
    /// Bytes that were ever written.
    written: u64,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    fn wake(&mut self) {
        let wakers = [self.reader.take(), self.writer.take()];
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// Nothing of what is under way arrives any more.
    fn lose(&mut self) -> u64 {
        let lost = self.held as u64;
        self.under_way.clear();
        self.arrived.clear();
        self.held = 0;
        lost
    }

    fn delay(&mut self, until: u64) {
        self.under_way
            .iter_mut()
            .for_each(|(at, _)| *at = (*at).max(until));
    }
}

#[derive(Debug)]
struct State {
    pipes: [Pipe; 2],
    now: u64,
    weather: Weather,
    chance: Chance,
    carried: u64,
}

/// A line, as the world sees it.
#[derive(Debug, Clone)]
pub(crate) struct Line(Arc<Mutex<State>>);

/// One end of it.
#[derive(Debug)]
pub(crate) struct Stream {
    line: Line,
    out: Way,
}

impl Line {
    pub(crate) fn new(weather: Weather, chance: Chance, now: u64) -> Self {
        Line(Arc::new(Mutex::new(State {
            pipes: Default::default(),
            now,
            weather,
            chance,
            carried: 0,
        })))
    }

    /// The client's end and the server's.
    pub(crate) fn ends(&self) -> [Stream; 2] {
        [Way::Up, Way::Down].map(|out| Stream {
            line: self.clone(),
            out,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets arrive what is due. True if anything was.
    pub(crate) fn deliver(&self, now: u64) -> bool {
        let mut state = self.lock();
        state.now = now;
        let mut any = false;
        for pipe in &mut state.pipes {
            while let Some((_, bytes)) = pipe.under_way.pop_front_if(|(at, _)| *at <= now) {
                pipe.arrived.extend(bytes);
                any = true;
            }
            if !pipe.ended && pipe.under_way.is_empty() && pipe.end_at.is_some_and(|at| at <= now) {
                pipe.ended = true;
                any = true;
            }
        }
        for way in [Way::Up, Way::Down] {
            let heard = state.pipes[way as usize].ended;
            let back = &mut state.pipes[way.back() as usize];
            back.broken |= heard && back.void;
        }
        if any {
            state.pipes.iter_mut().for_each(Pipe::wake);
        }
        any
    }

    /// More than a hello was said to the server, and some of it has not arrived.
    pub(crate) fn has_words_under_way(&self) -> bool {
        let state = self.lock();
        let up = &state.pipes[Way::Up as usize];
        up.written > HELLO_BYTES && !up.under_way.is_empty()
    }

    /// Nothing will happen on it any more.
    pub(crate) fn is_over(&self) -> bool {
        self.lock().pipes.iter().all(|pipe| pipe.ended)
    }

    /// Bytes handed to it since the last time.
    pub(crate) fn take_carried(&self) -> u64 {
        std::mem::take(&mut self.lock().carried)
    }

    /// Holds up what is under way, and lets it arrive then.
    pub(crate) fn stall(&self, way: Way, until: u64) {
        let mut state = self.lock();
        let pipe = &mut state.pipes[way as usize];
        // What follows must not overtake it.
        pipe.under_way.push_back((until, Vec::new()));
        pipe.delay(until);
    }

    /// The line is gone, and both ends learn of it. How many bytes of it were lost.
    pub(crate) fn cut(&self) -> u64 {
        let mut state = self.lock();
        let mut lost = 0;
        for pipe in &mut state.pipes {
            lost += pipe.lose();
            (pipe.ended, pipe.broken, pipe.void) = (true, true, true);
            pipe.wake();
        }
        lost
    }

    /// The reader at the end of `way` goes on hearing what was under way, until then; the other
    /// end learns at once that the line is gone. How many bytes come late.
    pub(crate) fn cut_with_late(&self, way: Way, until: u64) -> u64 {
        let mut state = self.lock();
        let late = &mut state.pipes[way as usize];
        late.delay(until);
        (late.void, late.broken, late.end_at) = (true, true, Some(until));
        let bytes = late.held as u64;
        late.wake();
        let gone = &mut state.pipes[way.back() as usize];
        gone.lose();
        // Who hears late bytes may answer them: that goes nowhere, and it is not told.
        (gone.ended, gone.void) = (true, true);
        gone.wake();
        bytes
    }

    /// Nothing gets through any more, and neither end is told; until then, if ever.
    pub(crate) fn silence(&self, until: Option<u64>) {
        let mut state = self.lock();
        for pipe in &mut state.pipes {
            pipe.lose();
            pipe.void = true;
            pipe.end_at = until;
        }
    }
}

impl Stream {
    fn gather(&self, cx: &mut Context<'_>, parts: &[&[u8]]) -> Poll<io::Result<usize>> {
        let mut state = self.line.lock();
        let State {
            pipes,
            now,
            weather,
            chance,
            carried,
        } = &mut *state;
        let pipe = &mut pipes[self.out as usize];
        if pipe.broken {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let wanted: usize = parts.iter().map(|part| part.len()).sum();
        let room = weather.room.saturating_sub(pipe.held).min(wanted);
        if room == 0 && wanted > 0 {
            pipe.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let mut len = room;
        if len > 1 && chance.one_in(weather.short_one_in) {
            len = 1 + chance.index(len - 1);
        }
        *carried += len as u64;
        pipe.held += len;
        pipe.written += len as u64;
        if !pipe.void {
            let mut bytes = Vec::with_capacity(len);
            for part in parts {
                bytes.extend_from_slice(&part[..part.len().min(len - bytes.len())]);
            }
            let least = pipe.under_way.back().map_or(0, |(at, _)| *at);
            let at = least.max(*now + chance.size(weather.delay_ms));
            pipe.under_way.push_back((at, bytes));
        }
        Poll::Ready(Ok(len))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.line.lock();
        let State {
            pipes,
            chance,
            weather,
            ..
        } = &mut *state;
        let pipe = &mut pipes[self.out.back() as usize];
        if pipe.arrived.is_empty() {
            if pipe.ended {
                return Poll::Ready(Ok(()));
            }
            pipe.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let mut len = pipe.arrived.len().min(buffer.remaining());
        if len > 1 && chance.one_in(weather.short_one_in) {
            len = 1 + chance.index(len - 1);
        }
        let (first, second) = pipe.arrived.as_slices();
        let now = first.len().min(len);
        buffer.put_slice(&first[..now]);
        buffer.put_slice(&second[..len - now]);
        pipe.arrived.drain(..len);
        pipe.held -= len;
        if let Some(writer) = pipe.writer.take() {
            writer.wake();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.gather(cx, &[bytes])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let parts: Vec<&[u8]> = slices.iter().map(|slice| &**slice).collect();
        self.gather(cx, &parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.line.lock();
        let now = state.now;
        state.pipes[self.out as usize].end_at.get_or_insert(now);
        Poll::Ready(Ok(()))
    }
}

/// As a socket that is closed: what is under way arrives, and then the end.
impl Drop for Stream {
    fn drop(&mut self) {
        let mut state = self.line.lock();
        let now = state.now;
        let out = &mut state.pipes[self.out as usize];
        if !out.void {
            out.end_at.get_or_insert(now);
        }
        // The other end writes on until it hears of it.
        let back = &mut state.pipes[self.out.back() as usize];
        back.lose();
        (back.ended, back.void) = (true, true);
    }
}
