//! Draws a film: each row is a strip of what stands on it, moved by CSS behind a window one row
//! high. Who wants no motion, or cannot show it, sees the end.

use std::fmt::Write as _;
use std::time::Duration;

use super::screen::{Film, Row, Style};

/// In pixels.
const COLUMN: f64 = 7.8;
const ROW: usize = 19;
const BASELINE: usize = 14;
const PADDING: usize = 18;
const COLUMNS: usize = 82;
/// How long the end stands before it begins anew.
const HOLD: Duration = Duration::from_secs(7);

/// A terminal of its own colours, so that it can be read on a light page and on a dark one.
const STYLE: &str = "\
text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',\
monospace;fill:#d1d7e0;white-space:pre}\
.d{fill:#59636e}.r{fill:#ff7b72}.g{fill:#56d364}.y{fill:#e3b341}.w{fill:#ff7b72;font-weight:bold}\
@media(prefers-reduced-motion:reduce){g{animation:none!important}}";

/// The picture; the same for the same film.
pub(super) fn draw(command: &str, film: &Film) -> String {
    let (width, height) = (
        2 * PADDING + (COLUMN * COLUMNS as f64) as usize,
        2 * PADDING + ROW * (film.rows.len() + 1),
    );
    let length = film.length + HOLD;
    let mut style = STYLE.to_owned();
    let mut rows = String::new();
    for (index, states) in film.rows.iter().enumerate() {
        // The first row is the prompt's.
        let top = PADDING + ROW * (index + 1);
        strip(index, top, states, length, &mut style, &mut rows);
    }
    let prompt = text(&plain(&format!("$ {command}")), PADDING + BASELINE);
    let last = film.last_screen();
    let mut words = last.lines().map(str::trim).filter(|line| !line.is_empty());
    let (title, end) = (format!("A terminal: {command}"), words.next_back());
    let opening: Vec<&str> = words.take_while(|line| !line.starts_with("cut")).collect();
    let description = format!("{} {}", opening.join(" "), end.unwrap_or_default());
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"title desc\">\n\
         <title id=\"title\">{}</title>\n<desc id=\"desc\">{}</desc>\n<style>{style}</style>\n\
         <rect x=\".5\" y=\".5\" width=\"{}\" height=\"{}\" rx=\"8\" fill=\"#0d1117\" \
         stroke=\"#3d444d\"/>\n<svg x=\"{PADDING}\" width=\"{}\">\n{prompt}\n{rows}</svg>\n</svg>\n",
        escaped(&title),
        escaped(&description),
        width - 1,
        height - 1,
        width - 2 * PADDING,
    )
}

/// A row: nothing at first, then each of its states below the one before.
fn strip(
    index: usize,
    top: usize,
    states: &[(Duration, Row)],
    length: Duration,
    style: &mut String,
    rows: &mut String,
) {
    if states.is_empty() {
        return;
    }
    let mut frames = "0%{transform:translateY(0)}".to_owned();
    let mut strip = String::new();
    for (number, (at, row)) in states.iter().enumerate() {
        let offset = ROW * (number + 1);
        let percent = 100.0 * at.as_secs_f64() / length.as_secs_f64();
        // A frame at the very beginning takes the place of the first.
        if percent < 0.001 {
            frames.clear();
        }
        let _ = write!(frames, "{percent:.3}%{{transform:translateY(-{offset}px)}}");
        let drawn = text(row, offset + BASELINE);
        if !drawn.is_empty() {
            strip += &drawn;
            strip.push('\n');
        }
    }
    let seconds = length.as_secs_f64();
    let _ = write!(
        style,
        "\n@keyframes k{index}{{{frames}}}.k{index}{{animation:k{index} {seconds:.3}s step-end infinite}}"
    );
    let _ = write!(
        rows,
        "<svg y=\"{top}\" height=\"{ROW}\"><g class=\"k{index}\" transform=\"translate(0,-{})\">\n{strip}</g></svg>\n",
        ROW * states.len(),
    );
}

