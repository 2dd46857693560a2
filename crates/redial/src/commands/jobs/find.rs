//! Which job a name means.

use redial_client::{Client, JobId, JobInfo, Place, QueryError};

use super::Failure;
use crate::settings::JobName;

/// Named in an error, at most.
const SHOWN: usize = 4;

/// The one job whose name begins like that.
pub(in crate::commands) async fn find(client: &Client, name: &JobName) -> Result<JobId, Failure> {
    if let Ok(id) = name.prefix.parse() {
        return Ok(id);
    }
    Ok(find_info(client, name).await?.id)
}

/// The place in a job's outputs as they are: where one of them is shorter, its end.
pub(in crate::commands) fn within(place: Place, info: &JobInfo) -> Place {
    match place {
        Place::At(at) => Place::At([0, 1].map(|index| at[index].min(info.bytes[index]))),
        other => other,
    }
}

/// The same, with what is known of it.
pub(in crate::commands) async fn find_info(
    client: &Client,
    name: &JobName,
) -> Result<JobInfo, Failure> {
    let (target, prefix) = (&name.way.target, &name.prefix);
    let failed = |error: QueryError| Failure::Query(target.clone(), error);
    let mut found = client.jobs(prefix).await.map_err(failed)?;
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => {
            let text = format!("has no job {prefix}; 'redial ps {target}' lists them");
            Err(Failure::Name(target.clone(), text))
        }
        count => {
            let names = found.iter().take(SHOWN).map(|job| job.id.to_string());
            let names = names.collect::<Vec<_>>().join(", ");
            let rest = if count > SHOWN { ", …" } else { "" };
            let text = format!("has {count} jobs that begin with {prefix}: {names}{rest}");
            Err(Failure::Name(target.clone(), text))
        }
    }
}
