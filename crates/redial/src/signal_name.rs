//! Signals by name or number, as kill(1) takes them.

use rustix::process::Signal;

const NAMES: [(&str, Signal); 19] = [
    ("HUP", Signal::HUP),
    ("INT", Signal::INT),
    ("QUIT", Signal::QUIT),
    ("ILL", Signal::ILL),
    ("TRAP", Signal::TRAP),
    ("ABRT", Signal::ABORT),
    ("FPE", Signal::FPE),
    ("KILL", Signal::KILL),
    ("BUS", Signal::BUS),
    ("USR1", Signal::USR1),
    ("SEGV", Signal::SEGV),
    ("USR2", Signal::USR2),
    ("PIPE", Signal::PIPE),
    ("ALRM", Signal::ALARM),
    ("TERM", Signal::TERM),
    ("CONT", Signal::CONT),
    ("STOP", Signal::STOP),
    ("TSTP", Signal::TSTP),
    ("WINCH", Signal::WINCH),
];

/// `TERM`, `SIGTERM`, `term` or `15`.
///
/// # Errors
///
/// A text that says what is accepted.
pub(crate) fn parse(text: &str) -> Result<u8, String> {
    if let Ok(number @ 1..=64) = text.parse::<u8>() {
        return Ok(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let known = NAMES.iter().find(|(known, _)| *known == name);
    let number = known.and_then(|(_, signal)| u8::try_from(signal.as_raw()).ok());
    number.ok_or_else(|| format!("{text:?} is no signal; write TERM, SIGTERM or a number to 64"))
}

/// Its name, or `signal` and its number.
pub(crate) fn show(number: u8) -> String {
    let named = NAMES
        .iter()
        .find(|(_, it)| it.as_raw() == i32::from(number));
    named.map_or_else(
        || format!("signal {number}"),
        |(name, _)| (*name).to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_shown_by_its_name() {
        assert_eq!(
            (show(9), show(35)),
            ("KILL".to_owned(), "signal 35".to_owned())
        );
    }

    #[test]
    fn signals_have_names_and_numbers() {
        for (text, number) in [
            ("TERM", 15),
            ("sighup", 1),
            ("9", 9),
            ("64", 64),
            ("int", 2),
        ] {
            assert_eq!(parse(text), Ok(number), "{text}");
        }
        for wrong in ["", "0", "65", "SIG", "TERMX", "-9"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
