//! Boxes in a row: a box is one call, its top says how many bytes, its middle which.
//!
//! Columns are counted as a terminal does: a Chinese character takes two.

use unicode_width::UnicodeWidthStr;

/// Columns of a whole line.
const LINE_COLUMNS: usize = 80;
/// Boxes of one row; more are counted in one box.
const ROW_BOXES: usize = 12;
/// Columns of bytes shown; of more, the beginning.
const BODY_COLUMNS: usize = 68;
/// Columns of the beginning.
const BEGINNING_COLUMNS: usize = 6;

/// Whether colours are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    Plain,
    Colour,
}

/// What a part of a box is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// The message's own bytes.
    Message,
    /// A header.
    Header,
    /// Bytes that are no whole character.
    Broken,
    /// Nothing was taken here.
    Missing,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    title: String,
    body: Vec<(Tone, String)>,
}

impl Cell {
    /// Bytes of which those marked by `is_header` are shown as hex.
    pub(super) fn bytes(data: &[u8], is_header: impl Fn(usize) -> bool) -> Self {
        let mut body: Vec<(Tone, String)> = Vec::new();
        let mut at = 0;
        let mut width = 0;
        while at < data.len() {
            let (tone, text, len) = next(data, at, &is_header);
            width += text.width();
            if width > BODY_COLUMNS {
                return Cell::beginning(data.len(), &body);
            }
            match body.last_mut() {
                Some((last, before)) if *last == tone => before.push_str(&text),
                _ => body.push((tone, text)),
            }
            at += len;
        }
        let title = grouped(data.len());
        Cell { title, body }
    }

    /// Bytes that were not taken.
    pub(super) fn missing(bytes: usize, word: &str) -> Self {
        Cell {
            title: grouped(bytes),
            body: vec![(Tone::Missing, word.to_owned())],
        }
    }

    /// Too long to be shown: how it begins.
    fn beginning(bytes: usize, body: &[(Tone, String)]) -> Self {
        let mut left = BEGINNING_COLUMNS;
        let mut begun = Vec::new();
        for (tone, text) in body {
            let whole = *tone == Tone::Header;
            let shown: String = match whole {
                true => text.clone(),
                false => text.chars().take(left).collect(),
            };
            if !whole {
                left -= shown.chars().count();
            }
            begun.push((*tone, shown));
            if left == 0 {
                break;
            }
        }
        begun.push((Tone::Message, "…".to_owned()));
        Cell {
            title: grouped(bytes),
            body: begun,
        }
    }

    fn columns(&self) -> usize {
        let body: usize = self.body.iter().map(|(_, text)| text.width()).sum();
        // A line runs on behind the title, so that the corner is never mistaken for it.
        body.max(self.title.width() + 1)
    }
}

/// Draws a row of boxes behind its label, in as many lines as it takes.
pub(super) fn row(label: &str, label_columns: usize, cells: &[Cell], paint: Paint) -> String {
    let cells = &counted(cells);
    let indent = label_columns + 3;
    let mut text = String::new();
    let mut label = label;
    let mut rest = &cells[..];
    while !rest.is_empty() {
        let (line, later) = rest.split_at(fitting(rest, LINE_COLUMNS - indent));
        let blank = " ".repeat(indent);
        let named = format!("  {label}{} ", " ".repeat(label_columns - label.width()));
        text += &format!(
            "{named}{}\n",
            edge(line, ['┌', '┬', '┐'], |cell| &cell.title)
        );
        text += &format!("{blank}{}\n", middle(line, paint));
        text += &format!("{blank}{}\n", edge(line, ['└', '┴', '┘'], |_| ""));
        (label, rest) = ("", later);
    }
    text
}

/// At most [`ROW_BOXES`]: the first ones, one that counts, the last.
fn counted(cells: &[Cell]) -> Vec<Cell> {
    let Some((last, before)) = cells.split_last().filter(|_| cells.len() > ROW_BOXES) else {
        return cells.to_vec();
    };
    let (first, hidden) = before.split_at(ROW_BOXES - 2);
    let between = Cell {
        title: "…".to_owned(),
        body: vec![(Tone::Missing, format!("+{}", hidden.len()))],
    };
    [first, &[between], std::slice::from_ref(last)].concat()
}

/// How many boxes fit: at least one.
fn fitting(cells: &[Cell], columns: usize) -> usize {
    let mut used = 1;
    let fits = |cell: &&Cell| {
        used += cell.columns() + 1;
        used <= columns
    };
    cells.iter().take_while(fits).count().max(1)
}

