//! Against ClusterShell's own NodeSet: what it takes we take, and mean the same by it.
//!
//! Different on purpose:
//! - A number has 17 digits at most; more are text, or refused in brackets. (Theirs: 100.)
//! - Negative numbers are refused: a name with a dash is meant mostly.
//! - A blank within a name is refused.
//! - `a1[9-10]` is a19 and a110, as one would think. (Theirs: a19 to a110.)
//! - Refused is what they take by accident: no number in brackets between digits (`a1[]2`), two dashes in a range
//!   (`1-2-3`), and `0-00`.
//! - Digits behind a range with a step, `a[1-9/2]0`, mean what one would think. (Theirs: refused.)
//! - Sets of names with several numbers, and those with zeros before some, fold into other texts, which mean
//!   the same.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use redial_fleet::{HostSet, NoGroups};

/// Expressions to be compared, at least.
const EXPRESSIONS: usize = 4_000;

const THEIRS: &str = r#"
import sys
from ClusterShell.NodeSet import NodeSet, RESOLVER_NOGROUP
for line in sys.stdin:
    try:
        nodes = NodeSet(line.rstrip("\n"), resolver=RESOLVER_NOGROUP)
        print("=%s\t%s" % (nodes, " ".join(nodes)))
    except Exception as error:
        print("!%s" % str(error).replace("\n", " "))
"#;

type Answer = Result<(String, BTreeSet<String>), String>;

/// What they make of each: folded, and all names; or why not.
fn theirs(expressions: &[String]) -> Option<Vec<Answer>> {
    let python = Command::new("/usr/bin/python3")
        .args(["-c", THEIRS])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut python = python.ok()?;
    let mut stdin = python.stdin.take().unwrap();
    let text = expressions.join("\n") + "\n";
    let writer = std::thread::spawn(move || {
        // Who is not there reads nothing.
        let _ = stdin.write_all(text.as_bytes());
    });
    let output = python.wait_with_output().unwrap();
    writer.join().unwrap();
    if !output.status.success() {
        return None;
    }
    let text = String::from_utf8(output.stdout).unwrap();
    let answers = text.lines().map(|line| match line.strip_prefix('=') {
        None => Err(line[1..].to_owned()),
        Some(line) => {
            let (folded, names) = line.split_once('\t').unwrap();
            let names = names.split(' ').filter(|name| !name.is_empty());
            Ok((folded.to_owned(), names.map(str::to_owned).collect()))
        }
    });
    Some(answers.collect())
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end
    }

    fn one_of<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[self.below(texts.len())]
    }

    fn number(&mut self) -> String {
        let value = [3, 12, 120][self.below(3)];
        let value = self.below(value);
        match self.below(4) {
            0 => format!("{value:02}"),
            1 => format!("{value:03}"),
            _ => value.to_string(),
        }
    }

    fn range(&mut self) -> String {
        let (first, last) = (self.number(), self.number());
        match self.below(8) {
            0..3 => first,
            3 => format!("{first}-{last}/{}", self.below(4)),
            4 => {
                let begin = self.below(90);
                let width = 2 + self.below(2);
                format!("{begin:0width$}-{:0width$}", begin + self.below(9))
            }
            5 => {
                let begin = self.below(120);
                format!("{begin}-{}/{}", begin + self.below(30), 1 + self.below(5))
            }
            _ => {
                let begin = self.below(120);
                format!("{begin}-{}", begin + self.below(30))
            }
        }
    }

    fn brackets(&mut self) -> String {
        let ranges: Vec<String> = (0..=self.below(3)).map(|_| self.range()).collect();
        format!("[{}]", ranges.join(","))
    }

    fn host(&mut self) -> String {
        let name = self.one_of(&["a", "web", "n", "x-y", "%", "é", "10.0."]);
        let mut host = name.to_owned();
        for _ in 0..=self.below(2) {
            host += &match self.below(5) {
                0 => String::new(),
                1 | 2 => self.number(),
                _ => self.brackets(),
            };
            host += self.one_of(&["", "", "-", ".x", "s"]);
        }
        if self.below(12) == 0 {
            // What nobody means.
            let at = self.below(host.len() + 1);
            if host.is_char_boundary(at) {
                host.insert_str(at, self.one_of(&["[", "]", ",", "/", "-", "[]", "!", "00"]));
            }
        }
        host
    }

    fn expression(&mut self) -> String {
        let mut text = self.host();
        for _ in 0..self.below(5) {
            text += self.one_of(&[",", ",", "!", "&", "^", " , "]);
            text += &self.host();
        }
        text
    }
}

