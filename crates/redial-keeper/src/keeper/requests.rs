//! What the front asks for. None of it is trusted.

use std::io;

use super::auditing::Deed;
use super::clients::Broken;
use super::command::{Refusal, job_name};
use super::config::KeeperError;
use super::grant::Client;
use super::job::Leaves;
use super::poll::Serial;
use super::report::tell;
use super::start::Answer;
use super::turn::{Keeper, MAX_OUTBOX_BYTES};
use crate::outcome::{ControlKind, Outcome, RefusedCode};
use crate::wire::{
    Capability, ConnectionKind, FrontSettings, JobId, MAX_COMMAND_BYTES, Outbox, Snapshot,
    StreamState, ToFront, ToKeeper, VERSION, decode_packet,
};

/// Packets taken in one turn: the jobs want to be served as well.
const MAX_PACKETS: usize = 64;

/// Turns in which a front that has died is heard out: more than a socket holds.
const LAST_TURNS: usize = 64;

/// The command whose pieces are coming in.
#[derive(Debug, Default)]
pub(super) struct PendingCommand {
    from: Option<Capability>,
    bytes: Vec<u8>,
}

/// Answers to the requests of one packet, at most: what waits before it is taken is
/// bounded already, but thousands of attaches fit one packet.
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

impl PendingCommand {
    /// Its connection is over.
    pub(super) fn forget(&mut self, who: Capability) {
        if self.from == Some(who) {
            *self = Self::default();
        }
    }
}

