//! `redial rm`: forgets ended jobs.

use std::time::Duration;

use redial_client::{AttachOptions, Client, JobEvent, JobId, Output, QueryError, Target};
use serde::Serialize;

use super::{Failure, block_on, connect, find};
use crate::exit_code::FAILED;
use crate::json::Event;
use crate::report;
use crate::settings::JobName;
use crate::sinks::write_all;

/// Removes them; the result is our exit code.
pub(crate) fn rm(names: &[JobName], force: bool, json: bool) -> u8 {
    for_each(names, json, async |client: &Client, id: JobId| {
        if force {
            end(client, id).await;
        }
        client.remove_job(id).await
    })
}

/// Ends it, and waits for that. What cannot be done is said by what comes after.
async fn end(client: &Client, id: JobId) {
    if client.cancel_job(id, Duration::ZERO).await.is_err() {
        return;
    }
    let options = AttachOptions::default().outcome_only(true);
    let Ok(mut job) = client.attach(id, &options).await else {
        return;
    };
    while let Some(Ok(event)) = job.next().await {
        if matches!(event, JobEvent::Ended(_)) {
            return;
        }
    }
}

/// What was done to a job, in `--json`.
#[derive(Debug, Serialize)]
struct DoneLine {
    host: String,
    job: String,
    done: bool,
    error: Option<String>,
}

/// Does it to each, one after the other; one that fails is said, and the others are done.
pub(super) fn for_each(
    names: &[JobName],
    json: bool,
    work: impl AsyncFn(&Client, JobId) -> Result<(), QueryError>,
) -> u8 {
    block_on(async {
        let (mut code, mut last): (u8, Option<(Target, Client)>) = (0, None);
        for name in names {
            let target = &name.way.target;
            // Names of one host mostly follow each other.
            let client = match last.take().filter(|(known, _)| known == target) {
                Some((_, client)) => client,
                None => connect(&name.way).await?,
            };
            let result = one(&client, name, &work).await;
            if json {
                let line = DoneLine {
                    host: target.to_string(),
                    job: match &result {
                        Ok(id) => id.to_string(),
                        Err(_) => name.prefix.clone(),
                    },
                    done: result.is_ok(),
                    error: result.as_ref().err().map(ToString::to_string),
                };
                write_all(Output::Stdout, &[Event::line(&line)])
                    .map_err(|error| Failure::Here("cannot write", error))?;
            }
            if let Err(failure) = result {
                report::error(format_args!("{failure}"));
                code = FAILED;
            }
            last = Some((target.clone(), client));
        }
        Ok(code)
    })
}

async fn one(
    client: &Client,
    name: &JobName,
    work: impl AsyncFn(&Client, JobId) -> Result<(), QueryError>,
) -> Result<JobId, Failure> {
    let id = find(client, name).await?;
    let failed = |error| {
        let of_job = QueryError::Unsendable(format!("job {}: {error}", name.prefix));
        Failure::Query(name.way.target.clone(), of_job)
    };
    work(client, id).await.map_err(failed)?;
    Ok(id)
}
