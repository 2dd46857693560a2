//! What becomes of outputs.

use std::io;

use redial_client::{Bytes, Output};
use redial_fleet::{End, Receipt};

use super::collected::{Collected, Fold};
use super::files::Files;
use super::json::Json;
use super::prefix::Prefix;
use super::session::Session;
use super::writer::{Chunk, Desk};
use crate::settings::{FleetSettings, OutputMode};

/// See the module.
pub(super) struct Show {
    pub(super) form: Form,
    pub(super) files: Option<Files>,
}

pub(super) enum Form {
    Prefix(Prefix),
    Collected(Box<Collected>),
    Json(Json),
    Quiet,
}

impl Show {
    /// As it is asked for, with what an earlier client has left.
    ///
    /// # Errors
    ///
    /// What is there cannot be read, or a directory cannot be made.
    pub(super) fn new(settings: &FleetSettings, session: &Session) -> io::Result<Self> {
        let collected = |folds: Option<Fold>| {
            let shown = |host: usize| folds.is_none() && session.record.shown.contains(&host);
            let collected = Collected::new(session.outputs(), folds, &session.ended(), shown)?;
            Ok::<_, io::Error>(Form::Collected(Box::new(collected)))
        };
        Ok(Show {
            form: match settings.output {
                OutputMode::Prefix => Form::Prefix(Prefix::default()),
                OutputMode::Group => collected(None)?,
                OutputMode::Fold { diff } => collected(Some(Fold { diff }))?,
                OutputMode::Json => Form::Json(Json::new(session.ids)),
                OutputMode::Quiet => Form::Quiet,
            },
            files: settings.output_dir.as_deref().map(Files::new).transpose()?,
        })
    }

    /// Up to where there are outputs of a host that an earlier client has begun with.
    pub(super) fn reached(&self, host: usize, name: &str) -> Option<[u64; 2]> {
        match (&self.files, &self.form) {
            // Where both are there, the lesser: what is written twice stays the same.
            (Some(files), Form::Collected(collected)) => {
                let (files, collected) = (files.reached(name), collected.reached(host)?);
                Some([files[0].min(collected[0]), files[1].min(collected[1])])
            }
            (Some(files), _) => Some(files.reached(name)),
            (None, Form::Collected(collected)) => Some(collected.reached(host).unwrap_or([0; 2])),
            (None, _) => None,
        }
    }

    /// A host wrote this, and somebody reads it. A failure is one of ours: the bytes are not kept.
    pub(super) fn data(
        &mut self,
        is_read: bool,
        (host, name): (usize, &str),
        (stream, offset): (Output, u64),
        bytes: &Bytes,
        receipt: Receipt,
        desk: &mut Desk,
    ) -> io::Result<()> {
        let filed = match &self.files {
            Some(files) => files.write(name, (stream, offset), bytes),
            None => Ok(()),
        };
        if filed.is_err() {
            receipt.refuse();
            return filed;
        }
        if !is_read {
            match &self.files {
                Some(_) => receipt.give(),
                None => receipt.refuse(),
            }
            return filed;
        }
        match &mut self.form {
            Form::Prefix(prefix) => {
                let lines = prefix.take(host, name, stream, bytes);
                let receipt = prefix.hold(host, stream, receipt);
                desk.push(Chunk::new(stream, lines).receipt(receipt));
            }
            Form::Collected(collected) => {
                collected
                    .take(host, (stream, offset), bytes, receipt.clone())
                    .inspect_err(|_| receipt.give())?;
            }
            Form::Json(_) => {}
            Form::Quiet => receipt.give(),
        }
        filed
    }

    /// To be called now and then: what waits here does not wait for long.
    pub(super) fn turn(&mut self, desk: &mut Desk) -> io::Result<()> {
        match &mut self.form {
            // Behind the lines that are still to be written.
            Form::Prefix(prefix) => prefix.turn().into_iter().for_each(|(stream, receipt)| {
                desk.push(Chunk::new(stream, Vec::new()).receipt(receipt));
            }),
            Form::Collected(collected) => return collected.turn(),
            Form::Json(_) | Form::Quiet => {}
        }
        Ok(())
    }

    /// A host has ended, and that is written down.
    pub(super) fn ended(
        &mut self,
        (host, name): (usize, &str),
        end: &End,
        session: &Session,
        desk: &mut Desk,
    ) {
        if let (End::Detached(job), false) = (end, matches!(self.form, Form::Json(_))) {
            let line = format!("{name}/{job}\n").into_bytes();
            desk.push(Chunk::new(Output::Stdout, line));
        }
        match &mut self.form {
            Form::Prefix(prefix) => {
                for (stream, lines) in prefix.finish(host, name) {
                    desk.push(Chunk::new(stream, lines));
                }
            }
            Form::Collected(collected) => {
                collected.show_one(host, name, desk, session.shown(host));
            }
            Form::Json(_) | Form::Quiet => {}
        }
    }
}
