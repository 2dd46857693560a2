//! What the commands about jobs are to do: where, which job, and how to get there.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::Duration;

use redial_client::{ConnectOptions, NetworkOptions, Place, Target};

use super::SettingsError;
use super::file::File;
use super::from_env;
use super::network::network;
use super::work::time;
use crate::args::{KillArgs, LogsArgs, RedialArgs, WayArgs};
use crate::commands::{Blow, Wanted};
use crate::duration;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const REDIAL: Duration = Duration::from_secs(600);
/// From TERM to KILL.
const GRACE: Duration = Duration::from_secs(5);
/// As its number is everywhere (signal(7)).
const SIGTERM: u8 = 15;
const SIGKILL: u8 = 9;

/// How to get to a host.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    pub(crate) target: Target,
    pub(crate) connect_timeout: Duration,
    pub(crate) redial: Option<Duration>,
    pub(crate) network: NetworkOptions,
}

/// A job as it was named.
#[derive(Debug, Clone)]
pub(crate) struct JobName {
    pub(crate) way: Way,
    /// What its name begins with; not empty.
    pub(crate) prefix: String,
}

impl Way {
    /// Settings from all sources.
    ///
    /// # Errors
    ///
    /// Says which setting is wrong, and where it was made.
    pub(crate) fn resolve(
        host: &OsStr,
        args: &WayArgs,
        file: &File,
    ) -> Result<Self, SettingsError> {
        let target = Target::parse(host).map_err(|error| error.to_string())?;
        Ok(Way {
            connect_timeout: connect_timeout(args.connect_timeout, file)?,
            redial: redial(&args.redial, file)?,
            network: network(&args.network, &target, file)?,
            target,
        })
    }

    /// For the client.
    pub(crate) fn options(&self) -> ConnectOptions {
        ConnectOptions::over(self.network.clone())
            .connect_timeout(self.connect_timeout)
            .redial(self.redial)
            // This very program, even if its file was replaced in the meantime.
            .local_program("/proc/self/exe")
    }
}

impl JobName {
    /// `HOST/JOB`, split at the last slash.
    ///
    /// # Errors
    ///
    /// Says what it should be like, or which setting is wrong.
    pub(crate) fn resolve(
        name: &OsStr,
        args: &WayArgs,
        file: &File,
    ) -> Result<Self, SettingsError> {
        let wrong = || {
            let shown = name.display();
            format!("{shown:?} is no job; write HOST/JOB, as 'redial ps -q HOST' prints it")
        };
        let bytes = name.as_bytes();
        let slash = bytes
            .iter()
            .rposition(|&byte| byte == b'/')
            .ok_or_else(wrong)?;
        let prefix = std::str::from_utf8(&bytes[slash + 1..]).map_err(|_| wrong())?;
        // As `ps` marks a kept one.
        let prefix = prefix
            .strip_suffix('+')
            .unwrap_or(prefix)
            .to_ascii_lowercase();
        let is_name = !prefix.is_empty() && prefix.bytes().all(|it| it.is_ascii_alphanumeric());
        if !is_name || slash == 0 {
            return Err(wrong().into());
        }
        let host = OsString::from_vec(bytes[..slash].to_vec());
        let way = Way::resolve(&host, args, file)?;
        if way.target == Target::Local {
            let text = "local: keeps no jobs: its server ends with each command";
            return Err(text.to_owned().into());
        }
        Ok(JobName { way, prefix })
    }
}

impl JobName {
    /// Several of them.
    ///
    /// # Errors
    ///
    /// As [`JobName::resolve`], of the first that is wrong.
    pub(crate) fn resolve_all(
        names: &[OsString],
        args: &WayArgs,
        file: &File,
    ) -> Result<Vec<Self>, SettingsError> {
        let names = names.iter().map(|name| JobName::resolve(name, args, file));
        names.collect()
    }
}

/// `--connect-timeout`, and what may stand in its place.
pub(super) fn connect_timeout(
    flag: Option<Duration>,
    file: &File,
) -> Result<Duration, SettingsError> {
    let file = file.run.connect_timeout;
    let asked = time(flag, "REDIAL_CONNECT_TIMEOUT", file)?;
    Ok(asked.unwrap_or(CONNECT_TIMEOUT))
}

/// `--redial` and `--no-redial`, and what may stand in their place; 0 is not at all.
pub(super) fn redial(args: &RedialArgs, file: &File) -> Result<Option<Duration>, SettingsError> {
    let within = match (args.no_redial, args.redial) {
        (true, _) => Duration::ZERO,
        (false, Some(within)) => within,
        (false, None) => {
            let variable = from_env("REDIAL_REDIAL", duration::parse_limit)?;
            let file = file.run.redial.map(|limit| limit.0);
            variable.or(file).unwrap_or(REDIAL)
        }
    };
    Ok(Some(within).filter(|within| !within.is_zero()))
}

/// What `redial logs` is to show.
///
/// # Errors
///
/// `--from` is no place.
pub(crate) fn wanted(args: &LogsArgs) -> Result<Wanted, SettingsError> {
    Ok(Wanted {
        follow: args.follow,
        streams: [!args.stderr, !args.stdout],
        tail: args.tail,
        from: args.from.as_deref().map_or(Ok(Place::Start), place)?,
        json: args.json,
    })
}

/// What `redial kill` is to send.
pub(crate) fn blow(args: &KillArgs) -> Blow {
    match args.tree {
        true => Blow::Tree(args.grace.unwrap_or(GRACE)),
        false if args.nine => Blow::Signal(SIGKILL),
        false => Blow::Signal(args.signal.unwrap_or(SIGTERM)),
    }
}

/// `now`, `start`, `N` or `N,M`.
///
/// # Errors
///
/// A text that says what is accepted.
pub(crate) fn place(text: &str) -> Result<Place, SettingsError> {
    let number = |text: &str| text.parse::<u64>().ok();
    let found = match text {
        "now" => Some(Place::Now),
        "start" => Some(Place::Start),
        _ => match text.split_once(',') {
            None => number(text).map(|at| Place::At([at, at])),
            Some((out, err)) => number(out)
                .zip(number(err))
                .map(|(out, err)| Place::At([out, err])),
        },
    };
    found.ok_or_else(|| {
        format!("--from {text}: no place; write now, start, 4096, or 4096,0 (stdout, stderr)")
            .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_words_or_offsets() {
        for (text, expected) in [
            ("now", Place::Now),
            ("start", Place::Start),
            ("7", Place::At([7, 7])),
            ("7,0", Place::At([7, 0])),
        ] {
            assert_eq!(place(text).unwrap(), expected, "{text}");
        }
        for wrong in ["", "end", "7,", ",7", "-1", "1,2,3"] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }
}
