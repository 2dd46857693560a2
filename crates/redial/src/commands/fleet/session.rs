//! What a run has on disk, and how far it has come.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redial_client::{JobId, SentBefore, new_job_id};
use redial_fleet::history::{History, HistoryError, Run, now_ms};
use redial_fleet::outputs::Digests;
use redial_fleet::record::{Ending, Header, Line, Record, VERSION, Word, digest_of, unhex};
use redial_fleet::{Earlier, End, JobIds, Journal};

use super::roll::LEFT_RUNNING;
use crate::report;
use crate::settings::FleetSettings;

/// Clocks may have been set since: so much longer ago a start is said to be than it was.
const DOUBT: Duration = Duration::from_secs(300);

/// See the module.
pub(crate) struct Session {
    /// None if it cannot be written: the run goes on without.
    run: Option<Arc<Run>>,
    pub(super) id: Option<String>,
    pub(super) ids: JobIds,
    /// As an earlier client has left it.
    pub(super) record: Record,
}

/// Writes nothing down.
struct Nowhere;

impl Journal for Nowhere {
    fn sent(&self, _: usize, _: [u8; 16]) -> io::Result<()> {
        Ok(())
    }
}

impl Session {
    /// A new run of this command line. One that cannot be written down runs all the same; why not, is
    /// the second.
    ///
    /// # Errors
    ///
    /// There are no random numbers.
    pub(crate) fn new(
        history: Result<History, String>,
        settings: &FleetSettings,
        argv: Vec<Word>,
        stdin: Option<&[u8]>,
    ) -> Result<(Self, Option<String>), String> {
        let first = new_job_id().map_err(|error| error.to_string())?;
        let written = history.and_then(|history| {
            let mut header = header(settings, argv, first)?;
            let run = history.create(&mut header, stdin);
            run.map(|run| (run, header.id))
                .map_err(|error| error.to_string())
        });
        let (run, id, why) = match written {
            Ok((run, id)) => (Some(Arc::new(run)), Some(id), None),
            Err(why) => (None, None, Some(why)),
        };
        let session = Session {
            run,
            id,
            ids: JobIds(first),
            record: Record::default(),
        };
        session.note(&client());
        Ok((session, why))
    }

    /// Goes on with a run.
    ///
    /// # Errors
    ///
    /// Somebody else does, or it is not there.
    pub(crate) fn resume(history: &History, header: &Header) -> Result<Self, HistoryError> {
        let run = history.open(&header.id)?;
        let malformed = || HistoryError::Name(format!("run {}: its job has no name", header.id));
        let first: JobId = header.first_job.parse().map_err(|_| malformed())?;
        let record = history.record(&header.id)?;
        let is_over = (0..header.hosts.len()).all(|host| record.kind(host).is_over());
        // A client that did not come to its end may not have shown all of it.
        if is_over && record.code.is_some() {
            return Err(HistoryError::Name(over(&header.id, &record)));
        }
        let mended = run.mend();
        mended.map_err(|error| HistoryError::Name(format!("run {}: {error}", header.id)))?;
        let session = Session {
            run: Some(Arc::new(run)),
            id: Some(header.id.clone()),
            ids: JobIds(first),
            record,
        };
        session.note(&client());
        Ok(session)
    }

    pub(super) fn journal(&self) -> Arc<dyn Journal> {
        match &self.run {
            Some(run) => Arc::clone(run) as Arc<dyn Journal>,
            None => Arc::new(Nowhere),
        }
    }

    /// Where outputs are put that memory does not hold.
    pub(super) fn outputs(&self) -> Option<std::path::PathBuf> {
        self.run.as_ref().map(|run| run.outputs())
    }

    /// Hosts that have not ended.
    pub(super) fn open(&self, hosts: usize) -> Vec<usize> {
        let is_open = |host: &usize| !self.record.kind(*host).is_over();
        (0..hosts).filter(is_open).collect()
    }

