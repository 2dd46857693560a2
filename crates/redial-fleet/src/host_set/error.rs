//! What is wrong with an expression, and where.

use std::fmt;

/// An expression that is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSetError {
    text: String,
    /// In characters.
    at: usize,
    reason: String,
}

impl HostSetError {
    /// At a byte of `text`.
    pub(super) fn new(text: &str, byte: usize, reason: impl Into<String>) -> Self {
        let before = text.get(..byte).unwrap_or(text);
        HostSetError {
            at: before.chars().count(),
            text: text.to_owned(),
            reason: reason.into(),
        }
    }

    /// The character where it is wrong, from 0.
    pub fn at(&self) -> usize {
        self.at
    }

    /// What is wrong.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// In one line, with the place in it.
impl fmt::Display for HostSetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, rest): (String, String) = (
            self.text.chars().take(self.at).collect(),
            self.text.chars().skip(self.at).collect(),
        );
        write!(f, "{} at character {}", self.reason, self.at + 1)?;
        match rest.is_empty() {
            true => write!(f, ", behind '{before}'"),
            false => write!(f, ", at '{rest}' in '{}'", self.text),
        }
    }
}

impl std::error::Error for HostSetError {}
