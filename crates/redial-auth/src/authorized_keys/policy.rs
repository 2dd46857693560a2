//! redial's own options: what a key may do beyond letting its owner in.
//!
//! sshd knows none of them, and so refuses a line that has one. What is odd refuses the line here
//! too; what is reserved for later versions as well, so that no line grants more today than it will.

use alloc::string::String;
use alloc::vec::Vec;

use super::options::{OptionError, once};
use crate::limits;
use crate::pattern::{Case, matches};

/// What redial's own options say; nothing is limited where they say nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// `allow-argv=`: the only commands, by their arguments. No shell, then.
    pub argv: Option<Vec<ArgvPattern>>,
    /// `env=`: the only variables that may be set.
    pub variables: Option<VariableNames>,
    /// `max-jobs=`: at once.
    pub max_jobs: Option<u32>,
    /// `max-time=`, in milliseconds: for each job.
    pub max_time_ms: Option<u64>,
    /// `memory=`, in bytes: for each job.
    pub memory: Option<u64>,
    /// `cpu=`, in thousandths of a core: for each job.
    pub cpu_milli: Option<u32>,
    /// `pids=`: processes and threads of each job.
    pub pids: Option<u32>,
    /// `read-only`: lists, logs, and reading along; nothing is started, written or ended.
    pub read_only: bool,
}

impl Policy {
    /// Whether the key may do less with its jobs than its user.
    pub(super) fn restricts_commands(&self) -> bool {
        self.argv.is_some()
    }

    /// Takes an option with a value, if it is one of these; gives what follows the value. `value`
    /// reads it.
    pub(super) fn take_value<'a>(
        &mut self,
        name: &[u8],
        value: impl FnOnce(&'static str) -> Result<(Vec<u8>, &'a [u8]), OptionError>,
    ) -> Option<Result<&'a [u8], OptionError>> {
        let known = [
            "allow-argv",
            "env",
            "max-jobs",
            "max-time",
            "memory",
            "cpu",
            "pids",
            "files",
            "forward",
        ];
        let name = known.into_iter().find(|known| known.as_bytes() == name)?;
        Some(value(name).and_then(|(text, rest)| self.set(name, &text).map(|()| rest)))
    }

    fn set(&mut self, name: &'static str, text: &[u8]) -> Result<(), OptionError> {
        let odd = OptionError::Value(name);
        match name {
            "allow-argv" => {
                let patterns = list(text, name)?.into_iter().map(ArgvPattern::parse);
                let patterns = patterns.collect::<Option<_>>().ok_or(odd)?;
                once(&mut self.argv, patterns, name)
            }
            "env" => once(&mut self.variables, VariableNames::parse(text, name)?, name),
            "max-jobs" => once(&mut self.max_jobs, number(text).ok_or(odd)?, name),
            "max-time" => once(&mut self.max_time_ms, time_ms(text).ok_or(odd)?, name),
            "memory" => once(&mut self.memory, bytes(text).ok_or(odd)?, name),
            "cpu" => once(&mut self.cpu_milli, cores(text).ok_or(odd)?, name),
            "pids" => once(&mut self.pids, number(text).ok_or(odd)?, name),
            // `files`, `forward`.
            _ => Err(OptionError::Reserved(name)),
        }
    }
}

/// One pattern of `allow-argv=`: words, one for each argument. `*` and `?` stand for characters of
/// one argument, and a last word `*` for all that follow, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgvPattern {
    words: Vec<Vec<u8>>,
    /// It ends with a word `*`.
    open: bool,
}

impl ArgvPattern {
    fn parse(text: &[u8]) -> Option<Self> {
        let words = text.split(|byte| byte.is_ascii_whitespace());
        let mut words: Vec<Vec<u8>> = words
            .filter(|word| !word.is_empty())
            .map(<[u8]>::to_vec)
            .collect();
        let open = words.len() > 1 && words.last().is_some_and(|word| word == b"*");
        if open {
            words.pop();
        }
        let is_long = words.iter().any(|word| word.len() > limits::PATTERN_BYTES);
        // What lies below whatever directory it runs in may be anything.
        let program = words.first()?;
        let is_relative = program.contains(&b'/') && !program.starts_with(b"/");
        (!is_relative && !is_long).then_some(Self { words, open })
    }

    /// Whether these arguments, the program first, are what it means.
    #[must_use]
    pub fn allows(&self, argv: &[&[u8]]) -> bool {
        let count = self.words.len();
        let enough = argv.len() == count || (self.open && argv.len() > count);
        let mut pairs = argv.iter().copied().zip(&self.words);
        enough
            && pairs
                .next()
                .is_some_and(|(program, word)| is_program(program, word))
            && pairs.all(|(argument, word)| matches(argument, word, Case::Counts))
    }
}

