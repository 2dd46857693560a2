//! `expiry-time=`, and the time it is compared with.

/// The present, as the caller's clock has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Seconds since 1970-01-01 00:00:00 UTC.
    pub unix_seconds: u64,
    /// Seconds by which local time is ahead of UTC (localtime(3), `tm_gmtoff`).
    pub utc_offset_seconds: i32,
}

/// The last second in which a key may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    /// Seconds since 1970. A line may name times in both ways; each counts.
    utc: Option<i64>,
    /// Seconds since 1970 on a local clock.
    local: Option<i64>,
}

enum Zone {
    Utc,
    Local,
}

impl Expiry {
    /// `YYYYMMDD[HHMM[SS]]`, in local time or with `Z` (or `UTC`) behind it in UTC. None if it is
    /// no such time, no day of the calendar, or before 1970.
    ///
    /// Source: sshd(8), AUTHORIZED_KEYS FILE FORMAT.
    pub(super) fn parse(text: &[u8]) -> Option<Expiry> {
        let (digits, zone) = without_zone(text);
        let field = |at: usize, length: usize| number(digits.get(at..at + length)?);
        let (hour, minute, second) = match digits.len() {
            8 => (0, 0, 0),
            12 => (field(8, 2)?, field(10, 2)?, 0),
            14 => (field(8, 2)?, field(10, 2)?, field(12, 2)?),
            _ => return None,
        };
        let days = days_since_1970(field(0, 4)?, field(4, 2)?, field(6, 2)?)?;
        // 60 is a leap second.
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
        let (utc, local) = match zone {
            Zone::Utc => (Some(seconds), None),
            Zone::Local => (None, Some(seconds)),
        };
        (seconds > 0).then_some(Expiry { utc, local })
    }

    /// The end of what both allow.
    pub(super) fn earliest(self, other: Expiry) -> Expiry {
        let earliest = |a: Option<i64>, b: Option<i64>| a.into_iter().chain(b).min();
        Expiry {
            utc: earliest(self.utc, other.utc),
            local: earliest(self.local, other.local),
        }
    }

    /// Whether that time has passed.
    ///
    /// Local times are compared with the local clock of the moment, so around a change of summer
    /// time they may be off by that hour.
    pub fn has_passed(self, now: Now) -> bool {
        let utc = i64::try_from(now.unix_seconds).unwrap_or(i64::MAX);
        let local = utc.saturating_add(i64::from(now.utc_offset_seconds));
        self.utc.is_some_and(|last| utc > last) || self.local.is_some_and(|last| local > last)
    }
}

fn without_zone(text: &[u8]) -> (&[u8], Zone) {
    if let Some((digits, b"Z" | b"z")) = text.split_last_chunk::<1>().map(|(d, z)| (d, &z[..])) {
        return (digits, Zone::Utc);
    }
    match text.split_last_chunk::<3>() {
        Some((digits, zone)) if zone.eq_ignore_ascii_case(b"UTC") => (digits, Zone::Utc),
        _ => (text, Zone::Local),
    }
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |number, byte| {
        let digit = char::from(*byte).to_digit(10)?;
        Some(number * 10 + i64::from(digit))
    })
}

/// Days from 1970-01-01 to a day of the Gregorian calendar; none if there is no such day.
fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let length = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap(year) => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // Counted from March, so that the leap day is a year's last.
    let (year, month) = match month {
        1 | 2 => (year - 1, month + 9),
        _ => (year, month - 3),
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let of_year = (153 * month + 2) / 5 + day - 1;
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    Some(year * 365 + leap_days + of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<i64> {
        Expiry::parse(text.as_bytes()).and_then(|expiry| expiry.utc.or(expiry.local))
    }

    #[test]
    fn a_time_is_the_seconds_since_1970() {
        for (text, expected) in [
            ("19700102Z", 86_400),
            ("20000229Z", 951_782_400),
            ("202601010000Z", 1_767_225_600),
            ("20261122233536utc", 1_795_390_536),
            ("99991231235959", 253_402_300_799),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "Z",
            "UTC",
            "2026",
            "2026010",
            "20260231",
            "20260001",
            "20261301",
            "20260100",
            "202601012400",
            "202601010060",
            "20260101000061",
            "2026010100",
            "2026-1-1",
            "19700101Z",
            "19691231",
            "20260101ZZ",
            " 2026010",
            "+2026010",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn a_key_may_be_used_in_its_last_second() {
        let at = |text: &str, unix_seconds, utc_offset_seconds| {
            Expiry::parse(text.as_bytes()).unwrap().has_passed(Now {
                unix_seconds,
                utc_offset_seconds,
            })
        };
        assert!(!at("19700102Z", 86_400, 0));
        assert!(at("19700102Z", 86_401, 0));
        assert!(!at("19700102Z", 86_400, 3_600), "UTC is UTC everywhere");
        assert!(!at("19700102", 82_800, 3_600));
        assert!(at("19700102", 82_801, 3_600));
        assert!(!at("19700102", 90_000, -3_600));
    }
}
