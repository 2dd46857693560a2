//! `redial wait`: until a job has ended.

use redial_client::{AttachOptions, JobEvent, Output};

use super::{Failure, block_on, connect, find};
use crate::exit_code;
use crate::interrupt::Interrupts;
use crate::json::OutcomeLine;
use crate::report;
use crate::settings::JobName;
use crate::sinks::write_all;

/// Waits; the result is the job's exit code, as of 'redial run'.
pub(crate) fn wait(name: &JobName, json: bool) -> u8 {
    block_on(async {
        let mut interrupts =
            Interrupts::listen().map_err(|error| Failure::Here("cannot hear signals", error))?;
        tokio::select! {
            code = until_ended(name, json) => code,
            (_, signal) = interrupts.next() => Err(Failure::Interrupted(signal)),
        }
    })
}

async fn until_ended(name: &JobName, json: bool) -> Result<u8, Failure> {
    let target = &name.way.target;
    let client = connect(&name.way).await?;
    let id = find(&client, name).await?;
    let options = AttachOptions::default().outcome_only(true);
    let attached = client.attach(id, &options).await;
    let mut job = attached.map_err(|error| Failure::Start(target.clone(), error))?;
    let outcome = loop {
        match job.next().await {
            Some(Ok(JobEvent::Ended(outcome))) => break outcome,
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(Failure::Job(target.clone(), error)),
            None => {
                return Err(Failure::Name(
                    target.clone(),
                    "has said no outcome".to_owned(),
                ));
            }
        }
    };
    let verdict = exit_code::verdict(&outcome, None, None);
    if json {
        let line = OutcomeLine::of(target.to_string(), id, &outcome, &verdict);
        let mut text = Vec::new();
        line.event().write(&mut text);
        write_all(Output::Stdout, &[text]).map_err(|error| Failure::Here("cannot write", error))?;
    }
    if let Some(reason) = verdict.reason {
        report::error(reason);
    }
    client.close().await;
    Ok(verdict.code)
}
