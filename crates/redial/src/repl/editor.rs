//! The line editor on a terminal, and what it asks for. It blocks, so it has a thread.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, sync_channel};

use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};
use tokio::sync::mpsc::UnboundedSender;

use super::complete::Asked;
use super::history;
use super::lines::Input;
use super::word::last_word;
use crate::report;

/// The lesson's.
const PROMPT: &str = ">>: ";

/// Reads a line for each word on `turns`, until there are no more.
pub(super) fn read_lines(turns: &Receiver<()>, inputs: &UnboundedSender<Input>) {
    let mut editor = match editor(inputs.clone()) {
        Ok(editor) => editor,
        Err(error) => {
            // Nobody listens only when we are leaving.
            let _ = inputs.send(Input::Failed(std::io::Error::other(error)));
            return;
        }
    };
    let file = load(&mut editor);
    while turns.recv().is_ok() {
        let input = match editor.readline(PROMPT) {
            Ok(line) => {
                remember(&mut editor, &line, file.as_ref());
                Input::Line(line.into_bytes())
            }
            Err(ReadlineError::Interrupted) => Input::Line(Vec::new()),
            Err(ReadlineError::Eof) => Input::End,
            Err(ReadlineError::Io(error)) => Input::Failed(error),
            Err(error) => Input::Failed(std::io::Error::other(error)),
        };
        if inputs.send(input).is_err() {
            return;
        }
    }
}

fn editor(inputs: UnboundedSender<Input>) -> rustyline::Result<Editor<Remote, FileHistory>> {
    let config = Config::builder()
        .max_history_size(history::LINES_MAX)?
        .history_ignore_dups(true)?
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        .build();
    let mut editor = Editor::with_config(config)?;
    editor.set_helper(Some(Remote { inputs }));
    Ok(editor)
}

/// The history's file, if there can be one.
fn load(editor: &mut Editor<Remote, FileHistory>) -> Option<PathBuf> {
    let path = history::place()?;
    let loaded = history::prepare(&path)
        .map_err(ReadlineError::from)
        .and_then(|()| editor.load_history(&path));
    match loaded {
        Ok(()) => Some(path),
        Err(error) => {
            report::note(format_args!("no history: {}: {error}", path.display()));
            None
        }
    }
}

/// At once, so that a session that is killed has its lines too.
fn remember(editor: &mut Editor<Remote, FileHistory>, line: &str, file: Option<&PathBuf>) {
    if line.trim().is_empty() {
        return;
    }
    let added = editor.add_history_entry(line);
    if let (Ok(true), Some(path)) = (added, file) {
        // A full disk is no reason not to run the line.
        let _ = editor.append_history(path);
    }
}

/// Completes on the host.
struct Remote {
    inputs: UnboundedSender<Input>,
}

impl Completer for Remote {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        cursor: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let word = last_word(&line[..cursor]);
        let (start, (answer, answered)) = (word.start, sync_channel(1));
        let asked = Input::Complete(Asked { word, answer });
        let found = match self.inputs.send(asked) {
            Ok(()) => answered.recv().unwrap_or_default(),
            Err(_) => Vec::new(),
        };
        let pairs = found.into_iter().map(|candidate| Pair {
            display: candidate.shown,
            replacement: candidate.written,
        });
        Ok((start, pairs.collect()))
    }
}

impl Hinter for Remote {
    type Hint = String;
}

impl Highlighter for Remote {}

impl Validator for Remote {}

impl Helper for Remote {}
