//! A login that is still to be answered, and the command that goes with it.

use std::pin::pin;

use redial_net::proto::JobId;

use crate::client::Client;
use crate::command::Command;
use crate::error::{ConnectError, Lost, StartError};
use crate::job::Job;
use crate::network::{Answer, Entering};

/// A client whose server has said hello, and may be yet to say that we are in.
#[derive(Debug)]
pub struct PendingLogin {
    client: Client,
    entering: Option<Entering>,
}

/// A command that goes with a login was not started, or nobody knows.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// The server does not let us in. Nothing ran.
    #[error(transparent)]
    Connect(Box<ConnectError>),
    /// As without a login.
    #[error(transparent)]
    Start(StartError),
}

/// One that is in already.
impl From<Client> for PendingLogin {
    fn from(client: Client) -> Self {
        PendingLogin::new(client, None)
    }
}

impl PendingLogin {
    pub(crate) fn new(client: Client, entering: Option<Entering>) -> Self {
        PendingLogin { client, entering }
    }

    /// The connection. Nothing that it is asked for is answered before the login is.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Says who we are, if that is still to be said, and with it starts a command, as
    /// [`Client::start_as`] does. A line that drops meanwhile is dialled again, as behind any start.
    ///
    /// # Errors
    ///
    /// [`BeginError::Connect`] if the server does not let us in, or has said goodbye instead: nothing ran.
    /// Else as there. Where the time for connecting is over before the answer to the login has come, whether the
    /// command started is not known ([`StartError::Lost`]).
    pub async fn start_as(self, id: JobId, command: Command) -> Result<Job, BeginError> {
        let PendingLogin { client, entering } = self;
        let mut started = pin!(client.start_as(id, command));
        let Some(mut entering) = entering else {
            return started.await.map_err(BeginError::Start);
        };
        // The command is asked for first: the login waits for that.
        let started = tokio::select! {
            biased;
            started = &mut started => match started {
                Ok(job) => return Ok(job),
                Err(error) => (entering.answer().await, Err(error)),
            },
            answer = entering.answer() => match answer {
                Answer::In | Answer::Gone => (answer, started.await),
                Answer::Denied(_) | Answer::OutOfTime => (answer, Err(too_late(id))),
            },
        };
        match started {
            (_, Ok(job)) => Ok(job),
            // Why nobody was let in says more.
            (Answer::Denied(denied), Err(_)) => Err(BeginError::Connect(Box::new(denied))),
            (Answer::Gone, Err(StartError::NotSent { reason, .. })) => {
                Err(BeginError::Connect(Box::new(entering.hung_up(reason))))
            }
            (_, Err(error)) => Err(BeginError::Start(error)),
        }
    }
}

fn too_late(job: JobId) -> StartError {
    StartError::Lost {
        job,
        reason: Lost::because("the server does not answer to the login"),
    }
}
