//! The word before the cursor, as a shell reads it, and how to write a path in its place.

/// The word before the cursor.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// Where it begins in the line, in bytes.
    pub(crate) start: usize,
    /// What it means, without quotes.
    pub(crate) text: String,
    /// It begins with a tilde that stands for the home directory.
    pub(crate) home: bool,
}

/// What ends a word: blanks, operators, and the equals sign of `name=PATH`.
fn ends_word(character: char) -> bool {
    character.is_whitespace()
        || matches!(
            character,
            ';' | '|' | '&' | '(' | ')' | '<' | '>' | '`' | '='
        )
}

/// The word at the end of `line`.
pub(crate) fn last_word(line: &str) -> Word {
    let (mut start, mut quote, mut text) = (0, None, String::new());
    let mut characters = line.char_indices();
    while let Some((at, character)) = characters.next() {
        match (quote, character) {
            (Some(open), character) if open == character => quote = None,
            (None, '\'' | '"') => quote = Some(character),
            (None | Some('"'), '\\') => text.extend(characters.next().map(|(_, escaped)| escaped)),
            (None, character) if ends_word(character) => {
                text.clear();
                start = at + character.len_utf8();
            }
            (_, character) => text.push(character),
        }
    }
    let home = line[start..].starts_with("~/");
    Word { start, text, home }
}

/// Writes `path` so that a shell reads it as it is.
pub(crate) fn quoted(path: &str) -> String {
    let special = |character: char| ends_word(character) || "'\"\\$*?[]{}!#~".contains(character);
    let escaped = path.chars().flat_map(|character| {
        let escape = special(character).then_some('\\');
        escape.into_iter().chain([character])
    });
    escaped.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_before_the_cursor_is_read_as_a_shell_does() {
        for (line, start, text, home) in [
            ("", 0, "", false),
            ("ls", 0, "ls", false),
            ("ls ", 3, "", false),
            ("ls /et", 3, "/et", false),
            ("ls a\\ b", 3, "a b", false),
            ("ls 'a b", 3, "a b", false),
            ("ls \"a \\\"b", 3, "a \"b", false),
            ("ls x'a b'c", 3, "xa bc", false),
            ("cat<in|x>/ou", 9, "/ou", false),
            ("dd if=/de", 6, "/de", false),
            ("echo 'done' /x", 12, "/x", false),
            ("ls ~/a", 3, "~/a", true),
            ("ls '~/a", 3, "~/a", false),
            ("ls 电话/文", 3, "电话/文", false),
        ] {
            let text = text.to_owned();
            assert_eq!(last_word(line), Word { start, text, home }, "{line}");
        }
    }

    #[test]
    fn a_path_is_written_so_that_it_is_read_back() {
        for path in [
            "plain",
            "two words",
            "it's",
            "a\"$b`c\\d",
            "电话",
            "-x;&|",
            "a=b#~*?[]{}!",
        ] {
            let line = format!("printf %s {}", quoted(path));
            assert_eq!(last_word(&line).text, path);
            let shell = std::process::Command::new("sh")
                .args(["-c", &line])
                .output();
            let read = String::from_utf8(shell.unwrap().stdout).unwrap();
            assert_eq!(read, path, "{line}");
        }
    }
}
