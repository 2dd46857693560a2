//! English.

use super::Words;
use crate::commands::demo::boxes::grouped;

pub(super) static WORDS: Words = Words {
    opening: |size| {
        format!(
            "\
A job prints {} bytes. On the way the line is cut ten times, and the
server's network process, its front, is killed twice. It happens right now, on
this machine; each byte is checked against its place.",
            grouped(size)
        )
    },
    cut: |number| format!("cut {number}"),
    killed: "front killed",
    at: |at| format!("at {at} bytes"),
    back: |pause, next| format!("back after {pause} ms, next byte {next}"),
    again: "down again before the next byte",
    columns: ["expected", "seen"],
    rows: [
        "bytes",
        "bytes missing",
        "bytes doubled",
        "bytes wrong",
        "lines cut",
        "fronts killed",
        "exit status",
        "checksum",
        "longest pause",
    ],
    other: "another",
    holds: "Every byte arrived once, in its place. Nothing was lost.",
    fails: "That is not what redial promises: please report it",
};
