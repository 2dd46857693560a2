//! The thread that writes one or both outputs, in one of the forms.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError};

use redial_client::{Bytes, JobHandle, Output};
use tokio::sync::mpsc::UnboundedSender;

use super::written::{ACKNOWLEDGE_AFTER, Written};
use super::{Behind, Form, Piece, Replaced, Report, write_all};
use crate::charset::{Charset, Decoding};
use crate::json::{Event, Text};

/// Pieces written with one call at most.
const BATCH: usize = 64;
/// JSON is written when there is so much of it, however many pieces still wait.
const LINES_BYTES: usize = 256 * 1024;

/// Starts it.
pub(super) fn start(
    pieces: Receiver<Piece>,
    job: &JobHandle,
    report: UnboundedSender<Report>,
    form: Form,
    replaced: Replaced,
    behind: Behind,
) -> io::Result<()> {
    let mut desk = Desk {
        written: Written::new(job.clone()),
        report: report.clone(),
        failed: [false; 2],
        replaced,
    };
    let body = move || {
        match form {
            Form::Raw => raw(&pieces, &mut desk, &behind),
            Form::Decoded(charset) => decoded(&pieces, &mut desk, charset),
            Form::Json(charset) => json(&pieces, &mut desk, charset),
        }
        drop(desk);
        // Nobody listens only when we are leaving.
        let _ = report.send(Report::Ended);
    };
    std::thread::Builder::new()
        .name("sink".to_owned())
        .spawn(body)
        .map(drop)
}

fn raw(pieces: &Receiver<Piece>, desk: &mut Desk, behind: &Behind) {
    let mut batch = VecDeque::new();
    while desk.next_batch(pieces, &mut batch) {
        while let Some((stream, end, run)) = take_run(&mut batch) {
            desk.write(stream, end, &run);
            behind.done(stream, run.len());
        }
    }
}

fn decoded(pieces: &Receiver<Piece>, desk: &mut Desk, charset: Charset) {
    let mut decodings = Output::BOTH.map(|_| Decoding::new(charset));
    let mut batch = VecDeque::new();
    while desk.next_batch(pieces, &mut batch) {
        while let Some((stream, end, run)) = take_run(&mut batch) {
            let (decoding, mut text) = (&mut decodings[stream.index()], String::new());
            run.iter()
                .for_each(|bytes| decoding.decode(bytes, &mut text));
            desk.replaced.set(stream, decoding.replaced());
            desk.write(stream, end, &[text]);
        }
    }
    // The other stream's decoder of two writers has seen nothing, and has nothing to say.
    for (stream, decoding) in Output::BOTH.into_iter().zip(&mut decodings) {
        let mut text = String::new();
        decoding.finish(&mut text);
        if !text.is_empty() {
            desk.replaced.set(stream, decoding.replaced());
            desk.write(stream, 0, &[text]);
        }
    }
}

fn json(pieces: &Receiver<Piece>, desk: &mut Desk, charset: Option<Charset>) {
    let mut texts = Output::BOTH.map(|_| Text::new(charset));
    let (mut batch, mut lines) = (VecDeque::new(), Vec::new());
    while desk.next_batch(pieces, &mut batch) {
        let mut ends = [None; 2];
        for piece in batch.drain(..) {
            match piece {
                Piece::Data { stream, end, bytes } => {
                    let text = &mut texts[stream.index()];
                    let rest = text.go_on_at(end - bytes.len() as u64);
                    for data in rest.into_iter().chain(text.push(&bytes)) {
                        Event::data(stream, data).write(&mut lines);
                    }
                    ends[stream.index()] = Some(end);
                }
                Piece::Event(mut event) => {
                    if let Event::Outcome(outcome) = &mut event {
                        finish(&mut texts, desk, &mut lines);
                        if let Some(charset) = charset {
                            outcome.replaced(charset, desk.replaced.counts());
                        }
                    }
                    event.write(&mut lines);
                }
            }
            if lines.len() >= LINES_BYTES {
                desk.write_lines(&mut ends, &mut lines);
            }
        }
        desk.write_lines(&mut ends, &mut lines);
    }
}

/// The streams are over: what still waited for the rest of a character is said.
fn finish(texts: &mut [Text; 2], desk: &mut Desk, lines: &mut Vec<u8>) {
    for (stream, text) in Output::BOTH.into_iter().zip(texts) {
        if let Some(data) = text.finish() {
            Event::data(stream, data).write(lines);
        }
        desk.replaced.set(stream, text.replaced());
    }
}

/// The pieces at the front that go to the same stream, and the offset behind them.
fn take_run(batch: &mut VecDeque<Piece>) -> Option<(Output, u64, Vec<Bytes>)> {
    let (mut last, mut run) = (None, Vec::new());
    while let Some(piece) = batch.pop_front() {
        match (piece, last) {
            (Piece::Data { stream, end, bytes }, None) => {
                last = Some((stream, end));
                run.push(bytes);
            }
            (Piece::Data { stream, end, bytes }, Some((same, _))) if stream == same => {
                last = Some((stream, end));
                run.push(bytes);
            }
            (other @ Piece::Data { .. }, Some(_)) => {
                batch.push_front(other);
                break;
            }
            // Only JSON shows these.
            (Piece::Event(_), _) => {}
        }
    }
    last.map(|(stream, end)| (stream, end, run))
}

/// What the forms share: pieces come in here, and bytes go out.
struct Desk {
    written: Written,
    report: UnboundedSender<Report>,
    failed: [bool; 2],
    replaced: Replaced,
}

impl Desk {
    /// Waits for pieces; false when there will be none.
    fn next_batch(&mut self, pieces: &Receiver<Piece>, batch: &mut VecDeque<Piece>) -> bool {
        let Some(first) = self.next_piece(pieces) else {
            return false;
        };
        batch.push_back(first);
        while batch.len() < BATCH
            && let Ok(next) = pieces.try_recv()
        {
            batch.push_back(next);
        }
        true
    }

    /// Waits for a piece; when none comes soon, acknowledges what is written.
    fn next_piece(&mut self, pieces: &Receiver<Piece>) -> Option<Piece> {
        if self.written.waiting() > 0 {
            match pieces.recv_timeout(ACKNOWLEDGE_AFTER) {
                Err(RecvTimeoutError::Timeout) => self.written.acknowledge(),
                next => {
                    if next.is_err() {
                        self.written.acknowledge();
                    }
                    return next.ok();
                }
            }
        }
        pieces.recv().ok()
    }

    /// Writes to a stream what is in it up to `end`.
    fn write<B: AsRef<[u8]>>(&mut self, stream: Output, end: u64, run: &[B]) {
        let failed = &mut self.failed[stream.index()];
        if *failed {
            return;
        }
        match write_all(stream, run) {
            Ok(()) => self.written.add(stream, end),
            Err(error) => {
                *failed = true;
                // Nobody listens only when we are leaving.
                let _ = self.report.send(Report::Failed(stream, error));
            }
        }
    }

    /// Writes JSON to stdout, which holds what is in both streams up to their `ends`.
    fn write_lines(&mut self, ends: &mut [Option<u64>; 2], lines: &mut Vec<u8>) {
        let stdout = Output::Stdout;
        self.write(stdout, self.written.ends[stdout.index()], &[&*lines]);
        lines.clear();
        if self.failed[stdout.index()] {
            return;
        }
        for stream in Output::BOTH {
            if let Some(end) = ends[stream.index()].take() {
                self.written.add(stream, end);
            }
        }
    }
}
