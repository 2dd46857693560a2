//! The plain form of the file, read without a tree: tables `[hosts.NAME]` and `[groups]` with keys,
//! strings, port numbers and `tags = { … }`. A file of ten thousand hosts is read in a third of the time,
//! and each command that names a host waits for it.
//!
//! Anything else, any error too, is [`read`]'s `None`: then the library's own reader has the word. What is
//! taken here it reads the same, which a test shows.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use toml_parser::decoder::{Encoding, IntegerRadix, ScalarKind};
use toml_parser::lexer::{Token, TokenKind};
use toml_parser::parser::{EventReceiver, ValidateWhitespace, parse_document};
use toml_parser::{ErrorSink, ParseError, Raw, Source, Span};

use super::{File, Table};

/// Reads it, if it is plain.
pub(super) fn read(text: &str) -> Option<File> {
    let mut reader = Reader {
        text,
        file: File::default(),
        header: None,
        table: Place::Top,
        key: None,
        tags: None,
        has_groups: false,
        is_plain: true,
    };
    // Some tables at a time: what a whole file is made of takes more memory than the file.
    let mut tokens = Vec::with_capacity(2 * PART);
    let end = Source::new("").lex().next();
    let (mut depth, mut is_line_start) = (0_usize, true);
    for token in Source::new(text).lex() {
        let kind = token.kind();
        if is_line_start
            && depth == 0
            && kind == TokenKind::LeftSquareBracket
            && tokens.len() >= PART
        {
            tokens.extend(end);
            reader.part(&tokens);
            tokens.clear();
        }
        match kind {
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => depth += 1,
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => {
                depth = depth.saturating_sub(1);
            }
            _ => {}
        }
        is_line_start = match kind {
            TokenKind::Newline => true,
            TokenKind::Whitespace => is_line_start,
            _ => false,
        };
        tokens.push(token);
        if !reader.is_plain {
            return None;
        }
    }
    reader.part(&tokens);
    reader.close_table();
    reader.is_plain.then_some(reader.file)
}

/// So many tokens are read at a time, or more: up to the next table.
const PART: usize = 1_024;

/// The table whose keys are read.
enum Place {
    Top,
    Host(String, Table),
    Groups,
}

struct Reader<'t> {
    text: &'t str,
    file: File,
    /// Between `[` and `]`: the names so far.
    header: Option<Vec<String>>,
    table: Place,
    key: Option<String>,
    /// Between `{` and `}`.
    tags: Option<BTreeMap<String, String>>,
    has_groups: bool,
    is_plain: bool,
}

impl<'t> Reader<'t> {
    fn raw(&self, span: Span, encoding: Option<Encoding>) -> Raw<'t> {
        let text = self.text.get(span.start()..span.end());
        Raw::new_unchecked(text.unwrap_or_default(), encoding, span)
    }

    fn part(&mut self, tokens: &[Token]) {
        let mut error: Option<ParseError> = None;
        let source = Source::new(self.text);
        let mut checked = ValidateWhitespace::new(self, source);
        parse_document(tokens, &mut checked, &mut error);
        self.is_plain &= error.is_none();
    }

    fn open_table(&mut self, names: &[String]) {
        self.close_table();
        self.table = match names {
            [hosts, name] if hosts == "hosts" => Place::Host(name.clone(), Table::default()),
            [groups] if groups == "groups" => {
                self.is_plain &= !std::mem::replace(&mut self.has_groups, true);
                Place::Groups
            }
            _ => {
                self.is_plain = false;
                Place::Top
            }
        };
    }

    fn close_table(&mut self) {
        if let Place::Host(name, table) = std::mem::replace(&mut self.table, Place::Top) {
            self.is_plain &= put(&mut self.file.hosts, name, table);
        }
    }

    /// `key = value`, whose value is a string or a number.
    fn pair(&mut self, key: String, value: String, kind: ScalarKind) {
        let is_text = matches!(kind, ScalarKind::String);
        let place = match (&mut self.table, &mut self.tags) {
            (Place::Host(..), Some(tags)) => {
                self.is_plain &= is_text && put(tags, key, value);
                return;
            }
            (Place::Groups, None) => {
                self.is_plain &= is_text && put(&mut self.file.groups, key, value);
                return;
            }
            (Place::Host(_, table), None) => match (key.as_str(), kind) {
                ("address", ScalarKind::String) => &mut table.address,
                ("user", ScalarKind::String) => &mut table.user,
                ("port", ScalarKind::Integer(IntegerRadix::Dec)) => {
                    let port = value.parse().ok();
                    self.is_plain &= port.is_some() && table.port.is_none();
                    table.port = port;
                    return;
                }
                _ => {
                    self.is_plain = false;
                    return;
                }
            },
            _ => {
                self.is_plain = false;
                return;
            }
        };
        self.is_plain &= place.is_none();
        *place = Some(value);
    }
}

/// False if it is there already.
fn put<V>(map: &mut BTreeMap<String, V>, key: String, value: V) -> bool {
    match map.entry(key) {
        Entry::Vacant(place) => {
            place.insert(value);
            true
        }
        Entry::Occupied(_) => false,
    }
}

