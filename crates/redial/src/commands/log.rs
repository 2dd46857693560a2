//! Where tracing goes: stderr, for people or as JSON.

use tracing_subscriber::EnvFilter;

use crate::args::LogFormat;

/// The variable that sets the level.
pub(crate) const VARIABLE: &str = "REDIAL_LOG";

/// Starts logging at `default`, unless `REDIAL_LOG` says otherwise.
pub(crate) fn start(format: LogFormat, default: &str) {
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        // It would be said on stderr, which is what cannot be written, and panic at that: a full
        // disk under the log must not end a server.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    // It fails only if there is a subscriber already, and then that one serves.
    let _ = match format {
        LogFormat::Human => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}
