//! Flags for what a command may take of the machine.

use clap::Args;

use crate::size;

/// See `docs/limits.md`.
#[derive(Debug, Clone, Copy, Default, Args)]
#[command(next_help_heading = "Limits (for all processes of the command together)")]
pub(crate) struct LimitArgs {
    /// End it when it takes more memory than that
    #[arg(long, value_name = "SIZE", value_parser = memory)]
    pub(crate) memory: Option<u64>,
    /// No more than so many cores' time: 2, 0.5
    #[arg(long, value_name = "CORES", value_parser = cores)]
    pub(crate) cpu: Option<u32>,
    /// No more processes and threads than that; a fork beyond fails
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) pids: Option<u32>,
    /// Niceness, 0 to 19
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u8).range(0..=19))]
    pub(crate) nice: Option<u8>,
}

fn memory(text: &str) -> Result<u64, String> {
    match size::parse(text)? {
        0 => Err("no command runs without memory".to_owned()),
        bytes => Ok(bytes),
    }
}

/// Thousandths of a core.
fn cores(text: &str) -> Result<u32, String> {
    let wrong = || format!("{text:?} is no number of cores; write 2, 0.5 or 0.01 (the least)");
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > 3 {
        return Err(wrong());
    }
    let whole: u32 = whole.parse().map_err(|_| wrong())?;
    let part: u32 = format!("{part:0<3}").parse().map_err(|_| wrong())?;
    let milli = whole.checked_mul(1_000).and_then(|it| it.checked_add(part));
    milli.filter(|milli| *milli >= 10).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_whole_or_have_a_part() {
        for (text, milli) in [("2", 2_000), ("0.5", 500), ("1.25", 1_250), ("0.01", 10)] {
            assert_eq!(cores(text), Ok(milli), "{text}");
        }
        for text in [
            "",
            "0",
            "0.009",
            ".5",
            "-1",
            "1.2345",
            "1,5",
            "1e3",
            "99999999999",
        ] {
            assert!(cores(text).is_err(), "{text}");
        }
    }
}
