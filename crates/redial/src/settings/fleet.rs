//! What `redial run` is to do on many hosts.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use redial_client::{Command, ConnectOptions, Target};
use redial_fleet::history::History;
use redial_fleet::inventory::Inventory;
use redial_fleet::{Directory, HostSet, Plan};

use super::file::File;
use super::jobs::{connect_timeout, redial};
use super::network::Network;
use super::run::{Verbosity, verbosity, work};
use super::{SettingsError, Work};
use crate::args::{FleetArgs, OutputArg, RunArgs};

/// Of all outputs together, so much may wait here to be written.
const WINDOWS_BYTES: u64 = 64 << 20;
/// Of one output.
const WINDOW_BYTES: std::ops::RangeInclusive<u64> = (64 << 10)..=(1 << 20);

/// Settings of one run.
#[derive(Debug)]
pub(crate) struct FleetSettings {
    pub(crate) hosts: Arc<Hosts>,
    pub(crate) plan: Plan,
    pub(crate) work: Work,
    pub(crate) total_deadline: Option<Duration>,
    pub(crate) stdin_all: bool,
    pub(crate) output: OutputMode,
    pub(crate) output_dir: Option<PathBuf>,
    pub(crate) verbosity: Verbosity,
}

/// How outputs are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutputMode {
    Prefix,
    Group,
    Fold { diff: bool },
    Quiet,
    Json,
}

/// The hosts of a run, and how they are reached.
#[derive(Debug)]
pub(crate) struct Hosts {
    names: Vec<String>,
    network: Network,
    connect_timeout: Duration,
    redial: Option<Duration>,
    window: u64,
}

impl FleetSettings {
    /// Settings from all sources, for these hosts.
    ///
    /// # Errors
    ///
    /// Says which setting is wrong, and where it was made.
    pub(crate) fn resolve(
        hosts: Vec<String>,
        inventory: Inventory,
        args: RunArgs,
        file: &File,
    ) -> Result<Self, SettingsError> {
        if args.tty {
            return Err("-t: a terminal is for one host".to_owned().into());
        }
        if args.charset.is_some() {
            return Err("--charset: for one host only, so far".to_owned().into());
        }
        let fleet = &args.fleet;
        let plan = Plan {
            fanout: fleet
                .fanout
                .map_or(Plan::default().fanout, |it| it as usize),
            rolling: fleet.rolling,
            pause: fleet.pause.unwrap_or_default(),
            max_fail: fleet.max_fail,
            retries: fleet.retry.unwrap_or(0),
        };
        let at_once = plan.fanout.min(hosts.len()).max(1) as u64;
        let hosts = Hosts {
            names: hosts,
            network: Network::new(&args.way.network, file, inventory)?.together(),
            connect_timeout: connect_timeout(args.way.connect_timeout, file)?,
            redial: redial(&args.way.redial, file)?,
            window: (WINDOWS_BYTES / 2 / at_once).clamp(*WINDOW_BYTES.start(), *WINDOW_BYTES.end()),
        };
        hosts.check()?;
        Ok(FleetSettings {
            hosts: Arc::new(hosts),
            plan,
            total_deadline: fleet.total_deadline.filter(|limit| !limit.is_zero()),
            stdin_all: fleet.stdin_all,
            output: mode(args.json, fleet),
            output_dir: fleet.output_dir.clone(),
            verbosity: verbosity(args.quiet, args.verbose),
            work: Work {
                stdin: args.fleet.stdin_all,
                ..work(args, file)?
            },
        })
    }

    /// The request for each host.
    ///
    /// # Errors
    ///
    /// There is nothing to run.
    pub(crate) fn command(&self) -> Result<Command, SettingsError> {
        let none = || SettingsError("there is no command".to_owned());
        self.work.command().ok_or_else(none)
    }
}

fn mode(json: bool, args: &FleetArgs) -> OutputMode {
    match (json, args.output) {
        (true, _) => OutputMode::Json,
        _ if args.fold || args.diff => OutputMode::Fold { diff: args.diff },
        (_, Some(OutputArg::Group)) => OutputMode::Group,
        (_, Some(OutputArg::Fold)) => OutputMode::Fold { diff: false },
        (_, Some(OutputArg::Quiet)) => OutputMode::Quiet,
        (_, None) if args.output_dir.is_some() => OutputMode::Quiet,
        (_, Some(OutputArg::Prefix) | None) => OutputMode::Prefix,
    }
}

/// The hosts that are in one of the sets, and in none of the others.
///
/// # Errors
///
/// A set is none, or no host is left.
pub(crate) fn select(
    sets: &[String],
    without: &[String],
    groups: &Inventory,
) -> Result<Vec<String>, SettingsError> {
    let read = |text: &String| {
        HostSet::parse(text, groups).map_err(|error| SettingsError(error.to_string()))
    };
    let mut all = HostSet::default();
    for text in sets {
        all.union(read(text)?);
    }
    for text in without {
        let less = read(text)?;
        super::nats::check_excluded(&all, &less)?;
        all.difference(&less);
    }
    if all.is_empty() {
        let sets = sets.join(",");
        return Err(format!("{sets:?}: no host is left of it").into());
    }
    if all.len() > redial_fleet::MAX_HOSTS {
        return Err("more than 1,000,000 hosts".to_owned().into());
    }
    Ok(all.iter().collect())
}

impl Hosts {
    /// Before anything runs: each name can be one of a host.
    fn check(&self) -> Result<(), SettingsError> {
        for name in &self.names {
            let target = parse(name)?;
            if !matches!(target, Target::Network(_)) {
                return Err(format!("{name:?}: a set is of hosts on the network").into());
            }
        }
        match self.names.first() {
            // Of all the same: a wrong --user, say.
            Some(name) => self.network.of(&parse(name)?).map(drop),
            None => Ok(()),
        }
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    pub(crate) fn name(&self, host: usize) -> &str {
        self.names.get(host).map_or("", String::as_str)
    }
}

fn parse(name: &str) -> Result<Target, SettingsError> {
    name.parse::<Target>()
        .map_err(|error| SettingsError(error.to_string()))
}

impl Directory for Hosts {
    fn reach(&self, host: usize) -> Result<(Target, ConnectOptions), String> {
        let target = parse(self.name(host)).map_err(|error| error.to_string())?;
        let network = self.network.of(&target);
        let network = network.map_err(|error| error.to_string())?;
        let options = ConnectOptions::over(network)
            .connect_timeout(self.connect_timeout)
            .redial(self.redial)
            .window_bytes(self.window);
        Ok((target, options))
    }
}

/// Where runs are written down.
///
/// # Errors
///
/// Nobody says where.
pub(crate) fn history() -> Result<History, String> {
    let from = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let absolute = |path: &PathBuf| path.is_absolute();
    let base = from("XDG_STATE_HOME").filter(absolute);
    let base = base.or_else(|| Some(from("HOME").filter(absolute)?.join(".local/state")));
    let base = base.ok_or("neither XDG_STATE_HOME nor HOME is set")?;
    Ok(History::new(base.join("redial/runs")))
}
