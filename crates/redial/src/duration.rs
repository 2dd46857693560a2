//! Times as people write them: `500ms`, `1.5s`, `5m`, `1h30m`, or seconds.

use std::time::Duration;

const UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// Reads a time. A bare number is seconds; units go from large to small, each once; a
/// number with decimals stands alone.
///
/// # Errors
///
/// A text that says what is accepted.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || {
        format!(
            "{text:?} is no time; write 500ms, 1.5s, 5m, 1h30m or 2d (a bare number is seconds)"
        )
    };
    if let Ok(seconds) = text.parse::<u64>() {
        let millis = seconds.checked_mul(1_000).ok_or_else(wrong)?;
        return Ok(Duration::from_millis(millis));
    }
    if let Some((whole, behind)) = text.split_once('.') {
        return decimal(whole, behind).ok_or_else(wrong);
    }
    let (mut rest, mut total, mut last) = (text, 0_u64, u64::MAX);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        let behind = &rest[digits..];
        let letters = behind
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(behind.len());
        let unit = UNITS.iter().find(|(name, _)| *name == &behind[..letters]);
        let (_, millis) = unit
            .filter(|(_, millis)| *millis < last)
            .ok_or_else(wrong)?;
        last = *millis;
        let part = number.checked_mul(*millis).ok_or_else(wrong)?;
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = &behind[letters..];
    }
    if text.is_empty() {
        Err(wrong())
    } else {
        Ok(Duration::from_millis(total))
    }
}

/// `whole` and what is behind the point: 1 to 9 digits, and a unit unless it is seconds. A
/// time that is not 0 is not made 0, which may mean something else.
fn decimal(whole: &str, behind: &str) -> Option<Duration> {
    let len = behind
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(behind.len());
    let (digits, unit) = behind.split_at(len);
    let unit = if unit.is_empty() { "s" } else { unit };
    let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(digits) || digits.len() > 9 {
        return None;
    }
    let scale = 10_u128.pow(u32::try_from(digits.len()).ok()?);
    let number = whole.parse::<u64>().ok()?;
    let scaled = u128::from(number) * scale + digits.parse::<u128>().ok()?;
    let total = u64::try_from(scaled * u128::from(*millis) / scale).ok()?;
    (total > 0 || scaled == 0).then(|| Duration::from_millis(total))
}

/// Reads a time limit; 0, or `none`, is no limit, as it is for timeout(1).
///
/// # Errors
///
/// As [`parse`].
pub(crate) fn parse_limit(text: &str) -> Result<Duration, String> {
    match text {
        "none" => Ok(Duration::ZERO),
        text => parse(text),
    }
}

/// Shows a time as [`parse`] reads it.
pub(crate) fn show(time: Duration) -> String {
    let mut left = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let mut shown = String::new();
    for (unit, millis) in UNITS.iter().rev() {
        if left >= *millis {
            shown += &format!("{}{unit}", left / millis);
            left %= millis;
        }
    }
    if shown.is_empty() {
        "0s".to_owned()
    } else {
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, millis) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("2d", 172_800_000),
            ("7", 7_000),
            ("0", 0),
            ("1s500ms", 1_500),
            ("1.5s", 1_500),
            ("0.25", 250),
            ("2.5m", 150_000),
            ("0.0", 0),
        ] {
            let time = Duration::from_millis(millis);
            assert_eq!(parse(text), Ok(time), "{text}");
            assert_eq!(parse(&show(time)), Ok(time), "{text}");
        }
    }

    #[test]
    fn a_limit_may_be_none() {
        assert_eq!(parse_limit("none"), Ok(Duration::ZERO));
        assert_eq!(parse_limit("0"), Ok(Duration::ZERO));
        assert_eq!(parse_limit("1s"), Ok(Duration::from_secs(1)));
        assert!(parse_limit("never").is_err() && parse("none").is_err());
    }

    #[test]
    fn anything_else_is_refused_and_says_what_is_accepted() {
        for text in [
            "",
            "s",
            "5x",
            "-1",
            ".5s",
            "1.s",
            "1.5x",
            "1h1.5s",
            "1.5s1ms",
            "0.0001s",
            "1.1234567890s",
            "99999999999999999999.5d",
            "1s1h",
            "1s1s",
            " 1s",
            "99999999999999999999",
            "1µs",
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains("1h30m"), "{text}: {error}");
        }
    }
}
