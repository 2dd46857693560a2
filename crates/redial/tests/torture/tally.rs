//! What happened, counted, and the table of it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Count {
    Resets,
    Closes,
    HalfCloses,
    Stalls,
    Early,
    FrontsKilled,
    FrontsStopped,
    BrokersKilled,
    Upgrades,
    ClientsKilled,
    ClientsStopped,
    SlowReaders,
    Attached,
    Orphaned,
    Taken,
    Over,
    Ended,
    Detached,
    Readers,
    Bytes,
    Unreached,
    AskedAgain,
    Lost,
    Doubled,
    Status,
    Twice,
    Unknown,
    Left,
}

/// In the order of the table.
const ROWS: [(Count, &str); 28] = [
    (Count::Resets, "connections reset"),
    (Count::Closes, "connections closed in order"),
    (Count::HalfCloses, "connections closed in one direction"),
    (Count::Stalls, "connections stalled for 0.2 to 3 s"),
    (Count::Early, "of these faults, within a handshake"),
    (Count::FrontsKilled, "fronts killed (KILL)"),
    (Count::FrontsStopped, "fronts stopped and continued"),
    (Count::BrokersKilled, "NATS brokers killed (KILL)"),
    (Count::Upgrades, "upgrades in place"),
    (Count::ClientsKilled, "clients killed (KILL)"),
    (Count::ClientsStopped, "clients stopped and continued"),
    (Count::SlowReaders, "slow readers"),
    (Count::Attached, "jobs: all three streams at once"),
    (Count::Orphaned, "jobs kept when their client was killed"),
    (Count::Taken, "of these, taken by another client"),
    (Count::Over, "of these, over when it was killed"),
    (Count::Ended, "jobs ended when their client was killed"),
    (Count::Detached, "jobs detached"),
    (Count::Readers, "readers along (`logs -f`)"),
    (Count::Bytes, "bytes compared"),
    (Count::Unreached, "nothing ran: no first line, exit 125"),
    (
        Count::AskedAgain,
        "readers without a first line, asked again",
    ),
    (Count::Lost, "**lost**: streams with bytes missing"),
    (
        Count::Doubled,
        "**doubled**: streams with bytes more or others",
    ),
    (Count::Status, "**wrong exit status**"),
    (Count::Twice, "**run twice**, or never though it was said"),
    (Count::Unknown, "**unknown**: given up, and said so"),
    (Count::Left, "**left**: processes without a job"),
];

/// Those that must be 0.
const WRONG: [Count; 6] = [
    Count::Lost,
    Count::Doubled,
    Count::Status,
    Count::Twice,
    Count::Unknown,
    Count::Left,
];

#[derive(Debug, Default)]
pub(crate) struct Tally {
    counts: [AtomicU64; ROWS.len()],
    /// One line for each thing that must not be.
    wrong: Mutex<Vec<String>>,
    /// Why there was no first line, and how often.
    reasons: Mutex<BTreeMap<String, u64>>,
}

impl Tally {
    pub(crate) fn add(&self, count: Count, more: u64) {
        self.counts[count as usize].fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn of(&self, count: Count) -> u64 {
        self.counts[count as usize].load(Ordering::Relaxed)
    }

    /// Something that must not be.
    pub(crate) fn wrong(&self, count: Count, what: String) {
        self.add(count, 1);
        // At once: what follows may hang.
        eprintln!("{count:?}: {what}");
        self.wrong.lock().unwrap().push(what);
    }

    /// Why a program ended with 125 before it had done anything.
    pub(crate) fn reason(&self, count: Count, said: &str) {
        self.add(count, 1);
        let said = said.lines().find(|line| line.starts_with("redial: "));
        let said = said.unwrap_or("nothing was said");
        // Without the host, the advice and the number: what is one reason is one line.
        let reason = said.rsplit(": ").next().unwrap_or_default();
        let reason = reason
            .split([';', '('])
            .next()
            .unwrap_or_default()
            .trim_end();
        let reason: String = reason.chars().filter(|it| !it.is_ascii_digit()).collect();
        *self.reasons.lock().unwrap().entry(reason).or_default() += 1;
    }

    pub(crate) fn jobs(&self) -> u64 {
        let jobs = [
            Count::Attached,
            Count::Orphaned,
            Count::Ended,
            Count::Detached,
        ];
        jobs.iter().map(|count| self.of(*count)).sum()
    }

    /// Markdown, with `title` above the counts; what has not happened and may is left out.
    pub(crate) fn table(&self, title: &str, note: &str) -> String {
        let mut rows: Vec<(String, String)> = Vec::new();
        for (count, name) in ROWS {
            let must = WRONG.iter().any(|it| *it as usize == count as usize);
            if must || self.of(count) > 0 {
                rows.push((name.to_owned(), grouped(self.of(count))));
            }
        }
        rows.push(("jobs together".to_owned(), grouped(self.jobs())));
        let names = rows.iter().map(|row| row.0.chars().count());
        let width = names.max().unwrap_or(0).max(title.chars().count());
        let numbers = rows.iter().map(|row| row.1.len()).max().unwrap_or(0).max(5);
        let mut text = format!("| {title:width$} | {:>numbers$} |\n", "Count");
        let _ = writeln!(text, "|{:-<1$}|{2:->3$}:|", "", width + 2, "", numbers + 1);
        for (name, number) in rows {
            let _ = writeln!(text, "| {name:width$} | {number:>numbers$} |");
        }
        text.push_str(note);
        for (reason, count) in &*self.reasons.lock().unwrap() {
            let _ = writeln!(text, "No first line, {count} times: {reason}.");
        }
        text
    }

    /// Fails if anything was wrong.
    pub(crate) fn assert_good(&self) {
        let wrong = self.wrong.lock().unwrap();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(self.jobs() > 0, "no job ran");
    }
}

/// 1234567 as 1,234,567.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