fn edge<'a>(cells: &'a [Cell], corners: [char; 3], title: impl Fn(&'a Cell) -> &'a str) -> String {
    let [left, between, right] = corners;
    let mut text = String::from(left);
    for (index, cell) in cells.iter().enumerate() {
        let title = title(cell);
        text += title;
        text += &"─".repeat(cell.columns() - title.width());
        text.push(if index + 1 == cells.len() {
            right
        } else {
            between
        });
    }
    text
}

fn middle(cells: &[Cell], paint: Paint) -> String {
    let mut text = String::from("│");
    for cell in cells {
        let body: usize = cell.body.iter().map(|(_, text)| text.width()).sum();
        for (tone, part) in &cell.body {
            text += &painted(*tone, part, paint);
        }
        text += &" ".repeat(cell.columns() - body);
        text.push('│');
    }
    text
}

/// Colours of ECMA-48, "Select Graphic Rendition".
fn painted(tone: Tone, text: &str, paint: Paint) -> String {
    let colour = match tone {
        Tone::Message => return text.to_owned(),
        Tone::Header => 36,
        Tone::Broken => 31,
        Tone::Missing => 2,
    };
    match paint {
        Paint::Plain => text.to_owned(),
        Paint::Colour => format!("\x1b[{colour}m{text}\x1b[0m"),
    }
}

/// The character at `at`, or the byte if it is part of a header or of no character.
fn next(data: &[u8], at: usize, is_header: impl Fn(usize) -> bool) -> (Tone, String, usize) {
    if is_header(at) {
        return (Tone::Header, format!("{:02x}", data[at]), 1);
    }
    let longest = data.len().min(at + 4);
    let character = (at + 1..=longest).find_map(|end| std::str::from_utf8(&data[at..end]).ok());
    match character {
        Some(character) if !character.contains(char::is_control) => {
            (Tone::Message, character.to_owned(), character.len())
        }
        _ => (Tone::Broken, format!("\\x{:02x}", data[at]), 1),
    }
}

/// A number with a comma before each three digits.
pub(super) fn grouped(number: impl ToString) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(data: &[u8]) -> Cell {
        Cell::bytes(data, |_| false)
    }

    #[test]
    fn boxes_line_up_with_wide_characters_too() {
        let cells = ["ls", "你好", "uname -a"].map(|text| plain(text.as_bytes()));
        let drawn = row("发送", 4, &cells, Paint::Plain);
        let expected = "  \
  发送 ┌2─┬6───┬8───────┐
       │ls│你好│uname -a│
       └──┴────┴────────┘
";
        assert_eq!(drawn, expected);
        let columns: Vec<usize> = drawn.lines().map(UnicodeWidthStr::width).collect();
        assert_eq!(columns, [25; 3]);
    }

    #[test]
    fn a_character_that_is_cut_is_shown_byte_by_byte() {
        let cell = plain(&"你好".as_bytes()[..4]);
        let body = [(Tone::Message, "你".into()), (Tone::Broken, "\\xe5".into())];
        assert_eq!((cell.title.as_str(), &cell.body[..]), ("4", &body[..]));
        assert_eq!(plain(b"\x1b[m").body[0], (Tone::Broken, "\\x1b".into()));
    }

    #[test]
    fn headers_are_shown_as_hex_even_where_they_look_like_letters() {
        let cell = Cell::bytes(b"\0Ahi", |at| at < 2);
        let body = [(Tone::Header, "0041".into()), (Tone::Message, "hi".into())];
        assert_eq!(cell.body, body);
    }

    #[test]
    fn what_is_too_long_is_shown_by_its_beginning() {
        let cell = Cell::bytes(&[b'x'; 65_483], |at| at < 4);
        let text: String = cell.body.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(
            (cell.title.as_str(), text.as_str()),
            ("65,483", "78787878xxxxxx…")
        );
    }

    #[test]
    fn many_boxes_take_several_lines_and_very_many_are_counted() {
        let cells = vec![plain(&[b'a'; 20]); 9];
        let drawn = row("recv", 4, &cells, Paint::Plain);
        assert_eq!(drawn.lines().count(), 9);
        assert!(drawn.lines().all(|line| line.width() <= LINE_COLUMNS));
        let drawn = row("recv", 4, &vec![plain(b"a"); 40], Paint::Plain);
        assert!(drawn.contains("│+29│"), "{drawn}");
        assert_eq!(
            drawn.lines().nth(1).map(|line| line.matches('│').count()),
            Some(13)
        );
    }

    #[test]
    fn colour_is_used_only_when_asked_for() {
        let cells = [Cell::missing(7, "left")];
        assert!(row("x", 1, &cells, Paint::Colour).contains("\x1b[2mleft\x1b[0m"));
        assert!(!row("x", 1, &cells, Paint::Plain).contains('\x1b'));
    }
}
