//! How a job begins for us: started, left running, or attached to.

use redial_client::{
    AttachOptions, BeginError, Client, Job, JobError, JobEvent, Output, PendingLogin, Place,
    new_job_id,
};

use super::fate::Fate;
use super::{Failure, line, say_left};
use crate::commands::jobs;
use crate::exit_code::{self, FAILED};
use crate::interrupt::{Interrupts, Step};
use crate::json::{self, Event, OutcomeLine};
use crate::report;
use crate::settings::{Program, RunSettings};
use crate::sinks::write_all;

/// Starts the command. Once that is asked for, it may run: whoever interrupts is heard,
/// and the last step is for the job when there is one. The third leaves before that.
pub(super) async fn start(
    login: PendingLogin,
    settings: &RunSettings,
    interrupts: &mut Interrupts,
) -> Result<(Job, Option<Step>), Failure> {
    let failed = |error| Failure::Start(settings.way.target.clone(), error);
    let Some(command) = settings.work.command() else {
        return Ok((attach(login.client(), settings, interrupts).await?, None));
    };
    let id = new_job_id().map_err(failed)?;
    let client = login.client().clone();
    let started = login.start_as(id, command);
    tokio::pin!(started);
    let mut last = None;
    loop {
        tokio::select! {
            job = &mut started => return match job {
                Ok(job) => Ok((job, last)),
                Err(BeginError::Connect(error)) => Err(error.into()),
                Err(BeginError::Start(error)) => Err(failed(error)),
            },
            (step, signal) = interrupts.next() => {
                if step == Step::Leave {
                    say_left(id, &settings.way.target, Fate::of(&client, settings));
                    return Err(Failure::Left(id, signal));
                }
                last = Some(step);
            }
        }
    }
}

/// Attaches to what runs already. Nothing of it is ours yet, so whoever interrupts wants us to end.
async fn attach(
    client: &Client,
    settings: &RunSettings,
    interrupts: &mut Interrupts,
) -> Result<Job, Failure> {
    let Program::Job { name, take, from } = &settings.work.program else {
        return Err(Failure::Name("there is no job to attach to".to_owned()));
    };
    let attached = async {
        let named = |failure: jobs::Failure| Failure::Name(failure.to_string());
        let (id, from) = match from {
            Place::At(_) => {
                let info = jobs::find_info(client, name).await.map_err(named)?;
                (info.id, jobs::within(*from, &info))
            }
            _ => (jobs::find(client, name).await.map_err(named)?, *from),
        };
        let options = AttachOptions::default()
            .take(*take)
            .from(from)
            .manual_acknowledge(true);
        let failed = |error| Failure::Start(settings.way.target.clone(), error);
        client.attach(id, &options).await.map_err(failed)
    };
    tokio::select! {
        job = attached => job,
        (_, signal) = interrupts.next() => Err(Failure::Interrupted(signal)),
    }
}

/// Prints the name of a job that runs, and leaves it; the result is our exit code. One that could
/// not be started is over, and is told as always.
pub(super) async fn detach(settings: &RunSettings, mut job: Job) -> u8 {
    let target = &settings.way.target;
    let line = match begun(&mut job).await {
        Some(Ok(JobEvent::Attached { pid, exact, .. })) => {
            let mut text = Vec::new();
            if settings.json {
                Event::started(job.id(), target.to_string(), pid, exact).write(&mut text);
            } else {
                text = format!("{target}/{}\n", job.id()).into_bytes();
            }
            let Err(error) = write_all(Output::Stdout, &[text]) else {
                return 0;
            };
            report::error(format_args!(
                "job {} runs; cannot write its name: {error}",
                job.id()
            ));
            return FAILED;
        }
        Some(Ok(JobEvent::Ended(outcome))) => {
            let verdict = exit_code::verdict(&outcome, None, settings.work.deadline);
            let line = OutcomeLine::of(target.to_string(), job.id(), &outcome, &verdict);
            if let Some(reason) = verdict.reason {
                report::error(reason);
            }
            (line, verdict.code)
        }
        Some(Err(error)) => {
            report::error(format_args!("{target:#} {error}"));
            let (kind, _) = json::kind(&error);
            let host = target.to_string();
            (
                OutcomeLine::failed(host, Some(job.id()), kind, error.to_string()),
                FAILED,
            )
        }
        _ => {
            report::error(format_args!("{target:#} nothing was said of the job"));
            return FAILED;
        }
    };
    if settings.json {
        line::print(&line.0.event());
    }
    line.1
}

/// The first that is said of the job itself: the line may drop and be back before that.
async fn begun(job: &mut Job) -> Option<Result<JobEvent, JobError>> {
    loop {
        match job.next().await {
            Some(Ok(JobEvent::LineDropped { .. } | JobEvent::LineBack { .. })) => {}
            said => return said,
        }
    }
}
