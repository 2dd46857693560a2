//! A run as it is written down: what was asked for, and a line for each thing that happened. Text in,
//! values out; the files are the business of [`crate::history`].

use std::collections::{BTreeMap, BTreeSet};

use redial_client::Digest;
use serde::{Deserialize, Serialize};

/// The present form. Another is not read.
pub const VERSION: u32 = 1;

/// What was asked for, written once, before anything is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`VERSION`].
    pub version: u32,
    /// Its name.
    pub id: String,
    /// When it began, in milliseconds since 1970.
    pub began: u64,
    /// The command line, word for word.
    pub argv: Vec<Word>,
    /// The directory that its paths are relative to.
    pub directory: Word,
    /// What settings of the time have added to it.
    pub settled: Settled,
    /// The first of its jobs' names ([`crate::JobIds`]).
    pub first_job: String,
    /// The hosts' names, in the order of their numbers.
    pub hosts: Vec<String>,
}

/// Text, or bytes that are none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Word {
    /// UTF-8.
    Text(String),
    /// Anything.
    Bytes(Vec<u8>),
}

impl From<Vec<u8>> for Word {
    fn from(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes).map_or_else(|odd| Word::Bytes(odd.into_bytes()), Word::Text)
    }
}

impl From<Word> for Vec<u8> {
    fn from(word: Word) -> Self {
        match word {
            Word::Text(text) => text.into_bytes(),
            Word::Bytes(bytes) => bytes,
        }
    }
}

/// Settings that may come from the environment or a file, as they were when the run began: whoever
/// goes on with it goes on with the same command.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Settled {
    /// Milliseconds.
    pub deadline: Option<u64>,
    /// Milliseconds.
    pub drain: Option<u64>,
    /// `kill`, `keep` or `keep:` and milliseconds.
    pub on_drop: Option<String>,
    /// Variables for the command, those that were copied from the environment too.
    #[serde(default)]
    pub env: Vec<(Word, Word)>,
}

/// What a host has come to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ending {
    /// Of which kind.
    pub kind: Kind,
    /// In few words.
    pub how: String,
    /// Why, if that is not all; else empty.
    pub why: String,
    /// What it means for the exit code of the run.
    pub code: u8,
}

/// In the order of a table: what went wrong stands last, next to the prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The command did what it should.
    Done,
    /// The command failed.
    Failed,
    /// It was not come to.
    NotBegun,
    /// The command certainly did not run.
    Unreached,
    /// Nobody knows how it ended.
    Unknown,
}

impl Kind {
    /// Whether the command certainly did not run, as far as the client knows that says so.
    fn is_open(self) -> bool {
        matches!(self, Kind::NotBegun | Kind::Unreached)
    }

    /// Whether the command has ended there, however: it is not run again.
    pub fn is_over(self) -> bool {
        matches!(self, Kind::Done | Kind::Failed)
    }
}

/// Length and checksum in hex of a host's stdout and stderr.
pub type Written = [(u64, String); 2];

/// A thing that happened, one a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Line {
    /// The command is about to be sent.
    Sent {
        /// The host's number.
        host: u32,
        /// To the keeper of this instance, in hex.
        to: String,
        /// In milliseconds since 1970.
        at: u64,
    },
    /// It certainly did not start there, and is to be tried again.
    NotStarted {
        /// The host's number.
        host: u32,
    },
    /// It is over there, for now.
    Ended {
        /// The host's number.
        host: u32,
        /// How.
        #[serde(flatten)]
        ending: Ending,
        /// Length and checksum in hex of stdout and stderr, where they are known to be complete.
        outputs: Option<Written>,
    },
    /// What it wrote is shown.
    Shown {
        /// The host's number.
        host: u32,
    },
    /// A client has begun with the run, or goes on with it.
    Client {
        /// Its process.
        pid: u32,
        /// In milliseconds since 1970.
        at: u64,
    },
    /// That client is done with it.
    Over {
        /// Its exit code.
        code: u8,
        /// In milliseconds since 1970.
        at: u64,
    },
}

impl Line {
    /// As it is written, with its end.
    pub fn to_text(&self) -> String {
        // Of types whose keys are strings: there is nothing that can fail.
        let mut text = serde_json::to_string(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

/// What is known of a digest, as a line has it.
pub fn digest_of(digest: &Digest) -> (u64, String) {
    (digest.bytes, hex(&digest.checksum))
}

/// Bytes in hex.
pub fn hex(bytes: &[u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(*bytes))
}

/// And back.
pub fn unhex(text: &str) -> Option<[u8; 16]> {
    let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u128::from_str_radix(text, 16).ok().filter(|_| is_hex)?;
    Some(number.to_be_bytes())
}

/// A start that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// To this instance.
    pub to: [u8; 16],
    /// In milliseconds since 1970.
    pub at: u64,
}

/// How a run stands, by its lines.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// Where the command was sent to, first.
    pub sent: BTreeMap<usize, Sent>,
    /// What hosts have come to, last.
    pub endings: BTreeMap<usize, Ending>,
    /// In the order in which they ended, with what they have written where that is known.
    pub ended: Vec<(usize, Option<Written>)>,
    /// Whose output is shown.
    pub shown: BTreeSet<usize>,
    /// The exit code of the last client, if that came to an end.
    pub code: Option<u8>,
    /// Hosts that the present client was the first to send to.
    own: BTreeSet<usize>,
}

impl Record {
    /// Reads lines. What does not end is what a client was writing when it died, and is passed over.
    ///
    /// # Errors
    ///
    /// The number of a line that is none.
    pub fn read(text: &str) -> Result<Self, usize> {
        let mut record = Record::default();
        for (at, line) in text.split_inclusive('\n').enumerate() {
            let Some(line) = line.strip_suffix('\n') else {
                break;
            };
            let line = serde_json::from_str(line).map_err(|_| at + 1)?;
            record.add(line);
        }
        Ok(record)
    }

    /// Adds what happened.
    pub fn add(&mut self, line: Line) {
        match line {
            Line::Sent { host, to, at } => {
                // Of the first: the longest ago is the safest.
                let host = host as usize;
                if let (Some(to), false) = (unhex(&to), self.sent.contains_key(&host)) {
                    self.sent.insert(host, Sent { to, at });
                    self.own.insert(host);
                }
            }
            Line::NotStarted { host } => self.take_back(host as usize),
            Line::Ended {
                host,
                mut ending,
                outputs,
            } => {
                let host = host as usize;
                if ending.kind.is_open() {
                    self.take_back(host);
                }
                if ending.kind.is_open() && self.sent.contains_key(&host) {
                    // That a later client did not get there says nothing of what an earlier one did.
                    ending.kind = Kind::Unknown;
                }
                self.endings.insert(host, ending);
                self.ended.push((host, outputs));
            }
            Line::Shown { host } => drop(self.shown.insert(host as usize)),
            Line::Client { .. } => {
                self.code = None;
                self.own.clear();
            }
            Line::Over { code, .. } => self.code = Some(code),
        }
    }

    /// Who has sent it says that it certainly did not run: it may be sent as if for the first time.
    fn take_back(&mut self, host: usize) {
        if self.own.remove(&host) {
            self.sent.remove(&host);
        }
    }

    /// Hosts by what they have come to; those without an ending are not begun, or unknown if the
    /// command was sent.
    pub fn kind(&self, host: usize) -> Kind {
        match (self.endings.get(&host), self.sent.contains_key(&host)) {
            (Some(ending), _) => ending.kind,
            (None, true) => Kind::Unknown,
            (None, false) => Kind::NotBegun,
        }
    }
}

#[cfg(test)]
mod tests;
