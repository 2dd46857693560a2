//! What happens in a run.

use std::fmt;
use std::time::Duration;

use redial_client::{
    Bytes, ConnectError, Exit, JobError, JobHandle, JobId, Lost, Outcome, Output, StartError,
};

/// What happened, and on which host.
#[derive(Debug)]
pub struct Event {
    /// The host's number; none if it is about the run.
    pub host: Option<usize>,
    /// What.
    pub what: What,
}

impl Event {
    pub(super) fn of(host: usize, what: What) -> Self {
        Event {
            host: Some(host),
            what,
        }
    }
}

/// See [`Event`].
#[derive(Debug)]
pub enum What {
    /// It is dialled.
    Connecting,
    /// The command did not start there, and the host is tried again later.
    Again {
        /// Why it did not.
        why: String,
    },
    /// It runs.
    Running {
        /// Its job.
        job: JobHandle,
        /// Its process id there.
        pid: u32,
        /// Whether a cancel will reach its whole tree.
        exact: bool,
    },
    /// It wrote this.
    Data {
        /// Where to.
        stream: Output,
        /// Absolute position of the first byte.
        offset: u64,
        /// The bytes.
        bytes: Bytes,
        /// To be given back when they are where they belong.
        receipt: Receipt,
    },
    /// The line has dropped; it is dialled again.
    Dropped(Lost),
    /// It is there again, after so long.
    Back(Duration),
    /// Bytes of an output are gone on the server.
    Missed {
        /// Which output.
        stream: Output,
        /// Offset of the first.
        from: u64,
        /// Offset behind the last.
        to: u64,
    },
    /// Its process has exited; output may still follow.
    Exited(Exit),
    /// It is over on this host: the last event of it.
    Ended(End),
    /// The time for all of it has passed: what runs is ended.
    TotalDeadline,
}

/// Tells a server that bytes are written, so that it may send more.
#[derive(Debug, Clone)]
pub struct Receipt {
    pub(super) job: JobHandle,
    pub(super) stream: Output,
    pub(super) up_to: u64,
}

impl Receipt {
    /// All up to the last of these bytes are where they belong.
    pub fn give(&self) {
        self.job.acknowledge(self.stream, self.up_to);
    }

    /// The same for all but so many of the last of these bytes.
    pub fn but(self, bytes: usize) -> Self {
        Receipt {
            up_to: self.up_to.saturating_sub(bytes as u64),
            ..self
        }
    }

    /// Nobody reads this output any more: the command gets SIGPIPE when it writes more.
    pub fn refuse(&self) {
        // If the job is over, there is nobody to tell.
        let _ = self.job.stop(self.stream);
        self.give();
    }
}

/// How it ended on a host.
#[derive(Debug)]
pub enum End {
    /// As the outcome says.
    Outcome(Box<Outcome>),
    /// It runs on, as it was asked for.
    Detached(JobId),
    /// There is no connection. Nothing ran.
    Unreached(Box<ConnectError>),
    /// The way to it is not known. Nothing ran.
    Nowhere(String),
    /// It was not started. Nothing ran, unless the answer was lost.
    Start(StartError),
    /// What ran is lost, or what came is not what was written.
    Job(JobError),
    /// That it is asked for cannot be written down. Nothing ran.
    Journal(String),
    /// The run was halted before it was asked for. Nothing ran.
    Halted,
    /// We have left it; its drop policy decides.
    Left(JobId),
    /// A fault of ours; what became of the command is not known.
    Broken(String),
}

impl End {
    /// Whether it did what it should.
    pub fn is_success(&self) -> bool {
        match self {
            End::Outcome(outcome) => outcome.is_success(),
            End::Detached(_) => true,
            _ => false,
        }
    }

    /// Whether the command certainly has not run.
    pub fn did_not_start(&self) -> bool {
        match self {
            End::Unreached(_) | End::Nowhere(_) | End::Journal(_) | End::Halted => true,
            End::Start(error) => !matches!(error, StartError::Lost { .. }),
            End::Outcome(_) | End::Detached(_) | End::Job(_) | End::Left(_) | End::Broken(_) => {
                false
            }
        }
    }

    /// Whether what kept it from starting may be otherwise in a while.
    pub fn may_pass(&self) -> bool {
        match self {
            End::Unreached(error) => error.may_pass(),
            End::Start(error) => error.may_pass(),
            _ => false,
        }
    }

    /// Why it did not do what it should, in a few words that are the same for each host it happens to.
    pub fn brief(&self) -> String {
        match self {
            End::Unreached(error) => error.brief(),
            End::Start(error) => error.brief(),
            End::Job(error) => error.brief(),
            End::Left(_) => "it may still run".to_owned(),
            _ => self.to_string(),
        }
    }

    /// The outcome, where there is one.
    pub fn outcome(&self) -> Option<&Outcome> {
        match self {
            End::Outcome(outcome)
            | End::Job(
                JobError::Incomplete { outcome, .. } | JobError::OtherStdin { outcome, .. },
            ) => Some(outcome),
            _ => None,
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Outcome(outcome) => outcome.status.fmt(f),
            End::Detached(job) => write!(f, "job {job} runs"),
            End::Unreached(error) => error.fmt(f),
            End::Start(error) => error.fmt(f),
            End::Job(error) => error.fmt(f),
            End::Journal(why) => write!(f, "cannot write the journal of this run: {why}"),
            End::Halted => f.write_str("the run was ended before it began there"),
            End::Left(job) => write!(f, "left job {job}; it may still run"),
            End::Nowhere(why) | End::Broken(why) => f.write_str(why),
        }
    }
}
