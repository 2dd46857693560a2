//! Whether a block applies: `Host` and `Match`.

use alloc::vec::Vec;

use super::line::{Unended, Words};
use super::{ConfigReason, HostSettings, Query};
use crate::limits;
use crate::pattern::{self, Case, Match};

/// What a block is for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Block {
    Applies,
    DoesNot,
    /// It might apply in ssh, by something that is not decided here.
    PassedOver,
}

impl From<Unended> for ConfigReason {
    fn from(_: Unended) -> ConfigReason {
        ConfigReason::Quotes
    }
}

/// Whether `Host` with these patterns means the host as it was typed.
///
/// Source: process_config_line_depth in OpenSSH. Letters' case counts.
pub(super) fn host(patterns: &[Vec<u8>], query: &Query<'_>) -> Result<bool, ConfigReason> {
    bound("patterns in a line", limits::PATTERNS, patterns.len())?;
    let mut found = false;
    for pattern in patterns {
        if pattern.is_empty() {
            return Err(ConfigReason::NoValue("Host"));
        }
        bound("bytes of a pattern", limits::PATTERN_BYTES, pattern.len())?;
        match pattern.strip_prefix(b"!") {
            Some(pattern) if pattern::matches(query.host.as_bytes(), pattern, Case::Counts) => {
                return Ok(false);
            }
            Some(_) => {}
            None => found |= pattern::matches(query.host.as_bytes(), pattern, Case::Counts),
        }
    }
    Ok(found)
}

/// Whether the criteria of a `Match` hold.
///
/// Source: match_cfg_line in OpenSSH.
pub(super) fn criteria(
    text: &[u8],
    query: &Query<'_>,
    settings: &HostSettings,
) -> Result<Block, ConfigReason> {
    let mut words = Words::new(text);
    let (mut holds, mut open, mut count) = (true, false, 0);
    while let Some(word) = words.next()? {
        if word.is_empty() || word[0] == b'#' {
            if word.is_empty() && !words.rest().is_empty() {
                return Err(ConfigReason::Match);
            }
            break;
        }
        let (wanted, name) = match word.strip_prefix(b"!") {
            Some(name) => (false, name),
            None => (true, &word[..]),
        };
        let name = name.to_ascii_lowercase();
        if name.is_empty() {
            return Err(ConfigReason::Match);
        }
        if name == b"all" {
            let behind = words.next()?;
            let alone = behind.is_none_or(|word| word.is_empty() || word[0] == b'#');
            // One of `canonical` and `final` may stand before it; ssh counts only.
            if count > 1 || !alone {
                return Err(ConfigReason::Match);
            }
            return Ok(block(holds && wanted, open));
        }
        count += 1;
        if name == b"canonical" || name == b"final" {
            open |= wanted;
            continue;
        }
        if !is_known(&name) {
            // Whether values follow, and which, cannot be told.
            return Ok(block(holds, true));
        }
        let value = words.next()?.unwrap_or_default();
        if value.is_empty() || value[0] == b'#' {
            return Err(ConfigReason::Match);
        }
        match criterion(&name, &value, query, settings)? {
            Some(met) => holds &= met == wanted,
            None => open = true,
        }
    }
    match count {
        0 => Err(ConfigReason::Match),
        _ => Ok(block(holds, open)),
    }
}

fn block(holds: bool, open: bool) -> Block {
    match (holds, open) {
        (false, _) => Block::DoesNot,
        (true, true) => Block::PassedOver,
        (true, false) => Block::Applies,
    }
}

fn is_known(name: &[u8]) -> bool {
    matches!(
        name,
        b"host" | b"originalhost" | b"user" | b"localuser" | b"exec"
    )
}

/// Whether one criterion is met; none: that is not decided here.
fn criterion(
    name: &[u8],
    list: &[u8],
    query: &Query<'_>,
    settings: &HostSettings,
) -> Result<Option<bool>, ConfigReason> {
    let host = settings.host_name.as_deref().unwrap_or(query.host);
    let user = query.user.or(settings.user.as_deref());
    Ok(Some(match name {
        b"host" => match_host(host, list)?,
        b"originalhost" => match_host(query.host, list)?,
        b"user" => match_user(user.unwrap_or(query.local_user), list)?,
        b"localuser" => match_user(query.local_user, list)?,
        _ => return Ok(None),
    }))
}

fn match_host(host: &str, list: &[u8]) -> Result<bool, ConfigReason> {
    check_list(list)?;
    Ok(pattern::match_list(host.as_bytes(), list) == Match::Yes)
}

fn match_user(user: &str, list: &[u8]) -> Result<bool, ConfigReason> {
    check_list(list)?;
    let mut found = false;
    for (negated, pattern) in pattern::entries(list) {
        if pattern::matches(user.as_bytes(), pattern, Case::Counts) {
            match negated {
                true => return Ok(false),
                false => found = true,
            }
        }
    }
    Ok(found)
}

fn check_list(list: &[u8]) -> Result<(), ConfigReason> {
    let longest = pattern::entries(list)
        .map(|(_, pattern)| pattern.len())
        .max();
    bound(
        "patterns in a line",
        limits::PATTERNS,
        pattern::entries(list).count(),
    )?;
    bound(
        "bytes of a pattern",
        limits::PATTERN_BYTES,
        longest.unwrap_or(0),
    )
}

pub(super) fn bound(what: &'static str, limit: usize, count: usize) -> Result<(), ConfigReason> {
    match count > limit {
        true => Err(ConfigReason::Limit { what, limit }),
        false => Ok(()),
    }
}
