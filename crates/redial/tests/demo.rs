//! `redial demo sticky`: what a learner sees, in both languages, and what a program reads.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

mod support;

use serde_json::Value;
use support::{Ran, Redial};
use unicode_width::UnicodeWidthStr;

fn sticky(args: &[&str], locale: &[(&str, &str)]) -> Ran {
    let mut redial = Redial::bare(["demo", "sticky"]).args(args);
    for name in ["LC_ALL", "LC_MESSAGES", "LANG"] {
        redial = redial.env(name, "");
    }
    let redial = locale
        .iter()
        .fold(redial, |redial, (name, value)| redial.env(name, value));
    let ran = redial.ran();
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    ran
}

fn text(ran: Ran) -> String {
    String::from_utf8(ran.stdout).unwrap()
}

/// The JSON lines of each scene, by its name.
fn scenes() -> Vec<(String, Vec<Value>)> {
    let mut scenes: Vec<(String, Vec<Value>)> = Vec::new();
    for line in text(sticky(&["--json"], &[])).lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        match value["event"].as_str().unwrap() {
            "scene" => scenes.push((value["scene"].as_str().unwrap().to_owned(), Vec::new())),
            _ => scenes.last_mut().unwrap().1.push(value),
        }
    }
    scenes
}

fn texts<'a>(events: &'a [Value], event: &str) -> Vec<&'a str> {
    let of = events.iter().filter(|value| value["event"] == event);
    of.map(|value| value["text"].as_str().unwrap()).collect()
}

/// Asserts that what boxes were drawn line up, and returns how many rows there were.
#[track_caller]
fn rows_that_line_up(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let tops = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.contains('┌'));
    let mut rows = 0;
    for (at, top) in tops {
        assert!(top.width() <= 80, "{top}");
        for below in &lines[at + 1..at + 3] {
            assert_eq!(below.width(), top.width(), "{top}\n{below}");
        }
        rows += 1;
    }
    rows
}

#[test]
fn it_draws_what_each_call_gave_in_boxes_that_line_up() {
    let text = text(sticky(&[], &[]));
    assert!(rows_that_line_up(&text) >= 16, "{text}");
    for row in [
        "  send  ┌2─┬3──┬6───┬6─────┬8───────┐\n        │ls│pwd│你好│whoami│uname -a│\n",
        "  recv  ┌25─────────────────────┐\n        │lspwd你好whoamiuname -a│\n",
        "  found ┌2─┬3──┬6───┬6─────┬8───────┐\n        │ls│pwd│你好│whoami│uname -a│\n",
        "│ls│pwd│你\\xe5│whoa│unam│\n",
    ] {
        assert!(text.contains(row), "{row}\nis not in\n{text}");
    }
}

#[test]
fn it_speaks_the_language_of_the_environment_unless_told_another() {
    let chinese = [("LANG", "zh_CN.UTF-8")];
    for (args, locale, title) in [
        (&[][..], &[][..], "TCP: five messages at once"),
        (&[], &chinese, "TCP：连发五条消息"),
        (&["--lang", "zh"], &[], "TCP：连发五条消息"),
        (&["--lang", "en"], &chinese, "TCP: five messages at once"),
    ] {
        let text = text(sticky(args, locale));
        assert!(text.contains(title), "{args:?} {locale:?}\n{text}");
        assert!(rows_that_line_up(&text) >= 16, "{text}");
        assert!(text.lines().all(|line| line.width() <= 84), "{text}");
    }
}

#[test]
fn into_a_pipe_it_writes_no_colours() {
    assert!(!text(sticky(&[], &[])).contains('\x1b'));
}

#[test]
fn json_says_what_was_received_of_the_five_messages() {
    let scenes = scenes();
    let names: Vec<&str> = scenes.iter().map(|(name, _)| name.as_str()).collect();
    let all = [
        "glued",
        "pieces",
        "framed-glued",
        "framed-pieces",
        "datagrams",
        "short-datagrams",
        "partial-send",
        "sendall",
    ];
    assert_eq!(names, all);
    let of = |name| &scenes.iter().find(|(scene, _)| scene == name).unwrap().1;
    let messages = ["ls", "pwd", "你好", "whoami", "uname -a"];
    assert_eq!(texts(of("glued"), "sent"), messages);
    assert_eq!(texts(of("glued"), "received"), [messages.concat()]);
    assert_eq!(texts(of("framed-glued"), "message"), messages);
    assert_eq!(texts(of("datagrams"), "received"), messages);
    let cut: Vec<&Value> = of("short-datagrams")
        .iter()
        .map(|event| &event["hex"])
        .collect();
    assert!(cut.contains(&&Value::from("e4bda0e5")), "{cut:?}");
}

#[test]
fn json_sums_up_each_scene() {
    for (scene, events) in scenes() {
        let summary = events.last().unwrap();
        assert_eq!(summary["event"], "summary", "{scene}");
        let kept = |what: &str| summary[what].as_bool().unwrap();
        let count = |what: &str| summary[what].as_u64().unwrap();
        let framed = scene.starts_with("framed");
        assert_eq!(kept("messages_kept"), framed, "{scene}");
        assert_eq!(kept("boundaries_kept"), scene == "datagrams", "{scene}");
        let lost = ["short-datagrams", "partial-send"].contains(&scene.as_str());
        assert_eq!(kept("bytes_kept"), !lost, "{scene}");
        match scene.as_str() {
            "pieces" | "framed-pieces" => assert!(count("receives") > 1, "{summary}"),
            "sendall" => assert!(count("sends") > 1, "{summary}"),
            "partial-send" => assert!(count("bytes_sent") < 200_000, "{summary}"),
            _ => {}
        }
    }
}

#[test]
fn a_reader_that_has_seen_enough_ends_it_without_a_word() {
    let mut child = Redial::bare(["demo", "sticky"]).spawn();
    drop(child.stdout.take());
    assert_eq!(support::wait(&mut child), 141);
    let stderr = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
    assert_eq!(stderr, "");
}