impl EventReceiver for Reader<'_> {
    fn std_table_open(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.header = Some(Vec::with_capacity(2));
    }

    fn std_table_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        let names = self.header.take().unwrap_or_default();
        self.open_table(&names);
    }

    fn array_table_open(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.is_plain = false;
    }

    fn inline_table_open(&mut self, _: Span, _: &mut dyn ErrorSink) -> bool {
        let is_tags = match (&self.table, self.key.take()) {
            (Place::Host(_, table), Some(key)) => key == "tags" && table.tags.is_empty(),
            _ => false,
        };
        self.is_plain &= is_tags && self.tags.is_none();
        self.tags = Some(BTreeMap::new());
        self.is_plain
    }

    fn inline_table_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        let tags = self.tags.take().unwrap_or_default();
        match &mut self.table {
            // A second one would be an error, and an empty first one could not be told from none.
            Place::Host(_, table) if !tags.is_empty() => table.tags = tags,
            _ => self.is_plain = false,
        }
    }

    fn array_open(&mut self, _: Span, _: &mut dyn ErrorSink) -> bool {
        self.is_plain = false;
        false
    }

    fn simple_key(&mut self, span: Span, encoding: Option<Encoding>, error: &mut dyn ErrorSink) {
        let mut name = Cow::Borrowed("");
        self.raw(span, encoding).decode_key(&mut name, error);
        match (&mut self.header, &self.key) {
            (Some(names), _) => names.push(name.into_owned()),
            (None, None) => self.key = Some(name.into_owned()),
            // A dotted one.
            (None, Some(_)) => self.is_plain = false,
        }
    }

    fn scalar(&mut self, span: Span, encoding: Option<Encoding>, error: &mut dyn ErrorSink) {
        let mut value = Cow::Borrowed("");
        let kind = self.raw(span, encoding).decode_scalar(&mut value, error);
        match self.key.take() {
            Some(key) => self.pair(key, value.into_owned(), kind),
            None => self.is_plain = false,
        }
    }

    fn error(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.is_plain = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What files are made of, right and wrong.
    const PARTS: [&str; 40] = [
        "[hosts.web1]\n",
        "[hosts.web2]\n",
        "[hosts.\"web[03-20]\"]\n",
        "[hosts.'a.b']\n",
        "[ hosts . x ] # c\n",
        "[groups]\n",
        "[hosts]\n",
        "[hosts.web1.tags]\n",
        "[[hosts.web1]]\n",
        "[other]\n",
        "[groups.a]\n",
        "address = \"10.0.0.1\"\n",
        "address = '10.0.0.2'\n",
        "address = \"a\\u0062\\n\"\n",
        "address = 5\n",
        "address = \"\"\"x\ny\"\"\"\n",
        "user = \"deploy\"\n",
        "user=\"ada\" # who\n",
        "\"user\" = \"bob\"\n",
        "port = 7334\n",
        "port = 7_334\n",
        "port = +22\n",
        "port = 0\n",
        "port = 0x16\n",
        "port = 70000\n",
        "port = 1.5\n",
        "port = \"22\"\n",
        "tags = { role = \"web\", rack = \"4\" }\n",
        "tags = {}\n",
        "tags.role = \"db\"\n",
        "tags = { role = \"web\", role = \"db\" }\n",
        "tags = { a = { b = \"c\" } }\n",
        "tags = { a.b = \"c\" }\n",
        "tags = \"web\"\n",
        "web = \"web[01-20]\"\n",
        "prod = \"@web,@db\"\n",
        "# a line\n",
        "\n",
        "x = [1, [2]]\n",
        "\u{7}",
    ];

    #[test]
    fn what_is_read_plainly_the_library_reads_the_same() {
        let seed = 20_261_127_u64;
        println!("seed {seed}");
        let mut state = seed;
        let mut next = |below: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        let (mut plain, mut refused) = (0, 0);
        for round in 0..50_000 {
            // Some are longer than what is read at a time.
            let parts = if round % 500 == 0 { 400 } else { next(6) };
            let mut text: String = (0..parts).map(|_| PARTS[next(PARTS.len())]).collect();
            if next(8) == 0 && !text.is_empty() {
                let cut = next(text.len());
                if text.is_char_boundary(cut) {
                    text.truncate(cut);
                }
            }
            let whole: Result<File, _> = toml::from_str(&text);
            match read(&text) {
                Some(file) => {
                    assert_eq!(whole.ok(), Some(file), "{text:?}");
                    plain += 1;
                }
                None => refused += usize::from(whole.is_err()),
            }
        }
        assert!(
            plain > 5_000 && refused > 5_000,
            "{plain} plain, {refused} wrong"
        );
    }

    #[test]
    fn what_people_write_is_plain() {
        let text = "# ours\n[hosts.web1]\naddress = \"10.0.0.1\"\nuser = \"deploy\"\nport = 7334\n\
                    tags = { role = \"web\" }\n\n[hosts.\"web[02-20]\"]\n[groups]\nweb = \"web[01-20]\"\n";
        let file = read(text).unwrap();
        assert_eq!((file.hosts.len(), file.groups.len()), (2, 1));
        assert_eq!(file.hosts["web1"].port, Some(7334));
    }
}
