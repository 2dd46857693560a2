//! What is put in a case's lines.

use std::process::Command;

/// `YYYYMMDDHHMMSS` on a clock that shows so many seconds.
pub(crate) fn stamp(seconds: u64) -> String {
    let at = format!("@{seconds}");
    let date = Command::new("date")
        .args(["-u", "-d", &at, "+%Y%m%d%H%M%S"])
        .output();
    String::from_utf8(date.unwrap().stdout)
        .unwrap()
        .trim()
        .to_owned()
}

pub(crate) fn replace(text: &[u8], name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut done = Vec::new();
    let mut rest = text;
    while let Some(byte) = rest.first() {
        match rest.strip_prefix(name) {
            Some(after) => {
                done.extend_from_slice(value);
                rest = after;
            }
            None => {
                done.push(*byte);
                rest = &rest[1..];
            }
        }
    }
    done
}
