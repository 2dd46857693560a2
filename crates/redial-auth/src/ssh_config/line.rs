//! A line's words, as ssh takes it apart: the keyword by one rule, its values by another.

use alloc::vec::Vec;

const BLANKS: &[u8] = b" \t\r\n";

/// A quote that is not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unended;

/// The words of a keyword's line or of `Match`: ended by blanks, a `=` among them, or a `"`.
///
/// Source: strdelim in OpenSSH, down to `Us"er" ada` and words that are empty.
#[derive(Debug, Clone)]
pub(super) struct Words<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Words<'a> {
    pub(super) fn new(line: &'a [u8]) -> Words<'a> {
        Words { rest: Some(line) }
    }

    /// The next word; nothing behind the last.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, Unended> {
        let Some(line) = self.rest.take() else {
            return Ok(None);
        };
        let ends = |byte: &u8| BLANKS.contains(byte) || b"\"=".contains(byte);
        let Some(end) = line.iter().position(ends) else {
            return Ok(Some(line.to_vec()));
        };
        let (word, rest) = line.split_at(end);
        let (mark, rest) = (rest[0], &rest[1..]);
        if mark == b'"' {
            let end = rest.iter().position(|byte| *byte == b'"').ok_or(Unended)?;
            self.rest = Some(skip(&rest[end + 1..]));
            return Ok(Some([word, &rest[..end]].concat()));
        }
        let rest = skip(rest);
        // One `=` in all.
        self.rest = Some(match rest.strip_prefix(b"=") {
            Some(behind) if mark != b'=' => skip(behind),
            _ => rest,
        });
        Ok(Some(word.to_vec()))
    }

    /// What follows, without blanks before it.
    pub(super) fn rest(&self) -> &'a [u8] {
        skip(self.rest.unwrap_or_default())
    }
}

/// A line that is neither empty nor a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// In lower case.
    pub(super) keyword: Vec<u8>,
    /// What follows it.
    pub(super) rest: &'a [u8],
}

/// The keyword of a line; none if it is empty or a comment.
pub(super) fn keyword(line: &[u8]) -> Result<Option<Line<'_>>, Unended> {
    let end = line
        .iter()
        .rposition(|byte| !BLANKS.contains(byte) && *byte != b'\x0c');
    let mut words = Words::new(&line[..end.map_or(0, |at| at + 1)]);
    let mut word = words.next()?;
    // Before it there are blanks.
    if word.as_deref() == Some(b"") {
        word = words.next()?;
    }
    match word {
        Some(word) if !word.is_empty() && word[0] != b'#' => Ok(Some(Line {
            keyword: word.to_ascii_lowercase(),
            rest: words.rest(),
        })),
        _ => Ok(None),
    }
}

/// A keyword's values: with quotes of both kinds, backslashes before quotes, backslashes and blanks,
/// and a comment at the beginning of a word.
///
/// Source: argv_split in OpenSSH.
pub(super) fn values(text: &[u8]) -> Result<Vec<Vec<u8>>, Unended> {
    let mut values = Vec::new();
    let mut rest = text;
    loop {
        let blanks = rest.iter().take_while(|byte| b" \t".contains(byte));
        rest = &rest[blanks.count()..];
        if matches!(rest.first(), None | Some(b'#')) {
            return Ok(values);
        }
        let (value, after) = value(rest)?;
        values.push(value);
        rest = after;
    }
}

/// The first value, and what follows it.
fn value(text: &[u8]) -> Result<(Vec<u8>, &[u8]), Unended> {
    let mut value = Vec::new();
    let mut quote = None;
    let mut rest = text;
    loop {
        let Some((byte, after)) = rest.split_first() else {
            return match quote {
                None => Ok((value, rest)),
                Some(_) => Err(Unended),
            };
        };
        rest = after;
        match (byte, quote) {
            (b'\\', _) => match after.split_first() {
                Some((escaped, behind)) if is_escape(*escaped, quote) => {
                    value.push(*escaped);
                    rest = behind;
                }
                _ => value.push(b'\\'),
            },
            (b' ' | b'\t', None) => return Ok((value, rest)),
            (b'"' | b'\'', None) => quote = Some(*byte),
            (byte, Some(begun)) if *byte == begun => quote = None,
            (byte, _) => value.push(*byte),
        }
    }
}

/// Whether a backslash before it is taken off.
fn is_escape(byte: u8, quote: Option<u8>) -> bool {
    b"'\"\\".contains(&byte) || (byte == b' ' && quote.is_none())
}

fn skip(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|byte| BLANKS.contains(byte));
    &text[blanks.count()..]
}
