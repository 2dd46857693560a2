//! The client's part in a connection: moves what handles want into the connection, and
//! what the server says into the jobs.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use redial_net::proto::message::{Attached, Authenticated, GoodbyeCode, Refused, ServerHello};
use redial_net::proto::{ChannelId, CommandError, Connection, Event, Stream};
use redial_net::{Session, Slices};
use tokio::sync::{mpsc, oneshot};

use crate::error::{Lost, StartError};
use crate::job::{JobCell, JobEvent, JobState, Output, StdinQueue};
use crate::shared::{Leave, NewJob, Notes, Shared};

/// One connection's session.
#[derive(Debug)]
pub(crate) struct ClientSession {
    shared: Arc<Shared>,
    /// Told of the server's hello, once.
    hello: Option<oneshot::Sender<ServerHello>>,
    /// Told of the server's answers to the login, of which it gives three.
    answers: mpsc::Sender<Authenticated>,
    /// The handshake is done, login and all.
    ready: bool,
    /// Starts that the connection has no room for yet; bounded by the client's own
    /// limit on jobs.
    waiting: VecDeque<NewJob>,
    running: HashMap<ChannelId, Running>,
    window: u64,
    goodbye_said: bool,
    lost: Option<Lost>,
}

/// A job on this connection.
#[derive(Debug)]
struct Running {
    cell: Arc<JobCell>,
    /// Who waits for the answer to the start.
    answer: Option<oneshot::Sender<Result<(), StartError>>>,
    stdin: StdinQueue,
    stdin_ended: bool,
    granted: [u64; 2],
}

impl ClientSession {
    pub(crate) fn new(
        shared: Arc<Shared>,
        hello: oneshot::Sender<ServerHello>,
        answers: mpsc::Sender<Authenticated>,
        window: u64,
    ) -> Self {
        ClientSession {
            shared,
            hello: Some(hello),
            answers,
            ready: false,
            waiting: VecDeque::new(),
            running: HashMap::new(),
            window,
            goodbye_said: false,
            lost: None,
        }
    }

    /// The connection has ended, for this reason.
    pub(crate) fn end(mut self, lost: Lost) {
        self.lost = Some(lost);
    }

    /// True when whoever connected has given up before the handshake was done, or has said
    /// what cannot be sent.
    fn take_notes(&mut self, cx: &mut Context<'_>, connection: &mut Connection) -> bool {
        let notes = self.shared.take_notes(cx.waker());
        if let Some(authenticate) = notes.authenticate
            && let Err(error) = connection.authenticate(&authenticate)
        {
            tracing::debug!(%error, "the login cannot be sent");
            return true;
        }
        for cell in notes.jobs {
            self.serve(&cell, connection);
        }
        self.waiting.extend(notes.starts);
        while let Some(job) = self.waiting.pop_front() {
            if let Some(job) = self.begin(job, connection) {
                self.waiting.push_front(job);
                break;
            }
        }
        let idle = self.running.is_empty() && self.waiting.is_empty();
        let leave = notes.leave == Leave::Now || (notes.leave == Leave::WhenIdle && idle);
        if leave && !self.goodbye_said {
            self.goodbye_said = true;
            connection.goodbye(GoodbyeCode::Done, "");
        }
        leave && !self.ready
    }

    /// Opens a channel for a job; gives it back if it has to wait for room.
    fn begin(&mut self, job: NewJob, connection: &mut Connection) -> Option<NewJob> {
        if job.cell.lock().left {
            return None;
        }
        let channel = match connection.start(&job.start) {
            Ok(channel) => channel,
            // That the connection is closing, its end will say.
            Err(
                CommandError::Busy
                | CommandError::NotReady
                | CommandError::Closing
                | CommandError::Channels { .. },
            ) => return Some(job),
            Err(error) => {
                // Whoever asked may have gone; then nobody needs to know.
                let _ = job
                    .answer
                    .send(Err(StartError::Unsendable(error.to_string())));
                return None;
            }
        };
        let running = Running {
            cell: Arc::clone(&job.cell),
            answer: Some(job.answer),
            stdin: StdinQueue::default(),
            stdin_ended: false,
            granted: [job.start.stdout_credit, job.start.stderr_credit],
        };
        self.running.insert(channel, running);
        job.cell.lock().channel = Some(channel);
        self.serve(&job.cell, connection);
        None
    }

