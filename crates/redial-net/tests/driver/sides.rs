//! A client that asks for one job, and a server that plays it.

use std::task::{Context, Poll};

use bytes::Bytes;
use redial_net::proto::message::{
    Attached, ByteArray, Cause, DigestMessage, GoodbyeCode, OnDrop, Outcome, Start, Status,
};
use redial_net::proto::{ChannelId, Connection, Event, Stream};
use redial_net::{Session, Slices};

const WINDOW: u64 = 256 * 1024;

/// Bytes that tell where they belong.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8).collect()
}

/// The client: sends stdin, collects stdout, leaves when the job has ended.
pub(crate) struct Asking {
    pub(crate) output: Vec<u8>,
    input: Vec<u8>,
    pub(crate) channel: Option<ChannelId>,
    expected: usize,
}

impl Asking {
    pub(crate) fn new(expected: usize, input: usize) -> Self {
        Asking {
            output: Vec::new(),
            input: pattern(input),
            channel: None,
            expected,
        }
    }
}

impl Session for Asking {
    fn event(&mut self, connection: &mut Connection, event: Event<'_>, source: &Bytes) {
        match event {
            Event::Attached { channel, .. } => {
                connection
                    .data_ready(channel, Stream::Stdin, self.input.len() as u64)
                    .expect("the connection takes it");
                connection.eof(channel, Stream::Stdin);
            }
            Event::Data {
                channel,
                stream: Stream::Stdout,
                offset,
                bytes,
            } => {
                assert_eq!(offset, self.output.len() as u64, "no gap, no overlap");
                self.output.extend_from_slice(&source.slice_ref(bytes));
                let end = self.output.len() as u64;
                connection.acknowledge(channel, Stream::Stdout, end);
                connection.grant(channel, Stream::Stdout, end + WINDOW);
            }
            Event::Ended { channel, .. } => {
                assert_eq!(self.output.len(), self.expected, "ended comes last");
                connection.close(channel, true);
                connection.goodbye(GoodbyeCode::Done, "");
            }
            _ => {}
        }
    }

    fn payload<'a>(
        &'a self,
        _: ChannelId,
        _: Stream,
        offset: u64,
        len: usize,
        out: &mut Slices<'a>,
    ) -> bool {
        let from = offset as usize;
        // In two parts, as bytes across two chunks are.
        let middle = from + len / 2;
        out.push(&self.input[from..middle]) && out.push(&self.input[middle..from + len])
    }

    fn poll(&mut self, _: &mut Context<'_>, connection: &mut Connection) -> Poll<()> {
        if self.channel.is_none() {
            self.channel = Some(connection.start(&start()).expect("the connection takes it"));
        }
        Poll::Pending
    }
}

/// The server: a job that writes a pattern and takes stdin.
pub(crate) struct Serving {
    pub(crate) input: Vec<u8>,
    output: Vec<u8>,
    expected: usize,
    leaves: Option<GoodbyeCode>,
}

impl Serving {
    pub(crate) fn new(output: usize, expected: usize) -> Self {
        Serving {
            input: Vec::new(),
            output: pattern(output),
            expected,
            leaves: None,
        }
    }

    pub(crate) fn leaving(code: GoodbyeCode) -> Self {
        Serving {
            leaves: Some(code),
            ..Serving::new(0, 0)
        }
    }

    fn end_if_done(&self, connection: &mut Connection, channel: ChannelId) {
        if self.input.len() == self.expected {
            connection.ended(channel, outcome());
        }
    }
}

impl Session for Serving {
    fn event(&mut self, connection: &mut Connection, event: Event<'_>, _: &Bytes) {
        match event {
            Event::Start { channel, .. } => {
                if let Some(code) = self.leaves {
                    connection.goodbye(code, "we close");
                    return;
                }
                connection.attached(channel, attached());
                let len = self.output.len() as u64;
                connection
                    .data_ready(channel, Stream::Stdout, len)
                    .expect("the connection takes it");
                connection.eof(channel, Stream::Stdout);
                connection.eof(channel, Stream::Stderr);
            }
            Event::Data { channel, bytes, .. } => {
                self.input.extend_from_slice(bytes);
                let end = self.input.len() as u64;
                connection.acknowledge(channel, Stream::Stdin, end);
                connection.grant(channel, Stream::Stdin, end + WINDOW);
            }
            Event::Eof { channel, .. } => self.end_if_done(connection, channel),
            _ => {}
        }
    }

    fn payload<'a>(
        &'a self,
        _: ChannelId,
        _: Stream,
        offset: u64,
        len: usize,
        out: &mut Slices<'a>,
    ) -> bool {
        out.push(&self.output[offset as usize..offset as usize + len])
    }

    fn poll(&mut self, _: &mut Context<'_>, _: &mut Connection) -> Poll<()> {
        Poll::Pending
    }
}

pub(crate) fn start() -> Start {
    Start {
        job: ByteArray::from([1; 16]),
        argv: Some(vec![b"x".to_vec().into()]),
        shell: None,
        cwd: None,
        env: None,
        stdin: true,
        pty: None,
        deadline_ms: None,
        drain_ms: 0,
        on_drop: OnDrop::Kill,
        reap: false,
        detach: false,
        stdout_credit: WINDOW,
        stderr_credit: WINDOW,
        resent: None,
        keep: None,
        resources: None,
    }
}

fn attached() -> Attached {
    Attached {
        new: true,
        pid: 1,
        exact: true,
        holder: true,
        stdin_from: 0,
        stdin_credit: WINDOW,
        applied: 0,
        stdout_from: 0,
        stderr_from: 0,
        terminal: None,
    }
}

fn outcome() -> Outcome {
    let digest = DigestMessage {
        bytes: 0,
        checksum: ByteArray::from([0; 16]),
        complete: true,
    };
    Outcome {
        status: Status::Exited(0),
        cause: Cause::Itself,
        stdin: digest,
        stdout: digest,
        stderr: digest,
        holders: Vec::new(),
        lingering: 0,
        exact: true,
        duration_ms: 0,
        cpu_us: 0,
    }
}