    /// Those that have, with their outputs, in the order in which they did.
    pub(super) fn ended(&self) -> Vec<(usize, Digests)> {
        // Of a host that has ended more than once, the last: that is when the command had.
        let mut seen = HashSet::new();
        let over = self.record.ended.iter().rev();
        let over = over.filter(|(host, _)| self.record.kind(*host).is_over() && seen.insert(*host));
        let mut over: Vec<_> = over.collect();
        over.reverse();
        let digest = |(len, sum): &(u64, String)| unhex(sum).map(|sum| (*len, sum));
        let ended = over.into_iter().map(|(host, outputs)| {
            let [out, err] = match outputs {
                Some([out, err]) => [digest(out), digest(err)],
                None => [None, None],
            };
            (*host, [out, err])
        });
        ended.collect()
    }

    /// What was sent to a host, if anything was; `from` is up to where there are outputs of it.
    pub(super) fn earlier(&self, host: usize, from: Option<[u64; 2]>) -> Option<Earlier> {
        let sent = self.record.sent.get(&host)?;
        let ago = Duration::from_millis(now_ms().saturating_sub(sent.at));
        Some(Earlier {
            sent: SentBefore {
                ago: ago.saturating_add(DOUBT),
                instance: sent.to,
            },
            from,
        })
    }

    /// Writes down how a host has ended.
    pub(super) fn ended_now(&self, host: usize, end: &End, ending: Ending) {
        let outputs = match end {
            End::Outcome(outcome) if outcome.stdout.complete && outcome.stderr.complete => {
                Some([digest_of(&outcome.stdout), digest_of(&outcome.stderr)])
            }
            _ => None,
        };
        self.note(&Line::Ended {
            host: u32::try_from(host).unwrap_or(u32::MAX),
            ending,
            outputs,
        });
    }

    /// It certainly did not start there, and is to be tried again.
    pub(super) fn not_started(&self, host: usize) {
        let host = u32::try_from(host).unwrap_or(u32::MAX);
        self.note(&Line::NotStarted { host });
    }

    /// What a host wrote is shown: to be called when it is.
    pub(super) fn shown(&self, host: usize) -> impl FnOnce() + Send + 'static {
        let (run, host) = (self.run.clone(), u32::try_from(host).unwrap_or(u32::MAX));
        move || note(run.as_ref(), &Line::Shown { host })
    }

    /// This client is done; with all hosts, if `is_whole`: then nobody needs their outputs any more.
    pub(super) fn over(&self, code: u8, is_whole: bool) {
        self.note(&Line::Over { code, at: now_ms() });
        if let Some(run) = self.run.as_ref().filter(|_| is_whole) {
            run.forget_outputs();
        }
    }

    fn note(&self, line: &Line) {
        note(self.run.as_ref(), line);
    }
}

/// What cannot be written is missed by whoever goes on with the run: that is said once.
fn note(run: Option<&Arc<Run>>, line: &Line) {
    static SAID: AtomicBool = AtomicBool::new(false);
    if let Some(Err(error)) = run.map(|run| run.note(line))
        && !SAID.swap(true, Ordering::Relaxed)
    {
        report::note(format_args!(
            "the journal of this run cannot be written ({error}): to resume it may call unknown what has ended"
        ));
    }
}

/// There is nothing to go on with.
fn over(id: &str, record: &Record) -> String {
    let is_left = |ending: &Ending| ending.how == LEFT_RUNNING;
    match record.endings.values().any(is_left) {
        true => format!(
            "run {id} has left its jobs running (--detach); 'redial history show --json {id}' names them for \
             'redial attach HOST/JOB' and 'redial wait'"
        ),
        false => format!(
            "run {id}: the command has ended on every host; 'redial history rerun {id}' runs it again"
        ),
    }
}

fn client() -> Line {
    Line::Client {
        pid: std::process::id(),
        at: now_ms(),
    }
}

fn header(settings: &FleetSettings, argv: Vec<Word>, first: JobId) -> Result<Header, String> {
    let directory = std::env::current_dir().map_err(|error| error.to_string())?;
    Ok(Header {
        version: VERSION,
        id: String::new(),
        began: now_ms(),
        argv,
        directory: std::os::unix::ffi::OsStringExt::into_vec(directory.into_os_string()).into(),
        settled: settings.work.settled(),
        first_job: first.to_string(),
        hosts: settings.hosts.names().to_vec(),
    })
}
