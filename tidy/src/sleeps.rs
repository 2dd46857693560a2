//! No test that waits a fixed time: it is slow when all is well and wrong when
//! the machine is slow. A loop that polls up to a deadline says so.

use crate::{Offence, Source};

const SLEEPS: [&str; 3] = [
    "std::thread::sleep",
    "tokio::time::sleep",
    "rustix::thread::nanosleep",
];
/// The comment that a poll carries.
const BOUNDED: &str = "// bounded poll";

/// Sleeps in tests that do not carry `// bounded poll`.
pub fn no_fixed_sleep(source: &Source) -> Vec<Offence> {
    let lines: Vec<&str> = source.text.lines().collect();
    let bounded = |line: usize| lines.get(line - 1).is_some_and(|l| l.contains(BOUNDED));
    let sleeps = source
        .named
        .iter()
        .filter(|named| !named.import && SLEEPS.iter().any(|sleep| named.reaches(sleep)));
    let fixed = sleeps.filter(|named| source.is_test(named.line) && !bounded(named.line));
    let what =
        format!("a sleep in a test: wait for what is to happen, up to a deadline (`{BOUNDED}`)");
    fixed
        .map(|named| Offence::new(&source.path, named.line, what.as_str()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        let source = Source::parse(path, text).unwrap();
        no_fixed_sleep(&source).iter().map(|o| o.line).collect()
    }

    #[test]
    fn a_sleep_in_a_test_is_found_however_it_is_called() {
        let path = "crates/a/tests/b.rs";
        for text in [
            "\nfn a() { std::thread::sleep(d); }",
            "use std::thread;\nfn a() { thread::sleep(d); }",
            "use std::thread::sleep;\nfn a() { sleep(d); }",
            "use tokio::time;\nasync fn a() { select! { _ = time::sleep(d) => {} } }",
        ] {
            assert_eq!(lines(path, text), [2], "{text}");
        }
    }

    #[test]
    fn a_bounded_poll_says_so_on_its_line() {
        let text = "fn a() {\n    std::thread::sleep(d); // bounded poll\n}";
        assert_eq!(lines("a/tests/b.rs", text), [0; 0]);
    }

    #[test]
    fn only_tests_are_looked_at() {
        let text = "fn a() { std::thread::sleep(d) }\n#[cfg(test)]\nmod tests {\n    \
                    fn b() { std::thread::sleep(d) }\n}\n";
        assert_eq!(lines("a/src/lib.rs", text), [4]);
    }
}
