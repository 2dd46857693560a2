//! The client's part in a connection: moves what handles want into the connection, and
//! what the server says into the jobs.

mod asking;
mod held;
mod lines;
mod running;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use redial_net::proto::message::{Attached, Authenticated, GoodbyeCode, Refused, ServerHello};
use redial_net::proto::{ChannelId, CommandError, Connection, Event, Stream};
use redial_net::{Session, Slices};
use tokio::sync::{mpsc, oneshot};

use crate::error::{Lost, StartError};
use crate::job::{JobCell, Output};
use crate::shared::{Leave, NewJob, NewQuery, Request, Shared};
pub(crate) use held::Held;
use running::{Running, Sent, has_to_wait};

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
    instance: [u8; 16],
    /// Jobs of an earlier line that are not asked for yet.
    resuming: VecDeque<Running>,
    /// Starts that the connection has no room for yet; bounded by the client's own
    /// limit on jobs.
    waiting: VecDeque<NewJob>,
    /// Questions that wait, and those that wait for their answers.
    questions: VecDeque<NewQuery>,
    asked: BTreeMap<ChannelId, NewQuery>,
    /// In the order in which another line asks for them again.
    running: BTreeMap<ChannelId, Running>,
    /// Jobs with controls that the connection had no room for.
    again: Vec<Arc<JobCell>>,
    window: u64,
    goodbye_said: bool,
    /// The server has said goodbye before it let us in: it has looked at nothing else.
    turned_away: bool,
    /// Its jobs are held for another line.
    suspended: bool,
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
            instance: [0; 16],
            resuming: VecDeque::new(),
            waiting: VecDeque::new(),
            running: BTreeMap::new(),
            questions: VecDeque::new(),
            asked: BTreeMap::new(),
            again: Vec::new(),
            window,
            goodbye_said: false,
            turned_away: false,
            suspended: false,
        }
    }

    /// True when whoever connected has given up before the handshake was done, or has said
    /// what cannot be sent.
    fn take_notes(&mut self, cx: &mut Context<'_>, connection: &mut Connection) -> bool {
        let mut notes = self.shared.take_notes(cx.waker());
        if let Some(held) = notes.adopted.take() {
            self.adopt(*held);
            // From now on the notes of their handles count.
            notes = self.shared.take_notes(cx.waker());
        }
        self.resume(connection);
        if notes.greet {
            connection.greet();
        }
        if let Some(authenticate) = notes.authenticate
            && let Err(error) = connection.authenticate(&authenticate)
        {
            tracing::debug!(%error, "the login cannot be sent");
            return true;
        }
        let again = std::mem::take(&mut self.again);
        for cell in notes.jobs.into_iter().chain(again) {
            self.serve(&cell, connection);
        }
        self.waiting.extend(notes.starts);
        while let Some(job) = self.waiting.pop_front() {
            if let Some(job) = self.begin(job, connection) {
                self.waiting.push_front(job);
                break;
            }
        }
        self.questions.extend(notes.queries);
        self.ask(connection);
        let idle = self.running.is_empty()
            && self.waiting.is_empty()
            && self.resuming.is_empty()
            && self.questions.is_empty()
            && self.asked.is_empty();
        let leave = notes.leave == Leave::Now || (notes.leave == Leave::WhenIdle && idle);
        if leave && !self.goodbye_said {
            self.goodbye_said = true;
            connection.goodbye(GoodbyeCode::Done, "");
        }
        leave && !self.ready
    }

    fn greeted(&mut self, hello: ServerHello) {
        self.ready = !hello.auth;
        self.instance = hello.instance.into();
        if let Some(waiting) = self.hello.take() {
            // Whoever connected may have given up.
            let _ = waiting.send(hello);
        }
    }

    /// Opens a channel for a job; gives it back if it has to wait for room.
    fn begin(&mut self, job: NewJob, connection: &mut Connection) -> Option<NewJob> {
        if job.cell.lock().left {
            return None;
        }
        let opened = match &job.request {
            Request::Start(start) => connection.start(start),
            Request::Attach(attach) => connection.attach(attach),
        };
        let channel = match opened {
            Ok(channel) => channel,
            Err(error) if has_to_wait(&error) => return Some(job),
            Err(error) => {
                // Whoever asked may have gone; then nobody needs to know.
                let _ = job
                    .answer
                    .send(Err(StartError::Unsendable(error.to_string())));
                return None;
            }
        };
        let sent = Sent::now(self.instance);
        let running = Running::new(Arc::clone(&job.cell), job.answer, job.request, sent);
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
        if state.over || running.is_waiting() {
            return;
        }
        running.send_stdin(&mut state, channel, connection);
        while let Some(&kind) = state.controls.front() {
            // Not attached yet, or too much waits: it stays for the next turn.
            match connection.control(channel, kind) {
                Ok(_) => state.sent_control(),
                Err(CommandError::Busy) => {
                    self.again.push(Arc::clone(cell));
                    break;
                }
                Err(_) => break,
            }
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
        let resumed = running.resuming;
        if let Err(lost) = running.attached(attached, self.window, channel, connection) {
            running.cell.lock().channel = None;
            running.lose(&lost);
            connection.close(channel, false);
            self.running.remove(&channel);
            return;
        }
        running.cell.attached(attached, resumed);
        running.answer(Ok(()));
        // What had to wait for this goes now.
        let cell = Arc::clone(&running.cell);
        self.serve(&cell, connection);
    }

    fn refused(&mut self, channel: ChannelId, refused: Refused) {
        if self.asked.contains_key(&channel) {
            return self.answered(channel, Err(refused));
        }
        let Some(mut running) = self.running.remove(&channel) else {
            return;
        };
        running.cell.lock().channel = None;
        let resumed = running.resuming;
        let Refused { code, text } = refused;
        let error = StartError::Refused { code, text };
        let reason = Lost::because(format!("the server has it no more: {error}"));
        // Of what was sent before, no refusal says that it did not run.
        if resumed || !running.answer(Err(error)) {
            running.lose(&reason);
        }
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

    /// Another connection holds the job now. If it was reached again a moment ago, that may be
    /// what this client itself had said on a line that has dropped since, arriving late.
    fn taken(&mut self, channel: ChannelId, connection: &mut Connection) {
        let running = self.running.get_mut(&channel);
        if !running.is_some_and(Running::is_taken_by_late_words) {
            return self.tell(channel, JobCell::taken_over);
        }
        connection.close(channel, false);
        if let Some(running) = self.running.remove(&channel) {
            running.cell.lock().channel = None;
            self.resuming.push_back(running);
        }
    }

    fn missed(
        &mut self,
        channel: ChannelId,
        (stream, from, to): (Stream, u64, u64),
        connection: &mut Connection,
    ) {
        if let Some(stream) = Output::of(stream) {
            if let Some(running) = self.running.get_mut(&channel) {
                // What is gone takes no room here.
                running.grant(stream, to.saturating_add(self.window), channel, connection);
            }
            self.tell(channel, |cell| cell.miss(stream, from, to));
        }
    }

    fn tell(&self, channel: ChannelId, say: impl FnOnce(&JobCell)) {
        if let Some(running) = self.running.get(&channel) {
            say(&running.cell);
        }
    }

    /// Acknowledged stdin is the server's; there is room for more.
    fn stdin_acknowledged(&mut self, channel: ChannelId, up_to: u64) {
        if let Some(running) = self.running.get_mut(&channel) {
            running.stdin_arrived(up_to);
        }
    }
}

impl Session for ClientSession {
    fn event(&mut self, connection: &mut Connection, event: Event<'_>, source: &Bytes) {
        match event {
            Event::ServerHello(hello) => self.greeted(hello),
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
            Event::Answer { channel, answer } => self.answered(channel, Ok(answer)),
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
                    self.tell(channel, |cell| cell.eof(stream, length));
                }
            }
            Event::Applied { channel, number } => {
                self.tell(channel, |cell| cell.lock().applied_up_to(number));
            }
            Event::Missed {
                channel,
                stream,
                from,
                to,
            } => self.missed(channel, (stream, from, to), connection),
            Event::Holder {
                channel,
                holder: false,
            } => self.taken(channel, connection),
            Event::StdinClosed { channel } => self.tell(channel, JobCell::stdin_closed),
            Event::Exited { channel, exit } => {
                self.tell(channel, |cell| cell.exited(exit.into()));
            }
            Event::Ended { channel, outcome } => {
                if let Some(running) = self.running.get_mut(&channel) {
                    running.cell.end((*outcome).into());
                    running.answer(Ok(()));
                }
            }
            Event::Goodbye(_) => self.turned_away = !self.ready,
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

    fn has_given_up(&self, channel: ChannelId) -> bool {
        !self.running.contains_key(&channel)
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
        if !self.suspended {
            drop(self.hold(Lost::closed_here()));
        }
    }
}