    /// Hands over what a job's handles want.
    fn serve(&mut self, cell: &Arc<JobCell>, connection: &mut Connection) {
        let mut state = cell.lock();
        state.noted = false;
        let Some(channel) = state.channel else { return };
        let Some(running) = self.running.get_mut(&channel) else {
            return;
        };
        if state.left {
            connection.close(channel, state.ended);
            state.channel = None;
            drop(state);
            self.running.remove(&channel);
            return;
        }
        if state.over {
            return;
        }
        running.send_stdin(&mut state, channel, connection);
        while let Some(&kind) = state.controls.front() {
            // Not attached yet, or too much waits: it stays for the next turn.
            let Ok(number) = connection.control(channel, kind) else {
                break;
            };
            state.controls_sent = number;
            state.controls.pop_front();
        }
        for stream in Output::BOTH {
            let taken = state.report(stream);
            running.report(stream, taken, self.window, channel, connection);
        }
    }

    fn attached(&mut self, channel: ChannelId, attached: &Attached, connection: &mut Connection) {
        let Some(running) = self.running.get_mut(&channel) else {
            return;
        };
        running.cell.say(JobEvent::Attached {
            pid: attached.pid,
            exact: attached.exact,
        });
        let mut state = running.cell.lock();
        state.controls_sent = state.controls_sent.max(attached.applied);
        state.controls_applied = attached.applied;
        drop(state);
        running.answer(Ok(()));
        // What had to wait for this goes now.
        let cell = Arc::clone(&running.cell);
        self.serve(&cell, connection);
    }

    fn refused(&mut self, channel: ChannelId, refused: Refused) {
        let Some(mut running) = self.running.remove(&channel) else {
            return;
        };
        running.cell.lock().channel = None;
        running.answer(Err(StartError::Refused {
            code: refused.code,
            text: refused.text,
        }));
    }

    fn data(
        &mut self,
        connection: &mut Connection,
        (channel, stream, offset): (ChannelId, Stream, u64),
        bytes: &[u8],
        source: &Bytes,
    ) {
        let (Some(running), Some(output)) = (self.running.get_mut(&channel), Output::of(stream))
        else {
            return;
        };
        if !running.cell.arrive(output, offset, bytes, source) {
            let taken = offset + bytes.len() as u64;
            running.report(output, taken, self.window, channel, connection);
        }
    }

    fn say(&self, channel: ChannelId, event: JobEvent) {
        self.tell(channel, |cell| cell.say(event));
    }

    fn tell(&self, channel: ChannelId, say: impl FnOnce(&JobCell)) {
        if let Some(running) = self.running.get(&channel) {
            say(&running.cell);
        }
    }

    /// Acknowledged stdin is the server's; there is room for more.
    fn stdin_acknowledged(&mut self, channel: ChannelId, up_to: u64) {
        let Some(running) = self.running.get_mut(&channel) else {
            return;
        };
        running.stdin.release(up_to);
        let mut state = running.cell.lock();
        state.stdin.acknowledged = up_to.min(state.stdin.written);
        drop(state);
        running.cell.stdin_moved.notify_waiters();
    }
}

impl Running {
    fn answer(&mut self, answer: Result<(), StartError>) {
        if let Some(waiting) = self.answer.take() {
            // Whoever asked may have gone; the job's own state says so.
            let _ = waiting.send(answer);
        }
    }

    fn send_stdin(&mut self, state: &mut JobState, channel: ChannelId, to: &mut Connection) {
        if state.stdin.closed || self.stdin_ended {
            state.stdin.incoming.clear();
            return;
        }
        for bytes in std::mem::take(&mut state.stdin.incoming) {
            if to
                .data_ready(channel, Stream::Stdin, bytes.len() as u64)
                .is_err()
            {
                // The child closed it in this very moment.
                return;
            }
            state.stdin.sum(&bytes);
            self.stdin.push(bytes);
        }
        if state.stdin.open && state.stdin.finished {
            self.stdin_ended = true;
            to.eof(channel, Stream::Stdin);
        }
    }

