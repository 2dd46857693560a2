//! `redial demo`: plays the scenes, draws them or says them as JSON.

mod boxes;
mod json;
mod story;
mod words;

use std::ffi::OsString;
use std::io::{self, ErrorKind, IsTerminal, Write};

use anyhow::Context;
use redial_classic::demo::Scene;

use crate::args::{DemoArgs, DemoCommand, Language, StickyArgs};
use crate::exit_code;
use crate::report;
use crate::stdio::Stdout;
use boxes::Paint;

/// Shows it; the result is our exit code.
pub(crate) fn demo(args: &DemoArgs) -> u8 {
    let DemoCommand::Sticky(args) = &args.what;
    match sticky(args) {
        Ok(()) => 0,
        Err(error) if nobody_reads(&error) => exit_code::NOBODY_READS,
        Err(error) => {
            report::error(format_args!("demo sticky: {error:#}"));
            exit_code::FAILED
        }
    }
}

fn sticky(args: &StickyArgs) -> anyhow::Result<()> {
    let environment = |name: &str| std::env::var_os(name);
    let language = args.lang.unwrap_or_else(|| language(environment));
    let coloured = io::stdout().is_terminal() && !is_set(environment("NO_COLOR"));
    let paint = if coloured {
        Paint::Colour
    } else {
        Paint::Plain
    };
    let words = words::of(language);
    if !args.json {
        print(&story::opening(words))?;
    }
    for scene in Scene::ALL {
        let events = scene.play()?;
        let text = match args.json {
            true => json::scene(scene, &events)?,
            false => story::scene(scene, &events, words, paint),
        };
        print(&text)?;
    }
    Ok(())
}

fn print(text: &str) -> anyhow::Result<()> {
    Stdout.write_all(text.as_bytes()).context("cannot write")
}

/// Our stdout was closed, as by `| head`.
fn nobody_reads(error: &anyhow::Error) -> bool {
    let broken = |error: &io::Error| error.kind() == ErrorKind::BrokenPipe;
    error.downcast_ref().is_some_and(broken)
}

/// The language of the messages (locale(7)): the first variable that is set decides.
fn language(environment: impl Fn(&str) -> Option<OsString>) -> Language {
    let locale = ["LC_ALL", "LC_MESSAGES", "LANG"]
        .into_iter()
        .filter_map(environment)
        .find(|value| !value.is_empty());
    match locale {
        Some(locale) if locale.as_encoded_bytes().starts_with(b"zh") => Language::Zh,
        _ => Language::En,
    }
}

fn is_set(value: Option<OsString>) -> bool {
    value.is_some_and(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(set: &[(&str, &str)]) -> Language {
        let value = |name: &str| set.iter().find(|(set, _)| *set == name);
        language(|name| value(name).map(|(_, value)| OsString::from(value)))
    }

    #[test]
    fn the_first_variable_that_is_set_decides_the_language() {
        for set in [
            &[("LANG", "zh_CN.UTF-8")][..],
            &[("LC_MESSAGES", "zh"), ("LANG", "de_DE.UTF-8")],
            &[("LC_ALL", "zh_TW"), ("LC_MESSAGES", "C"), ("LANG", "C")],
            &[("LC_ALL", ""), ("LANG", "zh_CN.gbk")],
        ] {
            assert_eq!(of(set), Language::Zh, "{set:?}");
        }
        for set in [
            &[][..],
            &[("LANG", "C.UTF-8")],
            &[("LC_ALL", "C"), ("LANG", "zh_CN.UTF-8")],
            &[("LC_MESSAGES", "en_GB"), ("LANG", "zh_CN.UTF-8")],
        ] {
            assert_eq!(of(set), Language::En, "{set:?}");
        }
    }
}
