//! Where and when it was measured: without that, a figure says nothing.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::memory;

/// Name and value of everything that a reader must know. `versions` are those of
/// the programs compared.
pub(crate) fn circumstances(versions: &[String]) -> Vec<(&'static str, String)> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let memory = field(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
    let memory = memory.trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024;
    let model = field(&read("/proc/cpuinfo"), "model name").unwrap_or("unknown".to_owned());
    let user = match rustix::process::geteuid().is_root() {
        true => "root",
        false => "an ordinary user",
    };
    vec![
        ("Date", date(SystemTime::now())),
        ("Code", commit().unwrap_or("not a git checkout".to_owned())),
        ("CPU", format!("{model}, {cores} cores")),
        ("Memory", memory::mib(memory)),
        (
            "Kernel",
            format!("Linux {}", read("/proc/sys/kernel/osrelease").trim()),
        ),
        ("Run as", user.to_owned()),
        ("Load before", load_average(&read("/proc/loadavg"))),
        ("Programs", versions.join("; ")),
    ]
}

/// What follows `name:` in a file of such lines.
fn field(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

fn load_average(text: &str) -> String {
    let averages: Vec<&str> = text.split_whitespace().take(3).collect();
    format!("{} (1, 5, 15 minutes)", averages.join(" "))
}

/// The commit at hand, and whether the tree differs from it.
fn commit() -> Option<String> {
    let output = Command::new("git")
        .args(["describe", "--always", "--dirty", "--abbrev=10"])
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success()).then(|| text.trim().to_owned())
}

/// The day in UTC, as 2026-11-22.
fn date(now: SystemTime) -> String {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let (year, month, day) = civil((seconds / 86_400).cast_signed());
    format!("{year}-{month:02}-{day:02}")
}

/// Year, month and day of a number of days since 1970-01-01 (Howard Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms", civil_from_days).
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates_across_leap_years() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(11_017), (2000, 3, 1));
        assert_eq!(civil(20_819), (2027, 1, 1));
        assert_eq!(civil(20_818), (2026, 12, 31));
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text = "model\t\t: 17\nmodel name\t: EPYC\n";
        assert_eq!(field(text, "model name").as_deref(), Some("EPYC"));
        assert_eq!(field(text, "name"), None);
    }
}
