//! What people are told of a line that drops and comes back.

use std::io::IsTerminal;
use std::time::Duration;

use redial_client::{Lost, Target};

use crate::report;
use crate::settings::Verbosity;

/// It has dropped, and another is dialled.
pub(super) fn dropped(
    target: &Target,
    reason: &Lost,
    way_out: Option<String>,
    verbosity: Verbosity,
) {
    match verbosity {
        Verbosity::Quiet => {}
        _ if std::io::stderr().is_terminal() => {
            let way_out = way_out.map_or_else(String::new, |it| format!("({it}) "));
            report::status(format_args!(
                "line to {target} dropped, dialling again {way_out}… "
            ));
        }
        Verbosity::Normal => {}
        Verbosity::Verbose => report::note(format_args!(
            "line to {target} dropped ({reason}), dialling again"
        )),
    }
}

/// Another is there, after so long.
pub(super) fn back(target: &Target, after: Duration, verbosity: Verbosity) {
    let after = after.as_secs_f64();
    match verbosity {
        Verbosity::Quiet => {}
        _ if std::io::stderr().is_terminal() => {
            report::end_status(format_args!("back after {after:.1} s, nothing lost"));
        }
        Verbosity::Normal => {}
        Verbosity::Verbose => report::note(format_args!(
            "line to {target} back after {after:.1} s, nothing lost"
        )),
    }
}
