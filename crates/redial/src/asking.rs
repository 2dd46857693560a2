//! What is asked of the person at the terminal, if there is one.
//!
//! On the terminal itself, not on stdin or stdout: these are the command's.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;

use redial_client::Interaction;
use redial_client::network::HostQuestion;
use zeroize::Zeroizing;

use crate::report::Harmless;

const TERMINAL: &str = "/dev/tty";
/// More than an answer can have.
const ANSWER_BYTES: u64 = 1_024;

/// Asks there. In a script, which has no terminal or does not show stderr on one, nobody is
/// asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal;

impl Interaction for Terminal {
    fn passphrase(&self, key: &Path, again: bool) -> Option<Zeroizing<Vec<u8>>> {
        open()?;
        let again = if again { "that was not it; " } else { "" };
        let prompt = format!("{again}passphrase of {}: ", Harmless(key.display()));
        let read = rpassword::prompt_password(prompt).ok()?;
        let passphrase = Zeroizing::new(read.into_bytes());
        (!passphrase.is_empty()).then_some(passphrase)
    }

    fn confirm_host(&self, question: &HostQuestion) -> bool {
        let Some(mut terminal) = open() else {
            return false;
        };
        let key = &question.key;
        let doubt = question
            .doubt
            .as_ref()
            .map(|doubt| format!("Careful: {doubt}.\n"));
        let asked = format!(
            "{} is not known. It has proven to hold this key:\n  {} {}\n{}\
             Is that the key of the server you mean? (yes/no) ",
            Harmless(&question.name),
            key.fingerprint(),
            key.algorithm(),
            Harmless(doubt.unwrap_or_default()),
        );
        terminal.write_all(asked.as_bytes()).is_ok() && said_yes(terminal)
    }
}

/// Only the whole word counts, as with ssh.
fn said_yes(mut terminal: File) -> bool {
    loop {
        let mut answer = String::new();
        let mut lines = BufReader::new((&terminal).take(ANSWER_BYTES));
        match lines.read_line(&mut answer) {
            Ok(0) | Err(_) => return false,
            Ok(_) => {}
        }
        match answer.trim().to_ascii_lowercase().as_str() {
            "yes" => return true,
            "no" => return false,
            _ if terminal.write_all(b"Please type yes or no: ").is_err() => return false,
            _ => {}
        }
    }
}

/// The terminal, if there is one in front of somebody.
fn open() -> Option<File> {
    rustix::termios::isatty(rustix::stdio::stderr()).then_some(())?;
    let opened = OpenOptions::new().read(true).write(true).open(TERMINAL);
    opened.ok()
}
