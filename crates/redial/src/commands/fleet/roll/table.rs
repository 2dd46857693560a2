//! The table of ends.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use redial_fleet::HostSet;
use redial_fleet::record::{Ending, Kind};

use super::{Roll, State, ending};
use crate::report::Harmless;

impl Roll {
    /// For people: all of it.
    pub(in crate::commands::fleet) fn table(
        &self,
        names: &[String],
        took: Duration,
        too_many: bool,
    ) -> String {
        format!(
            "redial: {} in {:.1} s{}\n{}",
            hosts(self.states.len() as u64),
            took.as_secs_f64(),
            if too_many {
                ": too many failed (--max-fail)"
            } else {
                ""
            },
            self.rows(names)
        )
    }

    /// A line for each ending, with the set of its hosts.
    pub(crate) fn rows(&self, names: &[String]) -> String {
        let mut rows: BTreeMap<&Ending, HostSet> = BTreeMap::new();
        let open = ending(Kind::Unknown, "left", String::new(), 0);
        for (state, name) in self.states.iter().zip(names) {
            let ending = match state {
                State::Ended(at) => self.endings.get(*at as usize),
                _ => Some(&open),
            };
            if let Some(ending) = ending {
                rows.entry(ending).or_default().insert(name);
            }
        }
        let how = rows
            .keys()
            .map(|ending| ending.how.len())
            .max()
            .unwrap_or(0);
        let count = rows
            .values()
            .map(|set| set.len().to_string().len())
            .max()
            .unwrap_or(0);
        let mut text = String::new();
        for (ending, set) in &rows {
            let why = match ending.why.as_str() {
                "" => String::new(),
                why => format!(": {}", Harmless(why)),
            };
            // Into a string, nothing can fail.
            let _ = writeln!(
                text,
                "  {:>count$}  {:how$}  {set}{why}",
                set.len(),
                ending.how
            );
        }
        text
    }
}

/// What to do about hosts where the command has not ended.
pub(in crate::commands::fleet) fn how_to_go_on(run: &str) -> String {
    format!("  go on with those where it has not ended: redial history resume {run}\n")
}

/// As people count.
pub(crate) fn hosts(count: u64) -> String {
    match count {
        1 => "1 host".to_owned(),
        count => format!("{count} hosts"),
    }
}
