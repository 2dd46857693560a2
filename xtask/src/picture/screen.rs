//! A terminal as far as the demo uses one, and what stands on each of its rows when.

use std::time::Duration;

use super::cast::Cast;

/// What stands for less cannot be seen.
const GLANCE: Duration = Duration::from_millis(30);

/// How a character looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Style {
    #[default]
    Plain,
    Dim,
    Red,
    Green,
    Yellow,
    /// Bold and red.
    Wrong,
}

/// Characters and their looks.
pub(super) type Row = Vec<(char, Style)>;

/// The rows of a recording, from the top. It has as many as were written: nothing scrolls.
#[derive(Debug, Default)]
pub(super) struct Film {
    /// What stands on each row from when on.
    pub(super) rows: Vec<Vec<(Duration, Row)>>,
    /// The end of the recording.
    pub(super) length: Duration,
}

impl Film {
    /// What is to be read in the end.
    pub(super) fn last_screen(&self) -> String {
        let last = |states: &Vec<(Duration, Row)>| -> String {
            let row = states.last().map(|(_, row)| row);
            row.into_iter().flatten().map(|(c, _)| *c).collect()
        };
        self.rows.iter().map(|row| last(row) + "\n").collect()
    }

    fn note(&mut self, at: Duration, index: usize, row: &Row) {
        // A row that is empty from the beginning is none until there is one below it.
        if row.is_empty() && self.rows.len() <= index {
            return;
        }
        if self.rows.len() <= index {
            self.rows.resize(index + 1, Vec::new());
        }
        let states = &mut self.rows[index];
        if states.last().is_some_and(|(_, last)| last == row) {
            return;
        }
        while states.last().is_some_and(|(since, _)| at - *since < GLANCE) {
            states.pop();
        }
        let before = states.last().map(|(_, row)| row);
        if before.map_or(!row.is_empty(), |before| before != row) {
            states.push((at, row.clone()));
        }
    }
}

/// Plays a recording.
///
/// # Errors
/// It uses something of a terminal that is not known here.
pub(super) fn film(cast: &Cast) -> anyhow::Result<Film> {
    let (mut film, mut screen) = (Film::default(), Screen::default());
    for (at, written) in &cast.writes {
        screen.write(written)?;
        for (index, row) in screen.rows.iter().enumerate() {
            film.note(*at, index, row);
        }
        film.length = *at;
    }
    Ok(film)
}

#[derive(Debug)]
struct Screen {
    rows: Vec<Row>,
    column: usize,
    style: Style,
}

impl Default for Screen {
    fn default() -> Self {
        Screen {
            rows: vec![Row::new()],
            column: 0,
            style: Style::Plain,
        }
    }
}

impl Screen {
    fn write(&mut self, text: &str) -> anyhow::Result<()> {
        let mut rest = text;
        while let Some(character) = rest.chars().next() {
            rest = &rest[character.len_utf8()..];
            match character {
                '\r' => self.column = 0,
                '\n' => self.rows.push(Row::new()),
                '\x1b' => {
                    let end = rest.find(|c: char| c.is_ascii_alphabetic());
                    let (sequence, behind) = rest.split_at(end.map_or(rest.len(), |end| end + 1));
                    self.control(sequence)?;
                    rest = behind;
                }
                character => self.put(character)?,
            }
        }
        Ok(())
    }

    fn put(&mut self, character: char) -> anyhow::Result<()> {
        anyhow::ensure!(!character.is_control(), "not known here: {character:?}");
        let (column, style) = (self.column, self.style);
        let row = self.row();
        if row.len() <= column {
            row.resize(column + 1, (' ', Style::Plain));
        }
        row[column] = (character, style);
        self.column += 1;
        Ok(())
    }

    /// ECMA-48: EL from here on, and the SGR of the demo.
    fn control(&mut self, sequence: &str) -> anyhow::Result<()> {
        match sequence {
            "[K" => {
                let column = self.column;
                self.row().truncate(column);
            }
            "[0m" => self.style = Style::Plain,
            "[2m" => self.style = Style::Dim,
            "[31m" => self.style = Style::Red,
            "[32m" => self.style = Style::Green,
            "[33m" => self.style = Style::Yellow,
            "[1;31m" => self.style = Style::Wrong,
            other => anyhow::bail!("a control sequence that is not known here: {other:?}"),
        }
        Ok(())
    }

    /// The row of the cursor, which is always the last.
    fn row(&mut self) -> &mut Row {
        let last = self.rows.len() - 1;
        &mut self.rows[last]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn film_of(writes: &[(u64, &str)]) -> Film {
        let writes = writes
            .iter()
            .map(|(at, text)| (Duration::from_millis(*at), (*text).to_owned()));
        film(&Cast {
            command: String::new(),
            writes: writes.collect(),
        })
        .unwrap()
    }

    #[test]
    fn a_row_holds_what_was_drawn_last_and_when() {
        let film = film_of(&[
            (0, "a\r\n"),
            (100, "\r\x1b[K\x1b[32mbar\x1b[0m"),
            (200, "\r\x1b[Kb"),
            (300, "c\r\nd"),
        ]);
        let texts = |row: usize| -> Vec<(u128, String)> {
            let states = film.rows[row].iter();
            states
                .map(|(at, row)| (at.as_millis(), row.iter().map(|(c, _)| *c).collect()))
                .collect()
        };
        let state = |at, text: &str| (at, text.to_owned());
        assert_eq!(texts(0), [state(0, "a")]);
        assert_eq!(
            texts(1),
            [state(100, "bar"), state(200, "b"), state(300, "bc")]
        );
        assert_eq!(texts(2), [state(300, "d")]);
        assert_eq!(film.rows[1][0].1[0].1, Style::Green);
        assert_eq!(film.last_screen(), "a\nbc\nd\n");
    }

    #[test]
    fn what_nobody_could_see_is_left_out() {
        let film = film_of(&[(0, "x"), (500, "\r\x1b[Ky"), (505, " …")]);
        let times: Vec<u128> = film.rows[0].iter().map(|(at, _)| at.as_millis()).collect();
        assert_eq!(times, [0, 505]);
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        assert!(Screen::default().write("\x1b[2J").is_err());
        assert!(Screen::default().write("\x07").is_err());
    }
}