/// For the table of `cargo xtask test`.
fn skip(what: &str) {
    println!("skipped: {what}");
    if let Some(path) = std::env::var_os("REDIAL_SKIPS") {
        let file = std::fs::File::options()
            .append(true)
            .create(true)
            .open(path);
        // In one piece: other tests say so at the same time.
        file.unwrap()
            .write_all(format!("{what}\n").as_bytes())
            .unwrap();
    }
}

/// Why they refuse what we take.
const KEPT_OUT: [&str; 1] = ["illegal trailing digits after range with steps"];

/// What they take, and mean something odd by.
fn is_by_accident(text: &str, reason: &str) -> bool {
    let mut ranges = text.split(['[', ']', ',']);
    match reason {
        "a number is missing" => text.contains("[]"),
        "not a number" => ranges.any(|range| range.matches('-').count() == 2),
        _ => ranges.any(|range| {
            let ends = range.split('/').next().unwrap_or_default();
            ends.ends_with("-00") || ends.ends_with("-000")
        }),
    }
}

/// Whether a set folds into the same text: with one number a name, and zeros before none or all.
fn folds_alike(names: &BTreeSet<String>) -> bool {
    let numbers = |name: &String| -> Vec<String> {
        let digits = name.split(|c: char| !c.is_ascii_digit());
        let digits = digits.filter(|digits| !digits.is_empty());
        digits.map(str::to_owned).collect()
    };
    let all: Vec<Vec<String>> = names.iter().map(numbers).collect();
    let digits = || all.iter().flatten();
    let is_padded = digits().any(|digits| digits.len() > 1 && digits.starts_with('0'));
    let lengths: BTreeSet<usize> = digits().map(String::len).collect();
    all.iter().all(|numbers| numbers.len() < 2) && (!is_padded || lengths.len() < 2)
}

/// Digits before brackets, of which a range has ends of different lengths.
fn is_uneven(text: &str) -> bool {
    text.match_indices('[').any(|(at, _)| {
        let is_behind_digits = text[..at].ends_with(|c: char| c.is_ascii_digit());
        let within = text[at + 1..].split(']').next().unwrap_or_default();
        let is_even = |range: &str| {
            let ends = range.split('/').next().unwrap_or_default().split('-');
            ends.map(str::len).collect::<BTreeSet<_>>().len() < 2
        };
        is_behind_digits && !within.split(',').all(is_even)
    })
}

/// One that is different on purpose.
fn is_our_own(text: &str) -> bool {
    let is_negative = ["[-", ",-", "--"].iter().any(|it| text.contains(it));
    let is_blank = text.trim().is_empty();
    is_uneven(text) || is_negative || is_blank || text.contains("-/") || text.contains("-]")
}

#[test]
fn every_expression_means_what_it_means_to_nodeset() {
    let seed = 20_261_127;
    println!("seed {seed}");
    let mut random = Random(seed);
    let expressions: Vec<String> = std::iter::repeat_with(|| random.expression())
        .filter(|text| !is_our_own(text))
        .take(EXPRESSIONS)
        .collect();
    let Some(answers) = theirs(&expressions) else {
        return skip("host sets as ClusterShell reads them: it is not here");
    };
    assert_eq!(answers.len(), expressions.len());
    let (mut good, mut folds, mut odd) = (0, Vec::new(), Vec::new());
    for (text, theirs) in expressions.iter().zip(&answers) {
        let ours = HostSet::parse(text, &NoGroups);
        match (&ours, theirs) {
            (Ok(set), Ok((folded, names))) => {
                let own: BTreeSet<String> = set.iter().collect();
                assert_eq!(own, *names, "{text}");
                if folds_alike(names) {
                    assert_eq!(set.to_string(), *folded, "{text}");
                }
                good += 1;
                folds.push((set.to_string(), own));
            }
            (Err(_), Err(_)) => {}
            (Ok(_), Err(reason)) if KEPT_OUT.iter().any(|it| reason.contains(it)) => {}
            (Err(error), Ok(_)) if is_by_accident(text, error.reason()) => {}
            _ => odd.push(format!("{text}: ours {ours:?}, theirs {theirs:?}")),
        }
    }
    assert!(odd.is_empty(), "{} of them:\n{}", odd.len(), odd.join("\n"));
    assert!(good > EXPRESSIONS / 3, "{good}");
    // What we fold into, they read as we mean it.
    let texts: Vec<String> = folds.iter().map(|(text, _)| text.clone()).collect();
    for ((text, names), theirs) in folds.iter().zip(theirs(&texts).unwrap()) {
        assert_eq!(theirs.map(|(_, names)| names).as_ref(), Ok(names), "{text}");
    }
    println!("{} expressions, {good} of them valid", expressions.len());
}
