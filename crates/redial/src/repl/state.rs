//! What goes from one line to the next: directory and exported variables.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use redial_client::Command;

/// What belongs to one shell or one job, and not to what the user has made.
const PASSING: [&[u8]; 3] = [b"_", b"SHLVL", b"REDIAL_JOB"];

/// Where a line begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// None: where the server starts commands.
    dir: Option<Vec<u8>>,
    variables: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Why what a shell has said is no state.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StateError {
    /// Something else wrote to stdout at the same time.
    #[error("a background process wrote to stdout while the line ended; some of it is lost")]
    Mixed,
    /// The tools are missing: `env -0`, `cksum`.
    #[error("the host has no /usr/bin/env that knows -0, or no /usr/bin/cksum")]
    Unsaid,
}

impl State {
    /// Reads what the script says: `pwd`, NUL, `env -0`, and the `cksum` of that.
    ///
    /// # Errors
    ///
    /// [`StateError`].
    pub(crate) fn parse(said: &[u8]) -> Result<Self, StateError> {
        let nul = |&byte: &u8| byte == 0;
        let end = said.iter().rposition(nul).ok_or(StateError::Unsaid)?;
        let (body, sum) = said.split_at(end + 1);
        if sum.is_empty() {
            return Err(StateError::Unsaid);
        }
        if sum != format!("{} {}\n", cksum(body), body.len()).as_bytes() {
            return Err(StateError::Mixed);
        }
        let mut fields = body[..end].split(nul);
        let dir = fields.next().and_then(|dir| dir.strip_suffix(b"\n"));
        let dir = dir.filter(|dir| dir.starts_with(b"/"));
        let variables = fields.filter_map(|field| {
            let equals = field.iter().position(|&byte| byte == b'=')?;
            Some((field[..equals].to_vec(), field[equals + 1..].to_vec()))
        });
        let variables: BTreeMap<_, _> = variables
            .filter(|(name, _)| !PASSING.contains(&&name[..]))
            .collect();
        if variables.is_empty() {
            return Err(StateError::Unsaid);
        }
        Ok(State {
            dir: dir.map(<[u8]>::to_vec),
            variables,
        })
    }

    /// With these variables too.
    pub(crate) fn with(
        mut self,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Self {
        let bytes = variables
            .into_iter()
            .map(|(name, value)| (name.into_vec(), value.into_vec()));
        self.variables.extend(bytes);
        self
    }

    /// In this directory.
    pub(crate) fn in_dir(mut self, dir: Option<&OsStr>) -> Self {
        self.dir = dir.map(|dir| dir.as_bytes().to_vec());
        self
    }

    pub(crate) fn dir(&self) -> Option<&OsStr> {
        self.dir.as_deref().map(OsStr::from_bytes)
    }

    pub(crate) fn variable(&self, name: &str) -> Option<&[u8]> {
        self.variables.get(name.as_bytes()).map(Vec::as_slice)
    }

    /// The command with this state, on a server that starts commands with `base`.
    pub(crate) fn apply(&self, mut command: Command, base: &State) -> Command {
        if let Some(dir) = self.dir() {
            command = command.cwd(dir);
        }
        for (name, value) in &self.variables {
            if base.variables.get(name) != Some(value) {
                command = command.env(OsStr::from_bytes(name), OsStr::from_bytes(value));
            }
        }
        command
    }

    /// The variables of `base` that are gone, as far as a shell can unset them.
    pub(crate) fn unset_since(&self, base: &State) -> Vec<OsString> {
        let gone = base.variables.keys().filter(|name| {
            !self.variables.contains_key(*name)
                && name
                    .iter()
                    .all(|&byte| byte == b'_' || byte.is_ascii_alphanumeric())
                && !name.first().is_none_or(u8::is_ascii_digit)
        });
        gone.map(|name| OsString::from_vec(name.clone())).collect()
    }
}

/// The CRC of cksum(1), as POSIX defines it.
fn cksum(bytes: &[u8]) -> u32 {
    let add = |crc: u32, byte: u8| {
        (0..8).fold(crc ^ (u32::from(byte) << 24), |crc, _| {
            (crc << 1) ^ if crc >> 31 == 1 { 0x04c1_1db7 } else { 0 }
        })
    };
    let length = std::iter::successors(Some(bytes.len()), |left| Some(left >> 8));
    let length = length
        .take_while(|left| *left > 0)
        .map(|left| (left & 0xff) as u8);
    !bytes.iter().copied().chain(length).fold(0, add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(body: &[u8]) -> Vec<u8> {
        [body, format!("{} {}\n", cksum(body), body.len()).as_bytes()].concat()
    }

    #[test]
    fn the_checksum_is_that_of_cksum() {
        // cksum(1) of GNU coreutils.
        assert_eq!(cksum(b""), 4_294_967_295);
        assert_eq!(cksum(b"123456789"), 930_766_865);
        assert_eq!(cksum(&[7; 300]), 2_871_065_992);
    }

    #[test]
    fn names_and_values_may_hold_anything_but_nul() {
        let state = State::parse(&said(b"/a\nb\n\0A=1=\n2\0SHLVL=3\0_=/x\0B=\xff\0")).unwrap();
        assert_eq!(state.dir(), Some(OsStr::new("/a\nb")));
        assert_eq!(state.variable("A"), Some(&b"1=\n2"[..]));
        assert_eq!(state.variable("B"), Some(&b"\xff"[..]));
        assert_eq!(state.variables.len(), 2);
    }

    #[test]
    fn what_was_mixed_with_something_else_is_no_state() {
        let whole = said(b"/tmp\n\0A=1\0");
        assert!(State::parse(&whole).is_ok());
        for at in 0..=whole.len() {
            let mixed = [&whole[..at], b"y\n", &whole[at..]].concat();
            assert_eq!(State::parse(&mixed), Err(StateError::Mixed), "{at}");
        }
        for unsaid in [&b""[..], b"/tmp\n\0", &said(b"/tmp\n\0")] {
            assert_eq!(State::parse(unsaid), Err(StateError::Unsaid));
        }
    }

    #[test]
    fn only_what_differs_is_sent_and_what_is_gone_is_unset() {
        let base = State::parse(&said(b"/root\n\0A=1\0B=2\0C%%=3\0")).unwrap();
        let state = State::parse(&said(b"/tmp\n\0B=2\0D=4\0")).unwrap();
        assert_eq!(state.unset_since(&base), ["A"]);
        let sent = format!("{:?}", state.apply(Command::new(["x"]), &base));
        let expected = Command::new(["x"]).cwd("/tmp").env("D", "4");
        assert_eq!(sent, format!("{expected:?}"));
    }
}
