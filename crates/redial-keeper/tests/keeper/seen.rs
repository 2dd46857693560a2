//! What a front was told.

use std::collections::HashMap;

use minicbor::bytes::{ByteArray, ByteVec};
use redial_keeper::outcome::{Exit, Outcome, Status};
use redial_keeper::pool::CHUNK_BYTES;
use redial_keeper::wire::{
    Chunk, Command, DropPolicy, JobId, Piece, Program, Snapshot, ToFront, ToKeeper,
};

use crate::front::Front;

/// What was told of a job.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) chunks: HashMap<(u8, u64), u32>,
    /// Offset of the first byte in `bytes`, then the bytes; stdout, stderr.
    pub(crate) from: [u64; 2],
    pub(crate) bytes: [Vec<u8>; 2],
    pub(crate) order: Vec<(u8, u64)>,
    pub(crate) ends: [Option<u64>; 2],
    pub(crate) exit: Option<Exit>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) applied: u64,
    pub(crate) stdin_closed: bool,
    pub(crate) stdin_taken: u64,
    pub(crate) stdin_arrived: u64,
}

impl Seen {
    /// There is a chunk for the next byte of stdin.
    pub(crate) fn has_stdin_room(&self) -> bool {
        let number = self.stdin_arrived / CHUNK_BYTES as u64;
        self.chunks.contains_key(&(0, number))
    }
}

pub(crate) fn command(argv: &[&str]) -> Command {
    let argv = argv
        .iter()
        .map(|argument| ByteVec::from(argument.as_bytes().to_vec()))
        .collect();
    Command {
        job: ByteArray::from([0; 16]),
        program: Program::Argv(argv),
        cwd: Some(ByteVec::from(b"/".to_vec())),
        env: Vec::new(),
        stdin: false,
        pty: None,
        deadline_ms: None,
        drain_ms: 2_000,
        on_drop: DropPolicy::Kill,
        reap: false,
        detach: false,
        resent: None,
        keep: None,
        resources: None,
    }
}

pub(crate) fn shell(text: &str) -> Command {
    command(&["/bin/sh", "-c", text])
}

impl Front {
    pub(crate) fn see_snapshot(&mut self, id: JobId, snapshot: &Snapshot) {
        let mut seen = Seen {
            from: [snapshot.stdout.oldest, snapshot.stderr.oldest],
            exit: snapshot.exit,
            outcome: snapshot.outcome.clone(),
            applied: snapshot.applied,
            stdin_closed: snapshot.stdin_closed,
            stdin_arrived: snapshot.stdin_arrived,
            ..Seen::default()
        };
        for (end, state) in seen.ends.iter_mut().zip([snapshot.stdout, snapshot.stderr]) {
            *end = state.ended.then_some(state.end);
        }
        self.jobs.insert(id, seen);
        self.take_output(id, &snapshot.chunks, &snapshot.pieces);
    }

    fn take_output(&mut self, id: JobId, chunks: &[Chunk], pieces: &[Piece]) {
        let seen = self.jobs.entry(id).or_default();
        seen.chunks
            .extend(chunks.iter().map(|it| ((it.stream, it.number), it.slot)));
        for piece in pieces {
            let index = usize::from(piece.stream) - 1;
            let mut at = seen.from[index] + seen.bytes[index].len() as u64;
            let until = at + piece.len;
            while at < until {
                let number = at / CHUNK_BYTES as u64;
                let to = until.min((number + 1) * CHUNK_BYTES as u64);
                let start = (at % CHUNK_BYTES as u64) as usize;
                let slot = seen.chunks[&(piece.stream, number)];
                let range = start..start + (to - at) as usize;
                let bytes = self.output.as_ref().unwrap().slice(slot, range).unwrap();
                seen.bytes[index].extend_from_slice(bytes);
                at = to;
            }
            match seen.order.last_mut() {
                Some(last) if last.0 == piece.stream => last.1 += piece.len,
                _ => seen.order.push((piece.stream, piece.len)),
            }
        }
    }

    pub(crate) fn remember(&mut self, message: ToFront) {
        match message {
            ToFront::Output(id, chunks, pieces) => self.take_output(*id, &chunks, &pieces),
            ToFront::OutputEnd(id, stream, at) => {
                self.seen(&id).ends[usize::from(stream) - 1] = Some(at);
            }
            ToFront::StdinChunk(id, chunk) => {
                self.seen(&id).chunks.insert((0, chunk.number), chunk.slot);
            }
            ToFront::StdinClosed(id) => self.seen(&id).stdin_closed = true,
            ToFront::Applied(id, number) => self.seen(&id).applied = number,
            ToFront::Exited(id, exit) => self.seen(&id).exit = Some(exit),
            ToFront::Ended(id, outcome) => self.seen(&id).outcome = Some(*outcome),
            ToFront::HolderLost(who, id) => self.lost.push((who, *id)),
            ToFront::ShuttingDown => self.shutting_down = true,
            ToFront::Attached(_, id, _, snapshot) => self.see_snapshot(*id, &snapshot),
            ToFront::Echo(number) if self.answers_echoes => self.say(&ToKeeper::Echo(number)),
            ToFront::Echo(number) => self.echoes.push(number),
            ToFront::StdinTaken(id, at) => self.seen(&id).stdin_taken = at,
            ToFront::Refused(..) | ToFront::Answer(..) => {}
            other => panic!("not expected now: {other:?}"),
        }
    }
}

pub(crate) fn code(outcome: &Outcome) -> Option<u8> {
    match outcome.status {
        Status::Ended(Exit::Code(code)) => Some(code),
        _ => None,
    }
}