impl Keeper<'_> {
    /// The first words to a new front.
    pub(super) fn welcome(&mut self) -> io::Result<()> {
        let (ground, limits) = (&self.ground, &self.ground.limits);
        let settings = FrontSettings {
            connections: limits.connections,
            channels: limits.channels,
            handshake_ms: limits.handshake_ms,
            output_chunks: ground.output.chunks(),
            stdin_chunks: ground.stdin.chunks(),
            private: self.private,
            host_key: self
                .network
                .as_ref()
                .map(|network| network.host_key.public_key().blob().to_vec().into()),
        };
        let welcome = ToFront::Welcome(VERSION, self.instance.into(), settings);
        let mut fds = vec![ground.output.share(false)?, ground.stdin.share(true)?];
        if let Some(network) = &self.network {
            fds.push(crate::signer::serve(&network.host_key)?);
        }
        self.front
            .out
            .push_with(&welcome, fds)
            .map_err(io::Error::other)
    }

    /// Takes what the front has sent.
    pub(super) fn on_front_packets(&mut self) -> Result<(), KeeperError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut result = Ok(());
        for _ in 0..MAX_PACKETS {
            if self.front.out.len_bytes() > MAX_OUTBOX_BYTES {
                break;
            }
            let Some(link) = self.front.link() else { break };
            let broken = match link.receive(&mut buffer) {
                Ok(received) if received.len == 0 => Err("it has closed its end"),
                Ok(received) if !received.fds.is_empty() => Err("it has sent descriptors"),
                Ok(received) => self.handle_packet(&buffer[..received.len]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => Err("its packets cannot be read"),
            };
            if let Err(reason) = broken {
                result = self.front_is_lost(reason);
                break;
            }
        }
        self.buffer = buffer;
        result
    }

    /// Its last words first: it may have acknowledged by them that stdin has arrived. Its end is
    /// behind them, or it gets one now.
    pub(super) fn front_has_died(&mut self, reason: Broken) -> Result<(), KeeperError> {
        for _ in 0..LAST_TURNS {
            // Answers would hold the words up, and nobody hears them.
            self.front.out = Outbox::new();
            self.on_front_packets()?;
        }
        self.front_is_lost(reason)
    }

    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), Broken> {
        for message in decode_packet(packet) {
            self.handle(message.map_err(|_| "it has sent what is no message")?)?;
        }
        Ok(())
    }

    fn handle(&mut self, message: ToKeeper) -> Result<(), Broken> {
        // Any client can ask for a lot at once, and so it is no fault of the front's.
        if self.front.out.len_bytes() > MAX_ANSWER_BYTES
            && let ToKeeper::Start(_, number, _)
            | ToKeeper::Attach(_, number, ..)
            | ToKeeper::Query(_, number, _) = message
        {
            self.pending = PendingCommand::default();
            let text = "too much is asked for at once; try again";
            let refused = Refusal::new(RefusedCode::Failure, text);
            self.refuse_unless(number, Err(refused));
            return Ok(());
        }
        if !self.front.is_ready && !matches!(message, ToKeeper::Ready(_)) {
            return Err("it has not said that it is ready");
        }
        match message {
            ToKeeper::Ready(version) => return self.on_ready(version),
            ToKeeper::StartPiece(who, piece) => return self.on_piece(who, &piece),
            ToKeeper::Start(who, number, piece) => {
                self.on_piece(who, &piece)?;
                let bytes = std::mem::take(&mut self.pending).bytes;
                let result = self.start(who, number, &bytes);
                self.refuse_unless(number, result);
            }
            ToKeeper::Attach(who, number, job, take) => {
                let result = self.attach(
                    Answer {
                        who,
                        number,
                        take,
                        is_start: false,
                    },
                    &job,
                );
                if take {
                    self.note_act(who, Deed::Take(*job), &result);
                }
                self.refuse_unless(number, result);
            }
            ToKeeper::Acknowledge(who, job, stdout, stderr) => {
                self.if_holder(who, &job, |job, ground| {
                    job.acknowledge(ground, [stdout, stderr])
                });
            }
            ToKeeper::Stdin(who, job, offset) => self.on_stdin(who, &job, offset, false),
            ToKeeper::StdinEnd(who, job, offset) => self.on_stdin(who, &job, offset, true),
            ToKeeper::Control(who, job, number, control) => {
                self.on_control(who, &job, number, control);
            }
            ToKeeper::Leave(who, job, seen, held) => self.on_leave(who, &job, seen, held),
            ToKeeper::Closed(who) => self.on_closed(who),
            ToKeeper::Secured(who) => self.on_secured(who),
            ToKeeper::Query(who, number, ask) => {
                let deed = Deed::of(&ask);
                let result = self.query(who, number, *ask);
                if let Some(deed) = deed {
                    self.note_act(who, deed, &result);
                }
                self.refuse_unless(number, result);
            }
            ToKeeper::Login(who, login) => return self.on_login(who, *login),
            ToKeeper::Echo(echo) => return self.on_echo(echo),
            ToKeeper::Confined(confinement) => self.note_confined(confinement),
        }
        Ok(())
    }

    fn on_ready(&mut self, version: u32) -> Result<(), Broken> {
        if version != VERSION {
            return Err("it is of another version");
        }
        if self.front.is_ready {
            return Err("it has said twice that it is ready");
        }
        self.front.ready();
        if !self.phase.is_serving() {
            tell(&mut self.front.out, &ToFront::ShuttingDown);
        } else if let Some((input, output)) = self.stdio.take() {
            let uid = rustix::process::geteuid().as_raw();
            self.connect(
                Client::local(uid),
                ConnectionKind::Stdio,
                vec![input, output],
            );
        }
        Ok(())
    }

    fn on_piece(&mut self, who: Capability, piece: &[u8]) -> Result<(), Broken> {
        let from = *self.pending.from.get_or_insert(who);
        if from != who {
            return Err("it has mixed the pieces of two commands");
        }
        if self.pending.bytes.len() + piece.len() > MAX_COMMAND_BYTES {
            return Err("it has sent a command over the limit");
        }
        self.pending.bytes.extend_from_slice(piece);
        Ok(())
    }

    fn refuse_unless(&mut self, number: u32, result: Result<(), Refusal>) {
        if let Err(refusal) = result {
            self.refuse(number, refusal);
        }
    }

    /// Attaches to a job that is starting, running, or has ended.
    pub(super) fn attach(&mut self, answer: Answer, id: &JobId) -> Result<(), Refusal> {
        let client = self.client(answer.who)?;
        client.check()?;
        if answer.take {
            client.check_may_change()?;
        }
        let unknown = || Refusal::new(RefusedCode::NoSuchJob, "no such job");
        if let Some(&serial) = self.ids.get(id) {
            if let Some(starting) = self.starting.get_mut(&serial) {
                return if client.reaches(&starting.terms.owner) {
                    starting.add(answer)
                } else {
                    Err(unknown())
                };
            }
            let job = self.jobs.get(&serial).ok_or_else(unknown)?;
            client.check_may_attach(&job.terms, answer.take)?;
            self.attach_to_job(serial, answer, false);
            return Ok(());
        }
        if self.attach_to_kept(answer, id)? {
            return Ok(());
        }
        let record = self
            .records
            .find(id)
            .filter(|record| client.reaches(&record.owner));
        let outcome = record.ok_or_else(unknown)?.outcome();
        self.answer_with_outcome(answer, *id, outcome, false);
        Ok(())
    }

    /// Tells where the job stands; with `take`, whose it was before.
    pub(super) fn attach_to_job(&mut self, serial: Serial, answer: Answer, started: bool) {
        let Some(job) = self.jobs.get_mut(&serial) else {
            return;
        };
        // Who reads already must not miss what the snapshot takes for told.
        job.report(&mut self.ground, &mut self.front);
        let before = job.attach(answer.who, answer.take);
        let id = job.terms.id.into();
        let snapshot = Box::new(job.snapshot(answer.who));
        let attached = ToFront::Attached(answer.number, id, started, snapshot);
        // Who has stdin to send waits for this.
        if let Some(spool) = &job.spool {
            // Without a descriptor there is nothing it could read from; that passes.
            match spool.reader() {
                Ok(reader) => drop(self.front.out.push_with(&attached, vec![reader])),
                Err(error) => {
                    let refused = ToFront::Refused(
                        answer.number,
                        RefusedCode::Failure,
                        format!("its output cannot be opened: {error}"),
                    );
                    tell(&mut self.front.out, &refused);
                }
            }
        } else if started && job.input.is_none() {
            self.front.patiently(|out| tell(out, &attached));
        } else {
            tell(&mut self.front.out, &attached);
        }
        if let Some(before) = before {
            tell(&mut self.front.out, &ToFront::HolderLost(before, id));
        }
        job.mark(&mut self.ground);
    }

    /// Of a job that is gone, only its outcome can be told.
    pub(super) fn answer_with_outcome(
        &mut self,
        answer: Answer,
        id: JobId,
        outcome: Outcome,
        started: bool,
    ) {
        let gone = |bytes| StreamState {
            oldest: bytes,
            end: bytes,
            ended: true,
        };
        let snapshot = Snapshot {
            holder: answer.take,
            stdin_arrived: outcome.stdin.bytes,
            stdout: gone(outcome.stdout.bytes),
            stderr: gone(outcome.stderr.bytes),
            stdin_closed: true,
            outcome: Some(outcome),
            ..Snapshot::default()
        };
        let message = ToFront::Attached(answer.number, id.into(), started, Box::new(snapshot));
        tell(&mut self.front.out, &message);
    }

    fn if_holder(
        &mut self,
        who: Capability,
        id: &JobId,
        change: impl FnOnce(&mut super::job::Job, &mut super::ground::Ground),
    ) {
        let Some(&serial) = self.ids.get(id) else {
            return;
        };
        if self
            .jobs
            .get(&serial)
            .is_some_and(|job| job.holder == Some(who))
        {
            self.with_job(serial, change);
        } else {
            tracing::debug!(capability = who, "a request from who does not hold the job");
        }
    }

    /// The key's line may have changed since its client took the job: to who may only look by now,
    /// nothing that it types counts.
    fn on_stdin(&mut self, who: Capability, id: &JobId, offset: u64, is_end: bool) {
        let may_type = |client: Client| client.check_may_change().is_ok();
        if self.client(who).is_ok_and(may_type) {
            self.if_holder(who, id, |job, ground| job.stdin(ground, offset, is_end));
        }
    }

    fn on_control(&mut self, who: Capability, id: &JobId, number: u64, control: ControlKind) {
        let Ok(client) = self.client(who) else { return };
        let checked = client.check().and_then(|()| client.check_may_change());
        if let Err(refused) = checked {
            tracing::info!(
                by = client.name(),
                reason = refused.text,
                "a control is refused"
            );
            return;
        }
        if !client.may_send(control) {
            let by = client.name();
            tracing::info!(by, ?control, "a forced command is sent no such signal");
            return;
        }
        self.if_holder(who, id, |job, ground| {
            tracing::debug!(job = job_name(id), ?control, by = client.name(), "control");
            job.control(ground, number, control, client.name());
        });
    }

    fn on_leave(&mut self, who: Capability, id: &JobId, seen: bool, held: bool) {
        let Ok(client) = self.client(who) else { return };
        let Some(&serial) = self.ids.get(id) else {
            // Who may only look has no say in what is kept, whatever is said of it.
            let seen = seen && !client.is_read_only();
            if seen {
                self.records.mark_read(self.ground.now, id, &client);
            }
            let kept = self.keeping.archive.find(id);
            if seen && held && kept.is_some_and(|kept| client.reaches(&kept.record.owner())) {
                self.kept_is_read(id);
            }
            return;
        };
        if let Some(starting) = self.starting.get_mut(&serial) {
            starting.leave(who);
        } else if self
            .jobs
            .get(&serial)
            .is_some_and(|job| seen && held && job.is_done_for(who))
        {
            self.let_go(serial, true);
        } else {
            let leaves = if held { Leaves::Holder } else { Leaves::Reader };
            self.leave(serial, who, leaves, 0);
        }
    }
}
