//! What becomes of processes when we end: a private server ends with us, others stay.

use std::borrow::Cow;

use redial_client::{Client, OnDrop, Target};

use crate::settings::RunSettings;

/// What happens to what is left of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It stays, as with ssh; a job by its policy.
    Stays,
    /// The private server ends it.
    EndsWithServer,
    /// So it does, but there is no cgroup that would name every process.
    EndsWhereFound,
    /// Nobody has asked whether the server is private.
    Open,
}

impl Fate {
    /// On this server; how far it reaches is not known yet.
    pub(super) fn of(client: &Client, settings: &RunSettings) -> Self {
        // A server says whether it is private by refusing to keep.
        let not_asked = settings.work.on_drop == Some(OnDrop::Kill);
        match &settings.way.target {
            _ if client.is_private() => Fate::EndsWhereFound,
            Target::Exec(_) if not_asked => Fate::Open,
            _ => Fate::Stays,
        }
    }

    /// Once it is known whether the job's tree is known exactly.
    pub(super) fn reaching(self, exact: bool) -> Self {
        match self {
            Fate::EndsWhereFound if exact => Fate::EndsWithServer,
            fate => fate,
        }
    }

    /// Of a job that we leave.
    pub(super) fn of_the_job(self) -> &'static str {
        match self {
            Fate::Stays | Fate::Open => "it may still run, its --on-drop policy decides",
            Fate::EndsWithServer => "its private server ends it (TERM, 5 s later KILL) and itself",
            Fate::EndsWhereFound => {
                "its private server ends what it finds of it (TERM, 5 s later KILL) and itself"
            }
        }
    }

    /// Of a process that holds an output open.
    pub(super) fn of_a_holder(self) -> &'static str {
        match self {
            Fate::Stays => "what it writes later is lost",
            Fate::Open => "what it writes later is lost, and if the server is private it ends",
            Fate::EndsWithServer => "it is ended now, with its private server",
            Fate::EndsWhereFound => {
                "there is no cgroup to end it by, so it may live on; what it writes later is lost"
            }
        }
    }

    /// Of processes that outlive the command.
    pub(super) fn of_the_rest(self, count: u32) -> Cow<'static, str> {
        let processes = match count {
            0 => return "nothing of it is left".into(),
            1 => "1 process of it".to_owned(),
            count => format!("{count} processes of it"),
        };
        match self {
            Fate::Stays => format!("{processes} left running"),
            Fate::Open => format!("{processes} left running, unless the server is private"),
            Fate::EndsWithServer => format!("{processes} ended with its private server"),
            Fate::EndsWhereFound => format!("{processes} left, which may live on"),
        }
        .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_private_server_with_a_cgroup_ends_all() {
        assert_eq!(Fate::EndsWhereFound.reaching(true), Fate::EndsWithServer);
        assert_eq!(Fate::EndsWhereFound.reaching(false), Fate::EndsWhereFound);
        assert_eq!(Fate::Stays.reaching(true), Fate::Stays);
    }

    #[test]
    fn processes_are_counted_as_people_count() {
        assert_eq!(Fate::Stays.of_the_rest(0), "nothing of it is left");
        assert_eq!(Fate::Stays.of_the_rest(1), "1 process of it left running");
        assert_eq!(
            Fate::EndsWithServer.of_the_rest(2),
            "2 processes of it ended with its private server"
        );
    }
}
