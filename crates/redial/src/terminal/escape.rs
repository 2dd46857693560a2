//! Keys that are for us: as with ssh(1), a `~` at the beginning of a line and what follows it.

/// The character that begins them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EscapeChar(Option<u8>);

/// What somebody wants of us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    /// `~.`: leaves the job.
    Leave,
    /// `~^Z`: stops us.
    Suspend,
    /// `~?`: says what keys there are.
    Help,
}

const CTRL_Z: u8 = 0x1a;

impl Default for EscapeChar {
    fn default() -> Self {
        EscapeChar(Some(b'~'))
    }
}

impl EscapeChar {
    /// One character, `^X`, or `none`.
    ///
    /// # Errors
    ///
    /// It is none of these.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match *text.as_bytes() {
            _ if text == "none" => Ok(EscapeChar(None)),
            [byte] if byte.is_ascii_graphic() => Ok(EscapeChar(Some(byte))),
            [b'^', byte @ (b'@'..=b'_' | b'a'..=b'z')] => Ok(EscapeChar(Some(byte & 0x1f))),
            _ => Err(format!(
                "{text:?} is no escape character; it is one ASCII character, ^X or none"
            )),
        }
    }

    /// For people; none if there is none.
    pub(crate) fn shown(self) -> Option<String> {
        self.0.map(|byte| match byte {
            0..0x20 => format!("^{}", char::from(byte | 0x40)),
            byte => char::from(byte).to_string(),
        })
    }
}

/// Takes them out of what is typed.
#[derive(Debug)]
pub(crate) struct Escape {
    character: Option<u8>,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The next key is the first of a line.
    First,
    Within,
    /// The escape character is typed, and waits for what follows.
    Escaped,
}

impl Escape {
    pub(crate) fn new(character: EscapeChar) -> Self {
        Escape {
            character: character.0,
            place: Place::First,
        }
    }

    /// What of this is for the job, and the keys for us in it. What was typed together with `~.`,
    /// behind it, is for nobody.
    pub(crate) fn take(&mut self, typed: &[u8]) -> (Vec<u8>, Vec<Key>) {
        let Some(character) = self.character else {
            return (typed.to_vec(), Vec::new());
        };
        let (mut passed, mut keys) = (Vec::with_capacity(typed.len()), Vec::new());
        for &byte in typed {
            match (self.place, byte) {
                (Place::First, byte) if byte == character => {
                    self.place = Place::Escaped;
                    continue;
                }
                (Place::Escaped, b'.') => {
                    self.place = Place::First;
                    keys.push(Key::Leave);
                    break;
                }
                (Place::Escaped, CTRL_Z | b'?') => {
                    self.place = Place::First;
                    keys.push(match byte {
                        CTRL_Z => Key::Suspend,
                        _ => Key::Help,
                    });
                    continue;
                }
                (Place::Escaped, byte) if byte != character => passed.push(character),
                _ => {}
            }
            passed.push(byte);
            self.place = match byte {
                b'\r' | b'\n' => Place::First,
                _ => Place::Within,
            };
        }
        (passed, keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However what is typed comes in pieces.
    fn typed(escape: EscapeChar, text: &[u8]) -> (Vec<u8>, Vec<Key>) {
        let whole = Escape::new(escape).take(text);
        let mut escape = Escape::new(escape);
        let (mut passed, mut keys) = (Vec::new(), Vec::new());
        for byte in text {
            let (some, found) = escape.take(&[*byte]);
            passed.extend(some);
            keys.extend(found);
            if keys.contains(&Key::Leave) {
                break;
            }
        }
        assert_eq!(whole, (passed, keys), "{text:?}");
        whole
    }

    #[test]
    fn keys_for_us_stand_at_the_beginning_of_a_line() {
        let tilde = EscapeChar::default();
        for (text, passed, keys) in [
            (&b"ls ~.\r"[..], &b"ls ~.\r"[..], &[][..]),
            (b"~.rest", b"", &[Key::Leave]),
            (b"x\r~.", b"x\r", &[Key::Leave]),
            (b"x\n~?~.", b"x\n", &[Key::Help, Key::Leave]),
            (b"~\x1a~?ls", b"ls", &[Key::Suspend, Key::Help]),
            // Twice is the character itself, and anything else leaves both.
            (b"~~.\r", b"~.\r", &[]),
            (b"~/bin\r", b"~/bin\r", &[]),
            (b"~\r~.", b"~\r", &[Key::Leave]),
        ] {
            assert_eq!(typed(tilde, text), (passed.to_vec(), keys.to_vec()));
        }
        let none = EscapeChar::parse("none").unwrap();
        assert_eq!(typed(none, b"~.\r~."), (b"~.\r~.".to_vec(), vec![]));
    }

    #[test]
    fn the_character_may_be_another() {
        for (text, shown) in [
            ("~", "~"),
            ("%", "%"),
            ("^A", "^A"),
            ("^a", "^A"),
            ("^]", "^]"),
        ] {
            let parsed = EscapeChar::parse(text).unwrap();
            assert_eq!(parsed.shown().as_deref(), Some(shown), "{text}");
        }
        let control = EscapeChar::parse("^]").unwrap();
        assert_eq!(typed(control, b"\x1d."), (vec![], vec![Key::Leave]));
        for wrong in ["", "ab", "é", "^", "^é", " "] {
            let parsed = EscapeChar::parse(wrong);
            assert_eq!(parsed.is_ok(), wrong == "^", "{wrong}");
        }
    }
}
