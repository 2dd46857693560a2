//! Commands about jobs on a host: ps, logs, wait, kill, rm. (attach is a run of another kind.)

mod find;
mod kill;
mod listing;
mod logs;
mod ps;
mod rm;
mod upgrade;
mod wait;

use redial_client::{Client, ConnectError, JobError, QueryError, StartError, Target};

use crate::exit_code::FAILED;
use crate::report;
use crate::settings::Way;

pub(super) use find::{find, find_info, within};
pub(crate) use kill::{Blow, kill};
pub(crate) use logs::{Wanted, logs};
pub(crate) use ps::{Form, ps};
pub(crate) use rm::rm;
pub(crate) use upgrade::upgrade;
pub(crate) use wait::wait;

/// Why a command about jobs failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("{0:#} {1}")]
    Query(Target, QueryError),
    #[error("{0:#} {1}")]
    Start(Target, StartError),
    #[error("{0:#} {1}")]
    Job(Target, JobError),
    #[error("{0:#} {1}")]
    Name(Target, String),
    #[error("{0}: {1}")]
    Here(&'static str, std::io::Error),
    #[error("nobody reads this")]
    Unread,
    #[error("interrupted by signal {0}")]
    Interrupted(u8),
}

/// Runs it to its end; a failure is said, and its exit code is ours.
pub(super) fn block_on(work: impl Future<Output = Result<u8, Failure>>) -> u8 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => Err(Failure::Here("cannot start", error)),
    };
    ended.unwrap_or_else(|failure| match failure {
        Failure::Interrupted(signal) => crate::exit_code::interrupted(signal),
        // Whoever reads us has seen enough.
        Failure::Unread => 0,
        failure => {
            report::error(format_args!("{failure}"));
            FAILED
        }
    })
}

/// A list could not be written: no failure if it is only that nobody reads it.
fn cannot_list(error: std::io::Error) -> Failure {
    match error.kind() {
        std::io::ErrorKind::BrokenPipe => Failure::Unread,
        _ => Failure::Here("cannot write", error),
    }
}

async fn connect(way: &Way) -> Result<Client, Failure> {
    Ok(Client::connect(&way.target, way.options()).await?)
}
