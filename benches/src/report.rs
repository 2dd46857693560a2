//! What is printed, and where it is kept: sections, goals, Markdown.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::{Map, Value, json};

use crate::plot::Plot;
use crate::table::Table;

/// Where pictures and figures are kept, beside the page that shows them.
const PLOTS: &str = "performance";

/// One thing measured.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) title: &'static str,
    /// How it was measured, in a sentence or two.
    pub(crate) how: String,
    /// The figures: tables, or a program's own text in a fence.
    pub(crate) figures: String,
    pub(crate) goals: Vec<Goal>,
    /// The figures once more, as pictures, and for programs.
    pub(crate) plots: Vec<Plot>,
}

/// What is to be reached.
#[derive(Debug, Clone)]
pub(crate) struct Goal {
    pub(crate) what: String,
    pub(crate) wanted: String,
    pub(crate) measured: String,
    pub(crate) verdict: Verdict,
}

/// Whether it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Reached,
    Missed,
    /// A peer is not installed here, or could not be started.
    Skipped,
}

impl Goal {
    /// A goal that was measured.
    pub(crate) fn measured(what: &str, wanted: &str, measured: String, reached: bool) -> Self {
        let verdict = match reached {
            true => Verdict::Reached,
            false => Verdict::Missed,
        };
        Goal {
            what: what.to_owned(),
            wanted: wanted.to_owned(),
            measured,
            verdict,
        }
    }

    /// A goal that could not be measured here.
    pub(crate) fn skipped(what: &str, wanted: &str, reason: &str) -> Self {
        Goal {
            what: what.to_owned(),
            wanted: wanted.to_owned(),
            measured: reason.to_owned(),
            verdict: Verdict::Skipped,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Reached => "reached",
            Verdict::Missed => "**missed**",
            Verdict::Skipped => "skipped",
        })
    }
}

/// The whole text: the circumstances, the goals, then each section.
pub(crate) fn markdown(circumstances: &[(&str, String)], sections: &[Section]) -> String {
    let mut text = String::new();
    for (name, value) in circumstances {
        text += &format!("- {name}: {value}\n");
    }
    let mut goals = Table::new(["Goal", "wanted", "measured", "verdict"]);
    for goal in sections.iter().flat_map(|section| &section.goals) {
        goals.row([
            goal.what.clone(),
            goal.wanted.clone(),
            goal.measured.clone(),
            goal.verdict.to_string(),
        ]);
    }
    if sections.iter().any(|section| !section.goals.is_empty()) {
        text += &format!("\n{goals}");
    }
    for section in sections {
        let Section {
            title,
            how,
            figures,
            plots,
            ..
        } = section;
        text += &format!("\n### {title}\n\n{how}\n\n{figures}");
        for plot in plots {
            text += &format!("\n![{}]({PLOTS}/{}.svg)\n", plot.title, plot.name);
        }
    }
    text
}

/// The same for programs.
pub(crate) fn json(circumstances: &[(&str, String)], sections: &[Section]) -> Value {
    let about: Map<String, Value> = circumstances
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    let goals = sections
        .iter()
        .flat_map(|section| &section.goals)
        .map(|goal| {
            let Goal {
                what,
                wanted,
                measured,
                verdict,
            } = goal;
            let verdict = verdict.to_string().replace('*', "");
            json!({ "goal": what, "wanted": wanted, "measured": measured, "verdict": verdict })
        });
    let goals: Vec<Value> = goals.collect();
    let plots = sections.iter().flat_map(|section| &section.plots);
    let figures: Vec<Value> = plots.map(Plot::json).collect();
    json!({ "about": about, "goals": goals, "figures": figures })
}

/// Writes the pictures, and all figures as JSON in a file of this name, beside a page.
///
/// # Errors
/// One cannot be drawn or written.
pub(crate) fn keep_figures(
    page: &Path,
    name: &str,
    figures: &Value,
    sections: &[Section],
) -> anyhow::Result<()> {
    let dir = page.with_file_name(PLOTS);
    let put = |file: PathBuf, text: String| {
        fs::write(&file, text).with_context(|| file.display().to_string())
    };
    fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    for plot in sections.iter().flat_map(|section| &section.plots) {
        put(dir.join(format!("{}.svg", plot.name)), plot.svg()?)?;
    }
    let text = serde_json::to_string_pretty(figures)? + "\n";
    put(dir.join(format!("{name}.json")), text)
}

/// Puts `text` between the markers of this name in a page, in place of what was there.
///
/// # Errors
/// The page cannot be read or written, or has no markers.
pub(crate) fn keep(page: &Path, marker: &str, text: &str) -> anyhow::Result<()> {
    let place = || page.display().to_string();
    let before = fs::read_to_string(page).with_context(place)?;
    let after = between_markers(&before, marker, text)
        .with_context(|| format!("{}: lacks <!-- {marker}:begin --> or its end", place()))?;
    fs::write(page, after).with_context(place)
}

fn between_markers(page: &str, marker: &str, text: &str) -> Option<String> {
    let [begin, end] = ["begin", "end"].map(|side| format!("<!-- {marker}:{side} -->"));
    let (head, rest) = page.split_once(&begin)?;
    let (_, tail) = rest.split_once(&end)?;
    Some(format!("{head}{begin}\n\n{}\n\n{end}{tail}", text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let page = |text| format!("a\n<!-- x:begin -->\n{text}\n<!-- x:end -->\nb\n");
        let new = between_markers(&page("old"), "x", "new\n").unwrap();
        assert_eq!(new, page("\nnew\n"));
        assert_eq!(between_markers(&new, "x", "new\n"), Some(new.clone()));
        assert_eq!(between_markers(&new, "y", "new"), None);
    }

    #[test]
    fn goals_stand_before_figures_and_say_their_verdict() {
        let section = Section {
            title: "Speed",
            how: "Ten runs.".to_owned(),
            figures: "| a |\n".to_owned(),
            goals: vec![
                Goal::measured("fast", "≤ 1", "2".to_owned(), false),
                Goal::skipped("than ssh", "≤ 1", "no ssh here"),
            ],
            plots: Vec::new(),
        };
        let told = json(&[("CPU", "one".to_owned())], std::slice::from_ref(&section));
        assert_eq!(told["about"]["CPU"], "one");
        assert_eq!(told["goals"][0]["verdict"], "missed");
        let text = markdown(&[("CPU", "one".to_owned())], &[section]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "- CPU: one");
        assert!(lines[4].contains("fast") && lines[4].contains("**missed**"));
        assert!(lines[5].contains("no ssh here") && lines[5].contains("skipped"));
        assert_eq!(lines[7..], ["### Speed", "", "Ten runs.", "", "| a |"]);
    }
}
