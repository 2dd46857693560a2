//! Where tracing goes: stderr, for people or as JSON.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::args::LogFormat;

/// The variable that sets the level.
pub(crate) const VARIABLE: &str = "REDIAL_LOG";

/// The library that speaks with brokers.
const BROKERS: &str = "async_nats";

/// Starts logging at `default`, unless `REDIAL_LOG` says otherwise.
pub(crate) fn start(format: LogFormat, default: &str) {
    let named = std::env::var(VARIABLE).ok();
    let named = named.and_then(|text| text.parse::<Targets>().ok());
    let filter = named.unwrap_or_else(|| {
        let level: LevelFilter = default.parse().unwrap_or(LevelFilter::INFO);
        Targets::new().with_default(level)
    });
    // What it has to say is said by us; it says each try to reach a broker.
    let filter = match filter.would_enable(BROKERS, &tracing::Level::DEBUG) {
        true => filter,
        false => filter.with_target(BROKERS, LevelFilter::OFF),
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_target(false)
        // It would be said on stderr, which is what cannot be written, and panic at that: a full
        // disk under the log must not end a server.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    // It fails only if there is a subscriber already, and then that one serves.
    let registry = tracing_subscriber::registry();
    let _ = match format {
        LogFormat::Human => {
            let lines = lines.with_ansi(false).with_filter(filter);
            registry.with(lines).try_init()
        }
        LogFormat::Json => registry.with(lines.json().with_filter(filter)).try_init(),
    };
}
