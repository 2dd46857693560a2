//! Names of hosts, and the subjects that are made of them.

use std::fmt;
use std::str::FromStr;

/// As a name in the DNS.
const MAX_BYTES: usize = 253;

/// A host's name among those that a cluster connects: letters, digits, `-`, `_` and `.`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(String);

/// A text that names no host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There is none, or it is longer than 253 bytes.
    #[error("a host's name has 1 to {MAX_BYTES} bytes, this one has {0}")]
    Length(usize),
    /// It has another character.
    #[error("{0:?} may not stand in a host's name: letters, digits, '-', '_' and '.' may")]
    Character(char),
}

impl Name {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// In a subject: a dot would divide it.
    fn token(&self) -> String {
        self.0.replace('.', "=")
    }

    /// Where the host is called.
    pub(super) fn call(&self) -> String {
        format!("redial.call.{}", self.token())
    }

    /// What the client says on a line.
    pub(super) fn up(&self, line: &str) -> String {
        format!("redial.line.{}.{line}.up", self.token())
    }

    /// What the host says on a line.
    pub(super) fn down(&self, line: &str) -> String {
        format!("redial.line.{}.{line}.down", self.token())
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() || text.len() > MAX_BYTES {
            return Err(NameError::Length(text.len()));
        }
        let allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        match text.chars().find(|c| !allowed(c)) {
            Some(other) => Err(NameError::Character(other)),
            None => Ok(Name(text.to_owned())),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_token_of_a_subject_and_no_two_names_are_the_same_one() {
        let name: Name = "web1.example_com".parse().unwrap();
        assert_eq!(name.call(), "redial.call.web1=example_com");
        assert_eq!(name.up("7f"), "redial.line.web1=example_com.7f.up");
        for (text, error) in [
            ("", NameError::Length(0)),
            ("a b", NameError::Character(' ')),
            ("a*", NameError::Character('*')),
            (">", NameError::Character('>')),
            ("a=b", NameError::Character('=')),
            ("wéb", NameError::Character('é')),
        ] {
            assert_eq!(text.parse::<Name>(), Err(error));
        }
        let long = "a".repeat(254);
        assert_eq!(long.parse::<Name>(), Err(NameError::Length(254)));
    }
}
