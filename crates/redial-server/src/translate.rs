//! The keeper's words into the protocol's, and back. Neither knows the other.

use redial_keeper::outcome as keeper;
use redial_keeper::wire;
use redial_net::proto::message as protocol;

pub(crate) fn command(start: protocol::Start) -> Option<wire::Command> {
    let program = match (start.argv, start.shell) {
        (Some(argv), None) => wire::Program::Argv(argv),
        (None, Some(text)) => wire::Program::Shell(text),
        (None, None) => wire::Program::Login,
        (Some(_), Some(_)) => return None,
    };
    Some(wire::Command {
        job: start.job,
        program,
        cwd: start.cwd,
        env: start.env.unwrap_or_default(),
        stdin: start.stdin,
        pty: start.pty.map(|pty| wire::PtyRequest {
            rows: pty.rows,
            columns: pty.columns,
            x_pixels: pty.x_pixels,
            y_pixels: pty.y_pixels,
            term: pty.term,
        }),
        deadline_ms: start.deadline_ms,
        drain_ms: start.drain_ms,
        on_drop: match start.on_drop {
            protocol::OnDrop::Kill => wire::DropPolicy::Kill,
            protocol::OnDrop::Keep => wire::DropPolicy::Keep,
            protocol::OnDrop::KeepFor(ms) => wire::DropPolicy::KeepFor(ms),
        },
        reap: start.reap,
        detach: start.detach,
        keep: start.keep.map(|keep| wire::Keep {
            bytes: keep.bytes,
            tail: keep.tail,
            time_ms: keep.time_ms,
        }),
        resources: start.resources.map(|limits| wire::Resources {
            memory: limits.memory,
            cpu_milli: limits.cpu_milli,
            pids: limits.pids,
            nice: limits.nice,
        }),
        resent: start.resent.map(|resent| wire::Resent {
            ago_ms: resent.ago_ms,
            instance: resent.instance,
        }),
    })
}

pub(crate) fn ask(query: protocol::QueryKind) -> wire::Ask {
    match query {
        protocol::QueryKind::List(prefix, after) => wire::Ask::List(prefix, after),
        protocol::QueryKind::Signal(job, request, signal) => {
            wire::Ask::Signal(job, request, signal)
        }
        protocol::QueryKind::Cancel(job, request, grace_ms) => {
            wire::Ask::Cancel(job, request, grace_ms)
        }
        protocol::QueryKind::Remove(job) => wire::Ask::Remove(job),
        protocol::QueryKind::Upgrade(request) => wire::Ask::Upgrade(request),
    }
}

pub(crate) fn answer(reply: wire::Reply) -> protocol::Answer {
    let kind = match reply {
        wire::Reply::Jobs(jobs, more) => {
            protocol::AnswerKind::Jobs(jobs.into_iter().map(entry).collect(), more)
        }
        wire::Reply::Done => protocol::AnswerKind::Done,
    };
    protocol::Answer { kind }
}

fn entry(job: wire::JobInfo) -> protocol::JobEntry {
    protocol::JobEntry {
        job: job.job,
        state: match job.phase {
            wire::JobPhase::Starting => protocol::JobState::Starting,
            wire::JobPhase::Running => protocol::JobState::Running,
            wire::JobPhase::Ended => protocol::JobState::Ended,
        },
        user: job.user,
        command: job.command,
        started_ms: job.started_ms,
        pid: job.pid,
        stdout: job.stdout,
        stderr: job.stderr,
        kept: job.kept,
        held: job.held,
        readers: job.readers,
        outcome: job.outcome.map(outcome),
        ended_ms: job.ended_ms,
        expires_ms: job.expires_ms,
        stalled: job.stalled,
    }
}

pub(crate) fn control(kind: protocol::ControlKind) -> keeper::ControlKind {
    match kind {
        protocol::ControlKind::Signal(number) => keeper::ControlKind::Signal(number),
        protocol::ControlKind::Resize(rows, columns, x, y) => {
            keeper::ControlKind::Resize(rows, columns, x, y)
        }
        protocol::ControlKind::Stop(stream) => keeper::ControlKind::Stop(stream),
        protocol::ControlKind::Cancel(grace_ms) => keeper::ControlKind::Cancel(grace_ms),
    }
}

pub(crate) fn refused(code: keeper::RefusedCode) -> protocol::RefusedCode {
    match code {
        keeper::RefusedCode::Malformed => protocol::RefusedCode::Malformed,
        keeper::RefusedCode::Jobs => protocol::RefusedCode::Jobs,
        keeper::RefusedCode::LogPool => protocol::RefusedCode::LogPool,
        keeper::RefusedCode::NoSuchJob => protocol::RefusedCode::NoSuchJob,
        keeper::RefusedCode::OtherCommand => protocol::RefusedCode::OtherCommand,
        keeper::RefusedCode::Unknown => protocol::RefusedCode::Unknown,
        keeper::RefusedCode::NotAllowed => protocol::RefusedCode::NotAllowed,
        keeper::RefusedCode::ShuttingDown => protocol::RefusedCode::ShuttingDown,
        keeper::RefusedCode::Unsupported => protocol::RefusedCode::Unsupported,
        keeper::RefusedCode::Failure => protocol::RefusedCode::ServerFailure,
    }
}

pub(crate) fn exit(exit: keeper::Exit) -> protocol::Exit {
    match exit {
        keeper::Exit::Code(code) => protocol::Exit::Exited(code),
        keeper::Exit::Signal(number, core) => protocol::Exit::Signaled(number, core),
    }
}

pub(crate) fn outcome(outcome: keeper::Outcome) -> protocol::Outcome {
    protocol::Outcome {
        status: match outcome.status {
            keeper::Status::Ended(keeper::Exit::Code(code)) => protocol::Status::Exited(code),
            keeper::Status::Ended(keeper::Exit::Signal(number, core)) => {
                protocol::Status::Signaled(number, core)
            }
            keeper::Status::NotStarted(stage, errno, path) => {
                protocol::Status::NotStarted(stage, errno, path)
            }
            keeper::Status::Unknown => protocol::Status::Unknown,
        },
        cause: match outcome.cause {
            keeper::Cause::Itself => protocol::Cause::Itself,
            keeper::Cause::Deadline => protocol::Cause::Deadline,
            keeper::Cause::Cancelled(by) => protocol::Cause::Cancelled(by),
            keeper::Cause::LineDropped => protocol::Cause::LineDropped,
            keeper::Cause::ServerEnded => protocol::Cause::ServerEnded,
            keeper::Cause::OutOfMemory => protocol::Cause::OutOfMemory,
        },
        stdin: digest(outcome.stdin),
        stdout: digest(outcome.stdout),
        stderr: digest(outcome.stderr),
        holders: outcome.holders,
        lingering: outcome.lingering,
        exact: outcome.exact,
        duration_ms: outcome.duration_ms,
        cpu_us: outcome.cpu_us,
    }
}

fn digest(digest: keeper::Digest) -> protocol::DigestMessage {
    protocol::DigestMessage {
        bytes: digest.bytes,
        checksum: digest.checksum,
        complete: digest.complete,
    }
}
