//! Flags of `redial run` for many hosts.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use redial_client::HostTarget;
use redial_fleet::Share;

use crate::duration;

/// See `docs/fleet.md`.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Many hosts")]
pub(crate) struct FleetArgs {
    /// These hosts, in HOST's place: a host set. Repeatable
    #[arg(short = 'w', long = "hosts", value_name = "SET")]
    pub(crate) hosts: Vec<String>,
    /// The hosts of this group, as @GROUP. Repeatable
    #[arg(short, long, value_name = "GROUP")]
    pub(crate) group: Vec<String>,
    /// Without these hosts: a host set. Repeatable
    #[arg(short = 'x', long, value_name = "SET")]
    pub(crate) exclude: Vec<String>,
    /// Hosts at once [default: 256]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) fanout: Option<u32>,
    /// In batches of so many hosts, or such a part of them (5, 10%): the next batch begins when the
    /// one before has ended
    #[arg(long, value_name = "N|N%", value_parser = share)]
    pub(crate) rolling: Option<Share>,
    /// With --rolling: wait so long between batches
    #[arg(long, value_name = "TIME", value_parser = duration::parse, requires = "rolling")]
    pub(crate) pause: Option<Duration>,
    /// When so many hosts, or such a part of them, have failed, begin no other; what runs may end
    #[arg(long, value_name = "N|N%", value_parser = share)]
    pub(crate) max_fail: Option<Share>,
    /// Try a host so often again where the command certainly did not start: after 1s, 2s, 4s, …
    #[arg(long, value_name = "N")]
    pub(crate) retry: Option<u32>,
    /// After so long begin no other host, and end what runs
    #[arg(long, value_name = "TIME", value_parser = duration::parse_limit)]
    pub(crate) total_deadline: Option<Duration>,
    /// Read our stdin once, and give it to the command on each host (at most 64 MiB)
    #[arg(long, conflicts_with = "no_stdin")]
    pub(crate) stdin_all: bool,
    /// How outputs are shown [default: prefix]
    #[arg(long, value_name = "MODE", conflicts_with = "json")]
    pub(crate) output: Option<OutputArg>,
    /// As --output fold
    #[arg(short = 'b', conflicts_with_all = ["output", "json"])]
    pub(crate) fold: bool,
    /// Folded, and of each output but the most frequent only how it differs from that
    #[arg(long, conflicts_with_all = ["output", "json"])]
    pub(crate) diff: bool,
    /// Write outputs to DIR/HOST.out and DIR/HOST.err, byte for byte
    #[arg(long, value_name = "DIR")]
    pub(crate) output_dir: Option<PathBuf>,
}

/// How outputs are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputArg {
    /// Lines as they come, the host before each
    Prefix,
    /// Each host's when it has ended
    Group,
    /// Same outputs once, with the set of their hosts
    Fold,
    /// Not at all
    Quiet,
}

/// Where a command is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Where {
    /// One host.
    One(OsString),
    /// A set of them: these together, without those.
    Set {
        sets: Vec<String>,
        without: Vec<String>,
    },
}

impl FleetArgs {
    /// Where, from HOST and the flags. A HOST that belongs to the command is put before it.
    ///
    /// # Errors
    ///
    /// There is none, or it is no text.
    pub(crate) fn place(
        &self,
        host: Option<OsString>,
        argv: &mut Vec<OsString>,
    ) -> Result<Where, String> {
        let by_flag = !self.hosts.is_empty() || !self.group.is_empty();
        if let Some(path) = self
            .hosts
            .iter()
            .find(|set| set.starts_with(['/', '.', '~']))
        {
            return Err(format!(
                "-w {path}: -w is a set of hosts, as with clush; the directory to run in is --cwd DIR"
            ));
        }
        if by_flag {
            argv.splice(0..0, host);
            let groups = self.group.iter().map(|group| format!("@{group}"));
            return Ok(Where::Set {
                sets: self.hosts.iter().cloned().chain(groups).collect(),
                without: self.exclude.clone(),
            });
        }
        let host = host.ok_or("no host: write one before the command, or -w SET")?;
        if !self.is_for_many() && !is_set(&host) {
            return Ok(Where::One(host));
        }
        let set = host
            .into_string()
            .map_err(|host| format!("{:?}: a host set is text in UTF-8", host.to_string_lossy()))?;
        Ok(Where::Set {
            sets: vec![set],
            without: self.exclude.clone(),
        })
    }