    /// Acknowledges, and gives credit in steps of at least a quarter of the window.
    fn report(
        &mut self,
        output: Output,
        taken: u64,
        window: u64,
        channel: ChannelId,
        to: &mut Connection,
    ) {
        to.acknowledge(channel, output.stream(), taken);
        let granted = &mut self.granted[output.index()];
        if taken + window >= *granted + window / 4 {
            *granted = taken + window;
            to.grant(channel, output.stream(), *granted);
        }
    }
}

impl Session for ClientSession {
    fn event(&mut self, connection: &mut Connection, event: Event<'_>, source: &Bytes) {
        match event {
            Event::ServerHello(hello) => {
                self.ready = !hello.auth;
                if let Some(waiting) = self.hello.take() {
                    // Whoever connected may have given up.
                    let _ = waiting.send(hello);
                }
            }
            Event::Authenticated(answer) => {
                self.ready = answer.result == 0;
                // Whoever logs in may have given up. There is room: he takes an answer
                // before he asks again.
                let _ = self.answers.try_send(answer);
            }
            Event::Data {
                channel,
                stream,
                offset,
                bytes,
            } => {
                self.data(connection, (channel, stream, offset), bytes, source);
            }
            Event::Attached { channel, attached } => self.attached(channel, &attached, connection),
            Event::Refused { channel, refused } => self.refused(channel, refused),
            Event::Acknowledged {
                channel,
                stream: Stream::Stdin,
                up_to,
            } => {
                self.stdin_acknowledged(channel, up_to);
            }
            Event::Eof {
                channel,
                stream,
                offset: length,
            } => {
                if let Some(stream) = Output::of(stream) {
                    self.say(channel, JobEvent::Eof { stream, length });
                }
            }
            Event::Applied { channel, number } => self.tell(channel, |cell| {
                let mut state = cell.lock();
                state.controls_applied = number.min(state.controls_sent);
            }),
            Event::Missed {
                channel, stream, ..
            } => {
                if let Some(stream) = Output::of(stream) {
                    self.tell(channel, |cell| cell.lock().miss(stream));
                }
            }
            Event::Holder {
                channel,
                holder: false,
            } => self.tell(channel, |cell| cell.taken_over()),
            Event::StdinClosed { channel } => self.say(channel, JobEvent::StdinClosed),
            Event::Exited { channel, exit } => self.say(channel, JobEvent::Exited(exit.into())),
            Event::Ended { channel, outcome } => {
                if let Some(running) = self.running.get_mut(&channel) {
                    running.cell.end((*outcome).into());
                    running.answer(Ok(()));
                }
            }
            // The rest is the server's to hear, or the driver's.
            _ => {}
        }
    }

    fn payload<'a>(
        &'a self,
        channel: ChannelId,
        _: Stream,
        offset: u64,
        len: usize,
        out: &mut Slices<'a>,
    ) -> bool {
        let running = self.running.get(&channel);
        running.is_some_and(|running| running.stdin.slices(offset, len, out))
    }

    fn poll(&mut self, cx: &mut Context<'_>, connection: &mut Connection) -> Poll<()> {
        if self.take_notes(cx, connection) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

/// However the driver ends, even with its runtime: nobody waits for ever.
impl Drop for ClientSession {
    fn drop(&mut self) {
        let lost = self.lost.take().unwrap_or_else(Lost::closed_here);
        let Notes { starts, .. } = self.shared.end(lost.clone());
        for running in self.running.values_mut() {
            let (job, reason) = (running.cell.id, lost.clone());
            running.cell.lose(&lost);
            running.answer(Err(StartError::Lost { job, reason }));
        }
        // Their answers are dropped: they were not sent.
        for job in self.waiting.drain(..).chain(starts) {
            job.cell.lose(&lost);
        }
    }
}
