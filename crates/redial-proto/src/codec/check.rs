//! The range of every value in a message (PROTOCOL.md sections 4 and 8).

use alloc::string::String;

use crate::limits;
use crate::message::{
    Answer, AnswerKind, Applied, Attach, Attached, Authenticate, Authenticated, Cause, ClientHello,
    Close, Control, ControlKind, Exited, Goodbye, Holder, JobEntry, LimitsMessage, Missed, Outcome,
    Query, QueryKind, Refused, Resources, ServerHello, Start, Status,
};

/// Says what is out of its range.
pub(crate) trait Check {
    fn check(&self) -> Result<(), &'static str> {
        Ok(())
    }
}

impl Check for ClientHello {
    fn check(&self) -> Result<(), &'static str> {
        need(self.min_version <= self.max_version, "no version is spoken")?;
        features(&self.features)?;
        self.limits.check()?;
        agent(&self.agent)
    }
}

impl Check for ServerHello {
    fn check(&self) -> Result<(), &'static str> {
        features(&self.features)?;
        self.limits.check()?;
        agent(&self.agent)
    }
}

impl Check for LimitsMessage {
    fn check(&self) -> Result<(), &'static str> {
        let payload = limits::PAYLOAD_MIN_BYTES..=limits::PAYLOAD_MAX_BYTES;
        let start = limits::START_MIN_BYTES..=limits::START_MAX_BYTES;
        need(
            payload.contains(&self.max_payload),
            "payload limit out of range",
        )?;
        need(self.channels >= 1, "no channels")?;
        need(
            start.contains(&self.start_bytes),
            "start limit out of range",
        )?;
        need(
            self.keepalive_ms == 0 || self.keepalive_ms >= limits::KEEPALIVE_MIN_MS,
            "keepalive interval too short",
        )
    }
}

impl Check for Authenticate {
    fn check(&self) -> Result<(), &'static str> {
        text(&self.user)?;
        need(self.keys.len() <= limits::KEYS_MAX, "too many keys")
    }
}

impl Check for Authenticated {
    fn check(&self) -> Result<(), &'static str> {
        need(self.result <= 2, "no such result")?;
        let acceptable = self.acceptable.as_ref().map_or(0, |keys| keys.len());
        need(acceptable <= limits::KEYS_MAX, "too many keys")?;
        self.reason.as_ref().map_or(Ok(()), |reason| text(reason))
    }
}

impl Check for Goodbye {
    fn check(&self) -> Result<(), &'static str> {
        text(&self.text)
    }
}

impl Check for Start {
    fn check(&self) -> Result<(), &'static str> {
        let arguments = self.argv.as_ref().map_or(0, |argv| argv.len());
        let variables = self.env.as_ref().map_or(0, |env| env.len());
        need(
            arguments.saturating_add(variables) <= limits::START_ITEMS_MAX,
            "too many arguments and variables",
        )?;
        self.resources.as_ref().map_or(Ok(()), Check::check)
    }
}

impl Check for Resources {
    fn check(&self) -> Result<(), &'static str> {
        need(self.memory != Some(0), "no memory at all")?;
        let cpu = self.cpu_milli.unwrap_or(limits::CPU_MIN_MILLI);
        need(cpu >= limits::CPU_MIN_MILLI, "less than 0.01 of a core")?;
        need(self.pids != Some(0), "no process at all")?;
        need(self.nice.unwrap_or(0) <= 19, "niceness above 19")
    }
}

impl Check for Control {
    fn check(&self) -> Result<(), &'static str> {
        need(self.number >= 1, "controls are numbered from 1")?;
        match self.kind {
            ControlKind::Stop(stream) => output(stream),
            ControlKind::Signal(_) | ControlKind::Resize(..) | ControlKind::Cancel(_) => Ok(()),
        }
    }
}

impl Check for Missed {
    fn check(&self) -> Result<(), &'static str> {
        output(self.stream)?;
        need(self.from < self.to, "nothing was missed")
    }
}

impl Check for Refused {
    fn check(&self) -> Result<(), &'static str> {
        text(&self.text)
    }
}

impl Check for Outcome {
    fn check(&self) -> Result<(), &'static str> {
        if let Status::NotStarted(stage, _, path) = &self.status {
            text(stage)?;
            need(path.len() <= limits::PATH_MAX_BYTES, "path too long")?;
        }
        if let Cause::Cancelled(by) = &self.cause {
            text(by)?;
        }
        need(
            self.holders.len() <= limits::HOLDERS_MAX,
            "too many holders",
        )?;
        let longest = self.holders.iter().map(|(_, name)| name.len()).max();
        need(
            longest.unwrap_or(0) <= limits::HOLDER_NAME_MAX_BYTES,
            "name of a process too long",
        )
    }
}

impl Check for Query {
    fn check(&self) -> Result<(), &'static str> {
        match &self.kind {
            QueryKind::List(prefix, after) => {
                text(prefix)?;
                need(matches!(after.len(), 0 | 16), "not an id to list behind")
            }
            QueryKind::Signal(..)
            | QueryKind::Cancel(..)
            | QueryKind::Remove(_)
            | QueryKind::Upgrade(_) => Ok(()),
        }
    }
}

impl Check for Answer {
    fn check(&self) -> Result<(), &'static str> {
        match &self.kind {
            AnswerKind::Jobs(jobs, _) => jobs.iter().try_for_each(JobEntry::check),
            AnswerKind::Done => Ok(()),
        }
    }
}

impl Check for JobEntry {
    fn check(&self) -> Result<(), &'static str> {
        text(&self.user)?;
        text(&self.command)?;
        self.stalled.as_deref().map_or(Ok(()), text)?;
        self.outcome.as_ref().map_or(Ok(()), Outcome::check)
    }
}

// Any value of these is in range.
impl Check for Attach {}
impl Check for Attached {}
impl Check for Close {}
impl Check for Applied {}
impl Check for Exited {}
impl Check for Holder {}

fn need(good: bool, otherwise: &'static str) -> Result<(), &'static str> {
    if good { Ok(()) } else { Err(otherwise) }
}

fn text(text: &str) -> Result<(), &'static str> {
    need(text.len() <= limits::TEXT_MAX_BYTES, "text too long")
}

fn agent(agent: &str) -> Result<(), &'static str> {
    need(agent.len() <= limits::AGENT_MAX_BYTES, "agent too long")
}

fn features(features: &[String]) -> Result<(), &'static str> {
    need(features.len() <= limits::FEATURES_MAX, "too many features")?;
    let longest = features.iter().map(String::len).max().unwrap_or(0);
    need(
        longest <= limits::FEATURE_MAX_BYTES,
        "name of a feature too long",
    )
}

fn output(stream: u8) -> Result<(), &'static str> {
    need(matches!(stream, 1 | 2), "not an output stream")
}
