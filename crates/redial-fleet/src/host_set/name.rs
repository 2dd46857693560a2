//! A name as text and numbers.

use super::Indices;
use super::index::{Index, MAX_DIGITS};

/// What names that differ in their numbers only have in common: `%s` in a number's place, `%%` for a `%`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Pattern(String);

/// One name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) pattern: Pattern,
    pub(super) indices: Vec<Index>,
}

/// A run of digits, or of anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Run<'t> {
    Digits(&'t str),
    Text(&'t str),
}

/// A text in runs.
pub(super) fn runs(mut text: &str) -> impl Iterator<Item = Run<'_>> {
    std::iter::from_fn(move || {
        let first = text.bytes().next()?;
        let is_digits = first.is_ascii_digit();
        let end = text.find(|c: char| c.is_ascii_digit() != is_digits);
        let (run, rest) = text.split_at(end.unwrap_or(text.len()));
        text = rest;
        Some(match is_digits {
            true => Run::Digits(run),
            false => Run::Text(run),
        })
    })
}

/// A name, taken as it is.
pub(super) fn shape(name: &str) -> Shape {
    let mut shape = Shape {
        pattern: Pattern::default(),
        indices: Vec::new(),
    };
    for run in runs(name) {
        match run {
            Run::Text(text) => shape.pattern.push_text(text),
            Run::Digits(digits) => match Index::read(digits) {
                Some(index) => {
                    shape.pattern.push_number();
                    shape.indices.push(index);
                }
                // A serial number, say: nobody counts those.
                None => shape.pattern.push_text(digits),
            },
        }
    }
    shape
}

impl Pattern {
    pub(super) fn push_text(&mut self, text: &str) {
        self.0.push_str(&text.replace('%', "%%"));
    }

    pub(super) fn push_number(&mut self) {
        self.0.push_str("%s");
    }

    /// The texts between the numbers; one more than there are numbers.
    pub(super) fn texts(&self) -> Vec<String> {
        let mut texts = vec![String::new()];
        let mut letters = self.0.chars();
        while let Some(letter) = letters.next() {
            let escaped = match letter {
                '%' => letters.next(),
                _ => None,
            };
            match (escaped, texts.last_mut()) {
                (Some('s'), _) => texts.push(String::new()),
                (_, Some(text)) => text.push(letter),
                (_, None) => {}
            }
        }
        texts
    }

    /// With these in the numbers' places.
    pub(super) fn filled<T: AsRef<str>>(&self, numbers: &[T]) -> String {
        fill(&self.texts(), numbers)
    }

    /// Each name.
    pub(super) fn names<'i>(&self, indices: &'i Indices) -> Box<dyn Iterator<Item = String> + 'i> {
        let texts = self.texts();
        match indices {
            Indices::None => Box::new(std::iter::once(texts.concat())),
            Indices::One(set) => Box::new(set.iter().map(move |index| {
                let [before, behind] = &texts[..] else {
                    return String::new();
                };
                format!("{before}{index}{behind}")
            })),
            Indices::Several(combinations) => Box::new(combinations.iter().map(move |indices| {
                let numbers: Vec<String> = indices.iter().map(Index::to_string).collect();
                fill(&texts, &numbers)
            })),
        }
    }
}

fn fill<T: AsRef<str>>(texts: &[String], numbers: &[T]) -> String {
    let numbers = numbers.iter().map(AsRef::as_ref).chain([""]);
    let parts = texts.iter().zip(numbers);
    parts
        .flat_map(|(text, number)| [text.as_str(), number])
        .collect()
}

/// Whether so many digits are more than a number has.
pub(super) fn are_too_many(digits: usize) -> bool {
    digits > MAX_DIGITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_text_and_numbers_and_can_be_put_together_again() {
        for (name, pattern, numbers) in [
            ("web01", "web%s", &["01"][..]),
            ("n1-02x", "n%s-%sx", &["1", "02"]),
            ("10.0.0.1", "%s.%s.%s.%s", &["10", "0", "0", "1"]),
            ("db", "db", &[]),
            ("50%s7", "%s%%s%s", &["50", "7"]),
            ("i123456789012345678", "i123456789012345678", &[]),
            ("ada@wéb1:22", "ada@wéb%s:%s", &["1", "22"]),
        ] {
            let shape = shape(name);
            assert_eq!(shape.pattern.0, pattern);
            let texts: Vec<String> = shape.indices.iter().map(Index::to_string).collect();
            assert_eq!(texts, numbers);
            assert_eq!(shape.pattern.filled(&texts), name);
        }
    }
}
