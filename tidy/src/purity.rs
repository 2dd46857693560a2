//! The pure crates know no socket, file, clock or thread.

use crate::{Offence, Source};

/// Crates that are sans-IO; `no_std` makes the compiler keep it so.
pub const PURE: [&str; 3] = ["redial-frame", "redial-proto", "redial-auth"];

/// Parts of other crates that are as pure: text and time in, values out.
pub const PURE_PARTS: [&str; 4] = [
    "crates/redial-fleet/src/host_set",
    "crates/redial-fleet/src/inventory",
    "crates/redial-fleet/src/record",
    "crates/redial-fleet/src/schedule",
];

/// What a pure crate never names, adapters included. `std::io`'s traits are no
/// I/O of their own.
const WORLD: [&str; 14] = [
    "std::env",
    "std::fs",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "getrandom",
    "libc",
    "rustix",
    "socket2",
    "tokio",
    "mio",
];

/// Names of the world in the source of a pure crate, its tests left out.
pub fn no_world(source: &Source) -> Vec<Offence> {
    let is_pure = source.library().is_some_and(|name| PURE.contains(&name));
    if !is_pure && !PURE_PARTS.iter().any(|part| source.path.starts_with(part)) {
        return Vec::new();
    }
    let mut offences = Vec::new();
    for named in source.named.iter().filter(|n| !source.is_test(n.line)) {
        if let Some(path) = WORLD.iter().find(|path| named.reaches(path)) {
            let what = format!("a pure part names `{path}`: take it as an argument");
            offences.push(Offence::new(&source.path, named.line, what));
        }
    }
    offences
}

/// A pure crate whose root is not `#![no_std]`, without a condition.
pub fn no_std(source: &Source) -> Option<Offence> {
    let is_root = |name: &str| source.path == format!("crates/{name}/src/lib.rs");
    PURE.iter().find(|name| is_root(name))?;
    let attribute = ["#", "!", "[", "no_std", "]"];
    let mut starts = source.words.windows(attribute.len());
    let said = starts.any(|words| words.iter().map(|word| &word.text).eq(attribute));
    let what =
        "a pure crate begins with `#![no_std]`; adapters use `extern crate std` under a feature";
    (!said).then(|| Offence::new(&source.path, 1, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        let source = Source::parse(path, text).unwrap();
        no_world(&source)
            .iter()
            .map(|offence| offence.line)
            .collect()
    }

    #[test]
    fn the_world_is_found_in_a_pure_crate() {
        let path = "crates/redial-proto/src/link.rs";
        for text in [
            "use std::net::TcpStream;",
            "use std::{fs, io};",
            "fn a() { std::time::Instant::now(); }",
            "use std::time::*;",
            "fn a() { tokio::spawn(b); }",
        ] {
            assert_eq!(lines(path, text), [1], "{text}");
            assert_eq!(lines("crates/redial-net/src/link.rs", text), [0; 0]);
            assert_eq!(
                lines("crates/redial-fleet/src/schedule.rs", text),
                [1],
                "{text}"
            );
            assert_eq!(lines("crates/redial-fleet/src/fleet.rs", text), [0; 0]);
        }
    }

    #[test]
    fn adapters_over_traits_and_tests_are_free() {
        let path = "crates/redial-frame/src/stream.rs";
        assert_eq!(
            lines(path, "use std::io::Read; use tokio_util::codec::Decoder;"),
            [0; 0]
        );
        assert_eq!(lines(path, "use core::time::Duration;"), [0; 0]);
        let test = "#[cfg(test)]\nmod tests { use std::process::Command; }";
        assert_eq!(lines(path, test), [0; 0]);
        assert_eq!(
            lines("crates/redial-frame/tests/a.rs", "use std::fs;"),
            [0; 0]
        );
    }

    #[test]
    fn a_pure_crate_says_no_std_without_a_condition() {
        let offence = |path, text| no_std(&Source::parse(path, text).unwrap());
        let root = "crates/redial-proto/src/lib.rs";
        assert_eq!(offence(root, "#![no_std]"), None);
        assert!(offence(root, "").is_some());
        assert!(offence(root, "#![cfg_attr(not(feature = \"std\"), no_std)]").is_some());
        assert_eq!(offence("crates/redial-net/src/lib.rs", ""), None);
    }
}