/// A program fits part by part: no wildcard reaches across a `/`, nor stands for nothing, `.` or `..`
/// between two of them, or `git-*` would be `git-x/../../bin/sh`.
fn is_program(program: &[u8], pattern: &[u8]) -> bool {
    let is_slash = |byte: &u8| *byte == b'/';
    let (parts, patterns) = (program.split(is_slash), pattern.split(is_slash));
    parts.clone().count() == patterns.clone().count()
        && parts.zip(patterns).all(|(part, pattern)| {
            // Each of these is another place than its name says.
            let is_elsewhere = matches!(part, b"" | b"." | b"..");
            part == pattern || (!is_elsewhere && matches(part, pattern, Case::Counts))
        })
}

/// The names of `env=`, with `*` and `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariableNames(Vec<Vec<u8>>);

impl VariableNames {
    fn parse(text: &[u8], option: &'static str) -> Result<Self, OptionError> {
        let names = list(text, option)?;
        let good = |byte: &u8| byte.is_ascii_alphanumeric() || b"_*?".contains(byte);
        let is_odd = |name: &&[u8]| !name.iter().all(good) || name.len() > limits::PATTERN_BYTES;
        if names.iter().any(is_odd) {
            return Err(OptionError::Value(option));
        }
        Ok(Self(names.into_iter().map(<[u8]>::to_vec).collect()))
    }

    /// Whether a variable of this name is among them.
    #[must_use]
    pub fn has(&self, name: &[u8]) -> bool {
        self.0
            .iter()
            .any(|pattern| matches(name, pattern, Case::Counts))
    }

    /// Whether it is named in full, without wildcards.
    #[must_use]
    pub fn spell_out(&self, name: &[u8]) -> bool {
        self.0.iter().any(|pattern| pattern == name)
    }
}

/// What stands between commas: one at least, none of them empty.
fn list<'a>(text: &'a [u8], name: &'static str) -> Result<Vec<&'a [u8]>, OptionError> {
    let entries: Vec<&[u8]> = text
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .collect();
    if entries.len() > limits::PATTERNS {
        return Err(OptionError::TooMany(name));
    }
    match entries.iter().any(|entry| entry.is_empty()) {
        true => Err(OptionError::Value(name)),
        false => Ok(entries),
    }
}

/// A number from 1, in digits alone.
fn number<T: core::str::FromStr + Default + PartialEq>(text: &[u8]) -> Option<T> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let text = core::str::from_utf8(text).ok().filter(|_| digits)?;
    text.parse().ok().filter(|number| *number != T::default())
}

/// `67108864`, `64M`, `1G`: powers of 1,024.
fn bytes(text: &[u8]) -> Option<u64> {
    let (digits, unit) = match text.split_last()? {
        (b'K', digits) => (digits, 1 << 10),
        (b'M', digits) => (digits, 1 << 20),
        (b'G', digits) => (digits, 1 << 30),
        _ => (text, 1),
    };
    number::<u64>(digits)?.checked_mul(unit)
}

/// `2`, `0.5`: cores, in thousandths; a hundredth at least.
fn cores(text: &[u8]) -> Option<u32> {
    let mut parts = text.splitn(2, |byte| *byte == b'.');
    let (whole, part) = (parts.next()?, parts.next());
    let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let part = part.unwrap_or(b"0");
    if !digits(whole) || !digits(part) || part.len() > 3 {
        return None;
    }
    let whole: u32 = core::str::from_utf8(whole).ok()?.parse().ok()?;
    let thousandths = part.iter().chain(b"000").take(3);
    let part = thousandths.fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    let milli = whole.checked_mul(1_000)?.checked_add(part)?;
    Some(milli).filter(|milli| *milli >= 10)
}

/// `90s`, `15m`, `2h`, `7d`, as redial's own settings have times.
fn time_ms(text: &[u8]) -> Option<u64> {
    let (unit, digits) = text.split_last()?;
    let seconds: u64 = match unit {
        b's' => 1,
        b'm' => 60,
        b'h' => 3_600,
        b'd' => 86_400,
        _ => return None,
    };
    number::<u64>(digits)?.checked_mul(seconds * 1_000)
}

