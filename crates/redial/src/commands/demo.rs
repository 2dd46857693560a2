//! `redial demo`: plays the scenes of `sticky`, draws them or says them as JSON; and `drop`.

mod boxes;
mod drop;
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
    let (name, done) = match &args.what {
        DemoCommand::Sticky(args) => ("sticky", sticky(args).map(|()| 0)),
        DemoCommand::Drop(args) => ("drop", drop::drop(args)),
        DemoCommand::DropJob(args) => ("drop-job", drop::job(args)),
    };
    match done {
        Ok(code) => code,
        Err(error) if nobody_reads(&error) => exit_code::NOBODY_READS,
        Err(error) => {
            report::error(format_args!("demo {name}: {error:#}"));
            exit_code::FAILED
        }
    }
}

fn sticky(args: &StickyArgs) -> anyhow::Result<()> {
    let words = words::of(chosen(args.lang));
    let paint = paint();
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

/// The language that was asked for, else that of the environment.
fn chosen(asked: Option<Language>) -> Language {
    asked.unwrap_or_else(|| language(|name| std::env::var_os(name)))
}

fn paint() -> Paint {
    let coloured = io::stdout().is_terminal() && !is_set(std::env::var_os("NO_COLOR"));
    if coloured {
        Paint::Colour
    } else {
        Paint::Plain
    }
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
