//! The plain form of the file, read without a tree: tables `[hosts.NAME]` and `[groups]` with keys,
//! strings, port numbers and `tags = { … }`. A file of ten thousand hosts is read in a third of the time,
//! and each command that names a host waits for it.
//!
//! Anything else, any error too, is [`read`]'s `None`: then the library's own reader has the word. What is
//! taken here it reads the same, which a test shows.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map;

use toml_parser::decoder::{Encoding, IntegerRadix, ScalarKind};
use toml_parser::lexer::{Token, TokenKind};
use toml_parser::parser::{EventReceiver, ValidateWhitespace, parse_document};
use toml_parser::{ErrorSink, ParseError, Raw, Source, Span};

use super::{AtOnce, Entry, Hosts};

/// Below so many bytes it is not worth it to read both halves at once.
const SPLIT_BYTES: usize = 64 << 10;

/// Reads it, if it is plain.
pub(super) fn read(text: &str, at_once: AtOnce<'_>) -> Option<Hosts> {
    read_split(text, SPLIT_BYTES, at_once)
}

fn read_split(text: &str, least: usize, at_once: AtOnce<'_>) -> Option<Hosts> {
    let Some((first, second)) = halves(text, least) else {
        return once(of_part(text)?);
    };
    // The first is plain only if it is whole, and then a table begins where the second does, and not
    // within a string, say, that looks like one.
    let (mut found, mut found_later) = (None, None);
    at_once(&mut || found = of_part(first), &mut || {
        found_later = of_part(second);
    });
    let (mut first, mut second) = (found?, found_later?);
    first.hosts.append(&mut second.hosts);
    first.groups.append(&mut second.groups);
    first.group_tables += second.group_tables;
    once(first)
}

/// The text, cut where what looks like a table begins.
fn halves(text: &str, least: usize) -> Option<(&str, &str)> {
    if text.len() < least {
        return None;
    }
    let middle = (text.len() / 2..text.len()).find(|at| text.is_char_boundary(*at))?;
    let begin = text[middle..].find("\n[")? + 1;
    text.split_at_checked(middle + begin)
}

/// What has been read: each table as often as it stands there.
#[derive(Default)]
struct Found {
    hosts: Vec<(String, Entry)>,
    groups: BTreeMap<String, String>,
    group_tables: usize,
}

/// Nothing, if a table is there twice.
fn once(mut found: Found) -> Option<Hosts> {
    found.hosts.sort_by(|a, b| a.0.cmp(&b.0));
    let is_twice = found.hosts.windows(2).any(|pair| pair[0].0 == pair[1].0);
    (!is_twice && found.group_tables <= 1).then_some(Hosts {
        hosts: found.hosts,
        groups: found.groups,
    })
}

fn of_part(text: &str) -> Option<Found> {
    let mut reader = Reader {
        text,
        found: Found::default(),
        header: None,
        spare: Vec::new(),
        table: Place::Top,
        key: None,
        tags: None,
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
    reader.is_plain.then_some(reader.found)
}

/// So many tokens are read at a time, or more: up to the next table.
const PART: usize = 1_024;

/// The table whose keys are read.
enum Place {
    Top,
    Host(String, Entry),
    Groups,
}

struct Reader<'t> {
    text: &'t str,
    found: Found,
    /// Between `[` and `]`: the names so far.
    header: Option<Vec<Cow<'t, str>>>,
    /// One that is used no more, for the next.
    spare: Vec<Cow<'t, str>>,
    table: Place,
    key: Option<Cow<'t, str>>,
    /// Between `{` and `}`.
    tags: Option<BTreeMap<String, String>>,
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

    fn open_table(&mut self, names: &[Cow<str>]) {
        self.close_table();
        self.table = match names {
            [hosts, name] if hosts == "hosts" => {
                Place::Host(name.clone().into_owned(), Entry::default())
            }
            [groups] if groups == "groups" => {
                self.found.group_tables += 1;
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
            self.found.hosts.push((name, table));
        }
    }

    /// `key = value`, whose value is a string or a number.
    fn pair(&mut self, key: Cow<str>, value: Cow<str>, kind: ScalarKind) {
        let is_text = matches!(kind, ScalarKind::String);
        let place = match (&mut self.table, &mut self.tags) {
            (Place::Host(..), Some(tags)) => {
                self.is_plain &= is_text && put(tags, key.into_owned(), value.into_owned());
                return;
            }
            (Place::Groups, None) => {
                let groups = &mut self.found.groups;
                self.is_plain &= is_text && put(groups, key.into_owned(), value.into_owned());
                return;
            }
            (Place::Host(_, table), None) => match (&*key, kind) {
                ("address", ScalarKind::String) => &mut table.address,
                ("user", ScalarKind::String) => &mut table.user,
                ("port", ScalarKind::Integer(IntegerRadix::Dec)) => {
                    let port: Option<u16> = value.parse().ok();
                    // Zero, which says nothing, could not be told from none.
                    self.is_plain &= port.is_some_and(|it| it != 0) && table.port.is_none();
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
        *place = Some(value.into_owned());
    }
}

/// False if it is there already.
fn put<V>(map: &mut BTreeMap<String, V>, key: String, value: V) -> bool {
    match map.entry(key) {
        btree_map::Entry::Vacant(place) => {
            place.insert(value);
            true
        }
        btree_map::Entry::Occupied(_) => false,
    }
}

impl EventReceiver for Reader<'_> {
    fn std_table_open(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.header = Some(std::mem::take(&mut self.spare));
    }

    fn std_table_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        let mut names = self.header.take().unwrap_or_default();
        self.open_table(&names);
        names.clear();
        self.spare = names;
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
            (Some(names), _) => names.push(name),
            (None, None) => self.key = Some(name),
            // A dotted one.
            (None, Some(_)) => self.is_plain = false,
        }
    }

    fn scalar(&mut self, span: Span, encoding: Option<Encoding>, error: &mut dyn ErrorSink) {
        let mut value = Cow::Borrowed("");
        let kind = self.raw(span, encoding).decode_scalar(&mut value, error);
        match self.key.take() {
            Some(key) => self.pair(key, value, kind),
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
    use crate::inventory::hosts_toml::File;
    use crate::inventory::one_by_one;

    /// What files are made of, right and wrong.
    const PARTS: [&str; 41] = [
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
        "address = \"\"\"\n[hosts.web1]\n\"\"\"\n",
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
            let least = [0, SPLIT_BYTES][next(2)];
            match read_split(&text, least, &one_by_one) {
                Some(file) => {
                    assert_eq!(whole.ok().map(Hosts::from), Some(file), "{text:?}");
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
        let file = read(text, &one_by_one).unwrap();
        assert_eq!((file.hosts.len(), file.groups.len()), (2, 1));
        assert_eq!(file.hosts[0].1.port, Some(7334));
    }
}
