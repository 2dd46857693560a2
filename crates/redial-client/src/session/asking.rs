//! Questions about jobs, and their answers.

use redial_net::proto::message::{Answer, AnswerKind, QueryKind, Refused, RefusedCode};
use redial_net::proto::{ChannelId, Connection};

use super::ClientSession;
use super::running::has_to_wait;
use crate::error::QueryError;

impl ClientSession {
    /// Sends those that wait.
    pub(super) fn ask(&mut self, connection: &mut Connection) {
        while let Some(question) = self.questions.pop_front() {
            if question.answer.is_closed() {
                continue;
            }
            match connection.query(&question.query) {
                Ok(channel) => drop(self.asked.insert(channel, question)),
                Err(error) if has_to_wait(&error) => {
                    self.questions.push_front(question);
                    return;
                }
                Err(error) => {
                    let error = QueryError::Unsendable(error.to_string());
                    // Whoever asked may have gone.
                    let _ = question.answer.send(Err(error));
                }
            }
        }
    }

    pub(super) fn answered(&mut self, channel: ChannelId, answer: Result<Answer, Refused>) {
        let Some(question) = self.asked.remove(&channel) else {
            return;
        };
        let gone = RefusedCode::NoSuchJob as u16;
        let answer = match (answer, &question.query.kind) {
            // What was removed before the line dropped.
            (Err(refused), QueryKind::Remove(_)) if question.resent && refused.code == gone => {
                let kind = AnswerKind::Done;
                Ok(Answer { kind })
            }
            (Err(Refused { code, text }), _) => Err(QueryError::Refused { code, text }),
            (Ok(answer), _) => Ok(answer),
        };
        let _ = question.answer.send(answer);
    }
}
