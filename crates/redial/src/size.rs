//! Counts of bytes as people write them: `4096`, `64KiB`, `16M`, `1GB`.

const UNITS: [(&str, u64); 9] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("G", 1 << 30),
    ("M", 1 << 20),
    ("K", 1 << 10),
];

/// Reads a count of bytes. `K`, `M`, `G` are powers of 1,024 as with coreutils.
///
/// # Errors
///
/// A text that says what is accepted.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match &text[digits.len()..] {
        "" => Some(1),
        letters => UNITS
            .iter()
            .find(|(name, _)| *name == letters)
            .map(|(_, bytes)| *bytes),
    };
    let number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = number.then(|| digits.parse::<u64>().ok()).flatten();
    let bytes = unit.and_then(|unit| number?.checked_mul(unit));
    bytes.ok_or_else(|| {
        format!(
            "{text:?} is no size; write 4096, 64KiB, 16MiB or 1GiB (K, M, G mean the same; kB, \
             MB, GB are powers of 1000)"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_bytes_or_have_a_unit() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("64KiB", 65_536),
            ("16M", 16 << 20),
            ("1GiB", 1 << 30),
            ("2kB", 2_000),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_told_what_would_be() {
        for text in [
            "",
            "M",
            "-1",
            "+1",
            "1.5M",
            "1 M",
            "1m",
            "1Mi",
            "1M1",
            "18446744073709551615K",
        ] {
            let said = parse(text).unwrap_err();
            assert!(said.contains("64KiB"), "{said}");
        }
    }
}