    /// Whether a flag is there that is for many hosts only.
    fn is_for_many(&self) -> bool {
        let FleetArgs {
            hosts: _,
            group: _,
            exclude,
            fanout,
            rolling,
            pause: _,
            max_fail,
            retry,
            total_deadline,
            stdin_all,
            output,
            fold,
            diff,
            output_dir,
        } = self;
        !exclude.is_empty()
            || fanout.is_some()
            || rolling.is_some()
            || max_fail.is_some()
            || retry.is_some()
            || total_deadline.is_some()
            || *stdin_all
            || output.is_some()
            || *fold
            || *diff
            || output_dir.is_some()
    }
}

/// Whether a HOST is a set of them. Paths and commands never are.
fn is_set(host: &OsStr) -> bool {
    let Some(text) = host.to_str() else {
        return false;
    };
    let is_other = ["unix:", "exec:", "local:", "/", "./", "../"]
        .iter()
        .any(|start| text.starts_with(start));
    let looks_like_one =
        text.starts_with('@') || text.contains(['[', ',', '!', '&', '^', '*', '?']);
    // `a,@web` would be a user with an odd name.
    let has_several = [",", "!@", "&@", "^@"]
        .iter()
        .any(|between| text.contains(between));
    // `nats:` is no user, so that this is no host either.
    let is_group = text.starts_with("nats:@");
    !is_other && (is_group || looks_like_one && (has_several || HostTarget::parse(text).is_err()))
}

/// `5` or `10%`.
fn share(text: &str) -> Result<Share, String> {
    let wrong = || format!("{text:?}: write a number of hosts (5), or a part of them (10%)");
    let share = match text.strip_suffix('%') {
        Some(percent) => percent
            .parse()
            .ok()
            .filter(|it| (1..=100).contains(it))
            .map(Share::Percent),
        None => text.parse().ok().filter(|it| *it > 0).map(Share::Hosts),
    };
    share.ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_told_from_a_set_of_them() {
        for one in [
            "web1",
            "ada@web1:22",
            "::1",
            "[::1]:22",
            "unix:/a[1]",
            "exec:ssh a,b",
            "local:",
            "nats:web1",
            "ada@nats:web1.example",
            "web",
            "/a[1]",
        ] {
            assert!(!is_set(OsStr::new(one)), "{one}");
        }
        for set in [
            "web[1-2]",
            "a,b",
            "@db",
            "a!b",
            "ada@web[1-2]:22",
            "a&b",
            "@*",
            "[::1],[::2]",
            "a,@db",
            "@all!@db",
            "nats:web[1-2]",
            "nats:@role=web",
            "nats:@web",
            "nats:@*",
            "ada@nats:web[1-2]",
            "nats:web1,nats:web2",
        ] {
            assert!(is_set(OsStr::new(set)), "{set}");
        }
    }

    #[test]
    fn flags_that_name_hosts_leave_the_first_word_to_the_command() {
        let args = FleetArgs {
            hosts: vec!["a".into()],
            group: vec!["db".into()],
            ..FleetArgs::default()
        };
        let mut argv = vec!["-a".into()];
        let place = args.place(Some("uname".into()), &mut argv).unwrap();
        assert_eq!(argv, ["uname", "-a"]);
        let sets = vec!["a".to_owned(), "@db".to_owned()];
        assert_eq!(
            place,
            Where::Set {
                sets,
                without: Vec::new()
            }
        );
        let none = FleetArgs::default();
        assert!(none.place(None, &mut Vec::new()).is_err());
        assert_eq!(
            none.place(Some("h".into()), &mut argv),
            Ok(Where::One("h".into()))
        );
    }

    #[test]
    fn a_share_is_a_number_or_a_part() {
        assert_eq!(share("5"), Ok(Share::Hosts(5)));
        assert_eq!(share("10%"), Ok(Share::Percent(10)));
        for wrong in ["", "0", "0%", "101%", "-1", "x", "5.5%"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
    }
}
