//! Events as JSON lines. What they mean is told by `redial demo drop --help`.

use serde::Serialize;

use super::Event;
use crate::commands::demo::drop::line::Made;
use crate::commands::demo::drop::plan::{CUTS, KILLS};
use crate::commands::demo::drop::words::{hex, millis};

/// One event; none if programs are not told of it.
///
/// # Errors
/// None that is known: there is no map with odd keys in it.
pub(super) fn line(event: &Event<'_>) -> serde_json::Result<Option<String>> {
    let line = match event {
        Event::Arrived { .. } => return Ok(None),
        Event::Start { seed, size, status } => Line::Start {
            seed: *seed,
            bytes: *size,
            cuts: CUTS,
            kills: KILLS,
            status: *status,
        },
        Event::Down {
            made: Made::Cut,
            number,
            at,
        } => Line::Cut {
            number: *number,
            offset: *at,
        },
        Event::Down {
            made: Made::Kill(pid),
            number,
            at,
        } => Line::Kill {
            number: *number,
            pid: *pid,
            offset: *at,
        },
        Event::Back { pause, next } => Line::Back {
            offset: *next,
            pause_ms: millis(*pause),
        },
        Event::Verdict(verdict) => Line::Verdict {
            bytes: verdict.is.bytes,
            missing: verdict.is.missing,
            doubled: verdict.is.doubled,
            wrong: verdict.is.wrong,
            cuts: verdict.is.cuts,
            kills: verdict.is.kills,
            longest_pause_ms: millis(verdict.longest_pause),
            outcome: &verdict.outcome,
            checksum: hex(&verdict.is.checksum),
            checksum_equal: verdict.is.checksum == verdict.should.checksum,
            holds: verdict.holds(),
        },
    };
    serde_json::to_string(&line).map(Some)
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Line<'a> {
    Start {
        seed: u64,
        bytes: u64,
        cuts: u32,
        kills: u32,
        status: u8,
    },
    Cut {
        number: u32,
        offset: u64,
    },
    Kill {
        number: u32,
        pid: u32,
        offset: u64,
    },
    Back {
        offset: u64,
        pause_ms: u64,
    },
    Verdict {
        bytes: u64,
        missing: u64,
        doubled: u64,
        wrong: u64,
        cuts: u32,
        kills: u32,
        longest_pause_ms: u64,
        outcome: &'a str,
        checksum: String,
        checksum_equal: bool,
        holds: bool,
    },
}
