//! What the tests that failed said, kept for the end: thousands of lines of
//! other tests come behind it, and a log is often cut to its last part.

/// Failed tests kept; a run in which more fail has one cause for most.
const TESTS: usize = 12;
/// Lines kept of each, the backtrace not counted.
const LINES: usize = 24;
/// Longest line kept, in characters.
const LINE_CHARACTERS: usize = 400;

/// A test that failed, with what it printed, cut short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) test: String,
    pub(crate) said: Vec<String>,
}

/// Reads the failures out of libtest's lines as they come.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    found: Vec<Failure>,
    at: Place,
}

/// Where in libtest's output we are.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    #[default]
    Elsewhere,
    /// Below `---- NAME stdout ----`.
    Said,
    /// Below `stack backtrace:`, which nobody needs twice.
    Backtrace,
}

impl Failures {
    /// Takes one line of a test harness.
    pub(crate) fn line(&mut self, line: &str) {
        let heading = line
            .strip_prefix("---- ")
            .and_then(|rest| rest.strip_suffix(" stdout ----"));
        if let Some(test) = heading {
            self.at = Place::Elsewhere;
            if self.found.len() < TESTS {
                self.at = Place::Said;
                self.found.push(Failure {
                    test: test.to_owned(),
                    said: Vec::new(),
                });
            }
            return;
        }
        let is_over = line == "failures:" || line.starts_with("test result: ");
        self.at = match self.at {
            _ if is_over => Place::Elsewhere,
            Place::Said if line == "stack backtrace:" => Place::Backtrace,
            // Several threads of a test may panic, each with a backtrace.
            Place::Backtrace if line.starts_with("thread '") => Place::Said,
            at => at,
        };
        let said = self.found.last_mut().map(|failure| &mut failure.said);
        if self.at == Place::Said
            && let Some(said) = said
            && said.len() < LINES
            && !line.is_empty()
        {
            said.push(line.chars().take(LINE_CHARACTERS).collect());
        }
    }

    /// All that were found.
    pub(crate) fn into_found(self) -> Vec<Failure> {
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Failure> {
        let mut failures = Failures::default();
        text.lines().for_each(|line| failures.line(line));
        failures.into_found()
    }

    #[test]
    fn each_failed_test_is_kept_with_what_it_said_but_no_backtrace() {
        let found = read(
            "test one ... FAILED\n\nfailures:\n\n---- one stdout ----\nseed 7\n\n\
             thread 'one' (5) panicked at a.rs:3:5:\nleft is not right\n\
             stack backtrace:\n   0: begin\n   1: end\n\n\
             ---- two stdout ----\nError: gone\n\n\nfailures:\n    one\n    two\n\n\
             test result: FAILED. 0 passed; 2 failed; 0 ignored; 0 measured\n",
        );
        let failure = |test: &str, said: &[&str]| Failure {
            test: test.to_owned(),
            said: said.iter().map(|&line| line.to_owned()).collect(),
        };
        let panicked = "thread 'one' (5) panicked at a.rs:3:5:";
        assert_eq!(
            found,
            [
                failure("one", &["seed 7", panicked, "left is not right"]),
                failure("two", &["Error: gone"]),
            ]
        );
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut text = String::new();
        for test in 0..100 {
            text += &format!("---- t{test} stdout ----\n");
            text += &format!("{}\n", "é".repeat(10_000)).repeat(100);
        }
        let found = read(&text);
        assert_eq!(found.len(), TESTS);
        assert!(found.iter().all(|failure| failure.said.len() == LINES));
        let longest = found[0].said[0].chars().count();
        assert_eq!(longest, LINE_CHARACTERS);
    }

    #[test]
    fn tests_that_pass_say_nothing() {
        let text = "running 1 test\ntest one ... ok\n\ntest result: ok. 1 passed; 0 failed\n";
        assert_eq!(read(text), []);
    }
}
