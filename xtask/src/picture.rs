//! `cargo xtask picture`: a run of `redial demo drop` on a terminal, recorded as
//! docs/demo-drop.cast (asciicast, version 2), and drawn as docs/demo-drop.svg.
//!
//! What it shows is what that run has written, when it has written it; nothing is made up but
//! the prompt above.

mod cast;
mod screen;
mod svg;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context;

use crate::artifacts::{Executable, Kind};
use crate::cargo;
use cast::Cast;

const CAST: &str = "docs/demo-drop.cast";
const SVG: &str = "docs/demo-drop.svg";
const DEMO: [&str; 2] = ["demo", "drop"];

/// Runs the demo and keeps what it writes.
///
/// # Errors
/// It cannot be built or run, or does not hold what it promises.
pub(crate) fn record(root: &Path) -> anyhow::Result<()> {
    let redial = build(root)?;
    let cast = Cast::record(&redial, &DEMO)?;
    write(&root.join(CAST), &cast.to_text()?)
}

/// Draws the last recording. True: it is done.
///
/// # Errors
/// The recording cannot be read, or has something in it that the picture has not.
pub(crate) fn redraw(root: &Path) -> anyhow::Result<bool> {
    let path = root.join(CAST);
    let text = fs::read_to_string(&path);
    let text = text.with_context(|| format!("cannot read {}", path.display()))?;
    write(&root.join(SVG), &draw(&text)?)?;
    Ok(true)
}

/// The picture of a recording: the same for the same.
fn draw(text: &str) -> anyhow::Result<String> {
    let cast = Cast::parse(text)?;
    let film = screen::film(&cast)?;
    Ok(svg::draw(&cast.command, &film))
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    println!("{}: {} bytes", path.display(), text.len());
    Ok(())
}

fn build(root: &Path) -> anyhow::Result<PathBuf> {
    let output = cargo(root)
        .args(["build", "--release", "-p", "redial", "--bins"])
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    anyhow::ensure!(output.status.success(), "cargo build: {}", output.status);
    let messages = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut built = messages.lines().filter_map(Executable::from_message);
    let redial = built.find(|e| e.kind == Kind::Program && e.file_name() == "redial");
    Ok(redial.context("cargo made no redial")?.path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of what a page loads before anything else, this is to be a small part.
    const MOST_BYTES: usize = 60_000;

    fn stored(path: &str) -> String {
        fs::read_to_string(crate::root().join(path)).unwrap()
    }

    #[test]
    fn the_picture_in_the_repository_is_drawn_from_the_recording_there() {
        let drawn = draw(&stored(CAST)).unwrap();
        assert!(drawn == stored(SVG), "run `cargo xtask picture --redraw`");
        assert!(drawn.len() <= MOST_BYTES, "{} bytes", drawn.len());
        assert!(!drawn.contains("<script") && !drawn.contains("http://www.w3.org/1999/xlink"));
    }

    /// Every element is closed in its turn, and text has nothing in it that is markup.
    #[test]
    fn the_picture_is_well_formed() {
        let picture = stored(SVG);
        let mut open = Vec::new();
        for part in picture.split('<').skip(1) {
            let (tag, text) = part.split_once('>').unwrap();
            assert!(!text.contains('>'), "{part}");
            for reference in text.split('&').skip(1) {
                assert!(
                    ["amp;", "lt;", "gt;"]
                        .iter()
                        .any(|known| reference.starts_with(known))
                );
            }
            assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
            let name = tag.split([' ', '/']).find(|name| !name.is_empty()).unwrap();
            match (tag.starts_with('/'), tag.ends_with('/')) {
                (true, _) => assert_eq!(open.pop(), Some(name)),
                (false, true) => {}
                (false, false) => open.push(name),
            }
        }
        assert!(open.is_empty(), "{open:?}");
        assert!(picture.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
    }

    #[test]
    fn the_recording_is_of_a_run_in_which_all_held() {
        let cast = Cast::parse(&stored(CAST)).unwrap();
        assert_eq!(cast.command, "redial demo drop");
        let film = screen::film(&cast).unwrap();
        let last = film.last_screen();
        assert!(
            last.contains("Every byte arrived once, in its place."),
            "{last}"
        );
        assert_eq!(last.matches("front killed at").count(), 2, "{last}");
        assert_eq!(last.matches("  cut ").count(), 10, "{last}");
    }
}