/// What a refusal says was allowed, for people.
impl core::fmt::Display for ArgvPattern {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for (at, word) in self.words.iter().enumerate() {
            let word = String::from_utf8_lossy(word);
            let blank = if at == 0 { "" } else { " " };
            write!(f, "{blank}{}", word.escape_debug())?;
        }
        match self.open {
            true => f.write_str(" *"),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(patterns: &str, argv: &[&str]) -> bool {
        let mut policy = Policy::default();
        policy.set("allow-argv", patterns.as_bytes()).unwrap();
        let argv: Vec<&[u8]> = argv.iter().map(|argument| argument.as_bytes()).collect();
        let patterns = policy.argv.unwrap();
        patterns.iter().any(|pattern| pattern.allows(&argv))
    }

    #[test]
    fn a_word_stands_for_one_argument_and_a_last_star_for_all_that_follow() {
        for (patterns, argv, expected) in [
            ("uptime", &["uptime"][..], true),
            ("uptime", &["uptime", "-p"], false),
            ("uptime *", &["uptime"], true),
            ("uptime *", &["uptime", "-p", "x y"], true),
            ("systemctl status ?*", &["systemctl", "status"], false),
            (
                "systemctl status *",
                &["systemctl", "status", "a", "b"],
                true,
            ),
            ("systemctl status *", &["systemctl", "stop", "a"], false),
            ("systemctl status *", &["systemctl status", "a"], false),
            ("systemctl  status  a", &["systemctl", "status", "a"], true),
            ("git-*,id", &["git-upload-pack"], true),
            ("git-*,id", &["git-upload-pack", "x"], false),
            ("git-* ?*,id", &["git-upload-pack", "x; sh"], true),
            ("git-*, id", &["id"], true),
            ("id -u", &["ID", "-u"], false),
            ("id", &[], false),
            ("*", &["anything"], true),
            ("*", &["anything", "more"], false),
            ("* *", &["anything", "more"], true),
        ] {
            assert_eq!(allows(patterns, argv), expected, "{patterns}: {argv:?}");
        }
    }

    #[test]
    fn no_wildcard_of_a_program_leads_to_another_directory() {
        for (pattern, program, expected) in [
            ("git-*", "git-x/../../bin/sh", false),
            ("*", "/bin/sh", false),
            ("*", "./sh", false),
            ("/opt/*/run", "/opt/a/run", true),
            ("/opt/*/run", "/opt/../run", false),
            ("/opt/*/run", "/opt/./run", false),
            ("/opt/*/run", "/opt/a/b/run", false),
            ("/opt/*", "/opt/", false),
            ("/opt/*/run", "/opt//run", false),
            ("/*/sh", "//sh", false),
            ("/opt/", "/opt/", true),
            ("/opt/??", "/opt/..", false),
            ("/bin/sh", "//bin/sh", false),
        ] {
            assert_eq!(
                allows(pattern, &[program]),
                expected,
                "{pattern}: {program}"
            );
        }
    }

    #[test]
    fn names_of_variables_may_have_wildcards_and_their_case_counts() {
        let names = VariableNames::parse(b"CI_*, LANG,A?", "env").unwrap();
        for (name, expected) in [
            ("CI_JOB", true),
            ("CI_", true),
            ("LANG", true),
            ("lang", false),
            ("AB", true),
            ("A", false),
            ("PATH", false),
        ] {
            assert_eq!(names.has(name.as_bytes()), expected, "{name}");
            assert_eq!(names.spell_out(name.as_bytes()), name == "LANG");
        }
    }

    #[test]
    fn numbers_and_times_have_one_form_each() {
        for (text, expected) in [("1", Some(1)), ("4096", Some(4_096))] {
            assert_eq!(number::<u32>(text.as_bytes()), expected);
        }
        for odd in [
            "",
            "0",
            "00",
            "-1",
            "+1",
            " 1",
            "1 ",
            "1.5",
            "x",
            "99999999999",
        ] {
            assert_eq!(number::<u32>(odd.as_bytes()), None, "{odd}");
        }
        for (text, expected) in [("1s", 1_000), ("2m", 120_000), ("1h", 3_600_000)] {
            assert_eq!(time_ms(text.as_bytes()), Some(expected));
        }
        for odd in [
            "",
            "s",
            "1",
            "0s",
            "1ms",
            "1 s",
            "1S",
            "18446744073709551615d",
        ] {
            assert_eq!(time_ms(odd.as_bytes()), None, "{odd}");
        }
    }

    #[test]
    fn memory_and_cores_have_one_form_each() {
        for (text, expected) in [
            ("1", 1),
            ("64M", 64 << 20),
            ("2G", 2 << 30),
            ("3K", 3 << 10),
        ] {
            assert_eq!(bytes(text.as_bytes()), Some(expected));
        }
        for odd in [
            "",
            "0",
            "M",
            "0M",
            "1.5G",
            "1 M",
            "64MiB",
            "1m",
            "18446744073709551615K",
        ] {
            assert_eq!(bytes(odd.as_bytes()), None, "{odd}");
        }
        for (text, expected) in [("2", 2_000), ("0.5", 500), ("1.25", 1_250), ("0.01", 10)] {
            assert_eq!(cores(text.as_bytes()), Some(expected));
        }
        for odd in [
            "", "0", "0.001", ".5", "1.", "1.2345", "-1", "1e3", "4294968", "1,5",
        ] {
            assert_eq!(cores(odd.as_bytes()), None, "{odd}");
        }
    }
}