/// One row's characters: what belongs together as text, at its columns; lines as rectangles,
/// which no font can draw out of place.
fn text(row: &Row, baseline: usize) -> String {
    let (mut rectangles, mut spans) = (String::new(), String::new());
    for run in runs(row) {
        let (x, class) = (run.column as f64 * COLUMN, class(run.style));
        let width = run.text.chars().count() as f64 * COLUMN;
        let thick = match run.text.chars().next() {
            Some('━') => Some(6),
            Some('─') => Some(2),
            _ => None,
        };
        if let Some(thick) = thick {
            let y = baseline - 4 - thick / 2;
            let _ = write!(
                rectangles,
                "<rect x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"{thick}\"{class}/>"
            );
            continue;
        }
        let _ = write!(
            spans,
            "<tspan x=\"{x:.1}\" textLength=\"{width:.1}\"{class}>{}</tspan>",
            escaped(&run.text)
        );
    }
    if !spans.is_empty() {
        spans = format!("<text y=\"{baseline}\">{spans}</text>");
    }
    rectangles + &spans
}

struct Run {
    column: usize,
    style: Style,
    text: String,
}

/// What looks the same and has at most one space in a row; a line ends where its kind does.
fn runs(row: &Row) -> Vec<Run> {
    let kind = |c: char| "━─".find(c);
    let (mut runs, mut spaces): (Vec<Run>, usize) = (Vec::new(), 2);
    for (column, (character, style)) in row.iter().enumerate() {
        if *character == ' ' {
            spaces += 1;
            continue;
        }
        let goes_on = |run: &&mut Run| {
            let last = run.text.chars().next_back().and_then(kind);
            spaces < 2 && run.style == *style && last == kind(*character)
        };
        match runs.last_mut().filter(goes_on) {
            Some(run) => {
                run.text.push_str(&" ".repeat(spaces));
                run.text.push(*character);
            }
            None => runs.push(Run {
                column,
                style: *style,
                text: character.to_string(),
            }),
        }
        spaces = 0;
    }
    runs
}

fn plain(text: &str) -> Row {
    text.chars().map(|c| (c, Style::Plain)).collect()
}

fn class(style: Style) -> &'static str {
    match style {
        Style::Plain => "",
        Style::Dim => " class=\"d\"",
        Style::Red => " class=\"r\"",
        Style::Green => " class=\"g\"",
        Style::Yellow => " class=\"y\"",
        Style::Wrong => " class=\"w\"",
    }
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(row: &[(&str, Style)]) -> String {
        let characters =
            |(text, style): &(&str, Style)| -> Row { text.chars().map(|c| (c, *style)).collect() };
        let row: Row = row.iter().flat_map(characters).collect();
        text(&row, 14)
    }

    #[test]
    fn words_stand_at_their_columns_and_lines_are_rectangles() {
        assert_eq!(
            drawn(&[("  a <b>   c", Style::Plain)]),
            "<text y=\"14\"><tspan x=\"15.6\" textLength=\"39.0\">a &lt;b&gt;</tspan>\
             <tspan x=\"78.0\" textLength=\"7.8\">c</tspan></text>"
        );
        assert_eq!(
            drawn(&[("━━", Style::Green), ("─", Style::Dim)]),
            "<rect x=\"0.0\" y=\"7\" width=\"15.6\" height=\"6\" class=\"g\"/>\
             <rect x=\"15.6\" y=\"9\" width=\"7.8\" height=\"2\" class=\"d\"/>"
        );
        assert_eq!(drawn(&[("   ", Style::Plain)]), "");
    }

    #[test]
    fn each_state_of_a_row_has_its_time() {
        let rows = vec![vec![
            (Duration::ZERO, plain("a")),
            (Duration::from_millis(1_000), plain("b")),
        ]];
        let length = Duration::from_secs(3);
        let picture = draw("x", &Film { rows, length });
        let frames = "{0.000%{transform:translateY(-19px)}10.000%{transform:translateY(-38px)}}";
        assert!(
            picture.contains(&format!("@keyframes k0{frames}")),
            "{picture}"
        );
        assert!(
            picture.contains("transform=\"translate(0,-38)\""),
            "{picture}"
        );
    }
}
