//! The pages a learner reads do what they say: every command of docs/lesson.md is run and its
//! output compared, and the Chinese pages have the same code as the English ones. (The Rust
//! programs of the lesson are doc tests of redial-classic.)
//!
//! How a page is written is told in it, under "How to read this", and in `page.rs`.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

mod page;
#[path = "../support/mod.rs"]
mod support;
mod terminal;

use page::{Fence, fences, table_code};

const ENGLISH: &str = include_str!("../../../../docs/lesson.md");
const CHINESE: &str = include_str!("../../../../docs/lesson.zh.md");
const README: &str = include_str!("../../../../README.md");
const CHINESE_README: &str = include_str!("../../../../README.zh.md");

/// The programs of the lesson by its own names, English and Chinese, and a command that is each
/// of them here.
const PROGRAMS: [(&str, &str, &str); 6] = [
    ("simple telephone", "简版电话", "redial echo serve"),
    ("improved telephone", "改进版", "redial echo serve"),
    (
        "remote command execution",
        "远程执行命令",
        "redial classic serve",
    ),
    ("sticky packets", "粘包", "redial demo sticky"),
    ("struct", "struct", "redial frame pack"),
    ("solution", "解决方法", "redial classic serve"),
];

/// The calls of the lesson.
const CALLS: [&str; 20] = [
    "bind",
    "listen",
    "accept",
    "connect",
    "connect_ex",
    "recv",
    "send",
    "sendall",
    "recvfrom",
    "sendto",
    "getpeername",
    "getsockname",
    "getsockopt",
    "setsockopt",
    "close",
    "setblocking",
    "settimeout",
    "gettimeout",
    "fileno",
    "makefile",
];

#[test]
fn every_command_of_the_lesson_does_what_the_page_says() {
    let consoles = fences(ENGLISH)
        .into_iter()
        .filter(|fence| fence.language == "console");
    let mut wrong = Vec::new();
    for console in consoles {
        if let Err(why) = terminal::play(&console.text) {
            wrong.push(format!("docs/lesson.md:{}: {why}", console.line));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn the_lesson_has_the_same_code_in_both_languages() {
    same_code(ENGLISH, CHINESE);
}

#[test]
fn the_readme_has_the_same_code_in_both_languages() {
    same_code(README, CHINESE_README);
    assert!(README.contains("](README.zh.md)") && CHINESE_README.contains("](README.md)"));
}

#[test]
fn every_call_of_the_lesson_has_a_line_of_rust_that_runs() {
    let rows = table_code(ENGLISH, "`bind`");
    assert_eq!(rows, table_code(CHINESE, "`bind`"));
    let calls: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(calls, CALLS);
    let programs: String = fences(ENGLISH)
        .iter()
        .filter(|fence| fence.language == "rust")
        .map(|fence| fence.text.as_str())
        .collect();
    for row in &rows {
        let [call, lines @ ..] = &row[..] else {
            unreachable!("a row has a call")
        };
        assert!(!lines.is_empty(), "{call} has no line of Rust");
        for line in lines {
            assert!(
                programs.contains(line),
                "{call}: `{line}` is in no program of the page"
            );
        }
    }
}

#[test]
fn every_program_of_the_lesson_is_found_under_its_own_name() {
    for (english, chinese, command) in PROGRAMS {
        for (page, name) in [(ENGLISH, english), (CHINESE, chinese)] {
            let section = page::section(page, name).unwrap_or_else(|| panic!("no heading: {name}"));
            let consoles = fences(section)
                .into_iter()
                .filter(|f| f.language == "console");
            let shown = consoles
                .filter(|fence| fence.text.contains(command))
                .count();
            assert!(shown > 0, "{name}: {command} is not shown");
        }
    }
}

#[track_caller]
fn same_code(one: &str, other: &str) {
    let (one, other) = (fences(one), fences(other));
    let texts = |fences: &[Fence]| -> Vec<(String, String)> {
        let pair = |fence: &Fence| (fence.language.clone(), fence.without_comments());
        fences
            .iter()
            .filter(|fence| fence.is_code())
            .map(pair)
            .collect()
    };
    for (one, other) in texts(&one).iter().zip(&texts(&other)) {
        assert_eq!(one, other);
    }
    assert_eq!(texts(&one).len(), texts(&other).len());
}
