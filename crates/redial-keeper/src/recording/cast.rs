//! asciicast v2: one JSON value a line, first about the terminal, then what it shows.

use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;

use crate::wire::PtyRequest;

const ENDING: &str = ".cast";

/// The first line.
#[derive(Debug, Serialize)]
pub(crate) struct Header<'a> {
    version: u8,
    width: u16,
    height: u16,
    /// Unix time, in seconds.
    timestamp: u64,
    /// The job: what was run, by whom, stands in the audit.
    title: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    env: Option<Environment>,
}

#[derive(Debug, Serialize)]
struct Environment {
    #[serde(rename = "TERM")]
    term: String,
}

impl<'a> Header<'a> {
    pub(crate) fn new(job: &'a str, started_ms: u64, pty: &PtyRequest) -> Self {
        Header {
            version: 2,
            width: pty.columns,
            height: pty.rows,
            timestamp: started_ms / 1_000,
            title: job,
            env: Some(Environment {
                term: String::from_utf8_lossy(&pty.term).into_owned(),
            }),
        }
    }

    /// Of a file that takes the place of one that is gone: how large the terminal is now, in columns and
    /// rows, is known.
    pub(crate) fn again(job: &'a str, started_ms: u64, [width, height]: [u16; 2]) -> Self {
        Header {
            version: 2,
            width,
            height,
            timestamp: started_ms / 1_000,
            title: job,
            env: None,
        }
    }

    pub(crate) fn to_line(&self) -> String {
        line(self)
    }
}

/// What the terminal has shown, so many milliseconds after its start.
pub(super) fn shown(at_ms: u64, text: &str) -> String {
    line(&(seconds(at_ms), "o", text))
}

/// It has another size.
pub(super) fn resized(at_ms: u64, columns: u16, rows: u16) -> String {
    line(&(seconds(at_ms), "r", format!("{columns}x{rows}")))
}

/// Names of files sort by time, and say whose they are.
pub(crate) fn file_name(started_ms: u64, uid: u32, job: &str) -> String {
    // As long as years have four digits.
    let latest = Duration::from_secs(253_402_300_799);
    let started = UNIX_EPOCH + Duration::from_millis(started_ms).min(latest);
    let started = humantime::format_rfc3339_seconds(started).to_string();
    format!("{}-{uid}-{job}{ENDING}", started.replace(['-', ':'], ""))
}

/// Whose a file is by its name; none if it is no recording.
pub(super) fn owner(name: &str) -> Option<u32> {
    let mut words = name.strip_suffix(ENDING)?.split('-');
    let (_, uid, _) = (words.next()?, words.next()?, words.next()?);
    uid.parse().ok()
}

fn seconds(ms: u64) -> f64 {
    Duration::from_millis(ms).as_secs_f64()
}

fn line(value: &impl Serialize) -> String {
    // Fails for maps with odd keys alone, and there are none.
    serde_json::to_string(value).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_asciicast_2() {
        let pty = PtyRequest {
            rows: 24,
            columns: 80,
            x_pixels: 0,
            y_pixels: 0,
            term: b"xterm".to_vec().into(),
        };
        let header = Header::new("5k3f", 1_700_000_000_123, &pty).to_line();
        let expected = "{\"version\":2,\"width\":80,\"height\":24,\"timestamp\":1700000000,\
                        \"title\":\"5k3f\",\"env\":{\"TERM\":\"xterm\"}}\n";
        assert_eq!(header, expected);
        let text = shown(1_500, "a\"\u{1b}[1mé\r\n");
        assert_eq!(text, "[1.5,\"o\",\"a\\\"\\u001b[1mé\\r\\n\"]\n");
        assert_eq!(resized(7, 132, 50), "[0.007,\"r\",\"132x50\"]\n");
    }

    #[test]
    fn files_are_named_by_time_user_and_job() {
        let name = file_name(1_700_000_000_999, 1_000, "5k3f");
        assert_eq!(name, "20231114T221320Z-1000-5k3f.cast");
        assert_eq!(owner(&name), Some(1_000));
        assert!(file_name(u64::MAX, 0, "5k3f").ends_with("-0-5k3f.cast"));
        for other in [
            "notes",
            "a-b-c.cast",
            "20231114T221320Z-1000.cast",
            "x-1-y.cast.gz",
        ] {
            assert_eq!(owner(other), None, "{other}");
        }
    }
}
