//! The command line of `redial hosts`.

use clap::{Args, Subcommand};

use super::NatsArgs;

const HOSTS_HELP: &str = "\
A host set is names with ranges, web[01-20/2] or rack[1-4]-n[01-16], and from left to right between them
',' (and), '!' (without), '&' (in both), '^' (in one only). Spellings are kept: web1 and web01 are two. user@
and :port may stand around a range. At most 1,000,000 hosts.

@web is a group, @source:web that of one source, @* all hosts of the first source, @role=web those with a
tag; web* those of @* whose names are like that. Inventories are, in this order:
  redial   ~/.config/redial/hosts.toml: [hosts.NAME] address, user, port, tags; [groups] NAME = \"SET\"
  (any)    ClusterShell's groups.d/*.yaml ($CLUSTERSHELL_CFGDIR, ~/.config/clustershell, /etc/clustershell)
  ansible  $ANSIBLE_INVENTORY or /etc/ansible/hosts, as INI: hosts, groups, ansible_host, ansible_user
  ssh      the names of ~/.ssh/config
docs/fleet.md says more. nats:web[1-9] are hosts that have dialled out to the cluster of --nats (or of the
settings), nats:@role=web those of them that answer now and have that tag, nats:@* all that answer.

Several SETs are taken together. Without one, names are read from stdin, a set in each line.

Examples:
  redial hosts expand 'web[01-03],db1'
  redial hosts fold web1 web2 web3 db1         # db1,web[1-3]
  redial hosts count 'web[1-500]!web[100-199]'
  redial hosts fold < names.txt
  redial hosts list '@role=web&@dc=fra'
  redial hosts list --nats nats://broker:4222";

/// Sets of hosts: spelled out, folded, counted
#[derive(Debug, Args)]
#[command(after_help = HOSTS_HELP)]
pub(crate) struct HostsArgs {
    #[command(subcommand)]
    pub(crate) what: HostsCommand,
}

/// What to do with a set.
#[derive(Debug, Subcommand)]
pub(crate) enum HostsCommand {
    /// Show hosts with what is known of them: all, or those of sets. With --nats: those that answer in that
    /// cluster
    #[command(after_help = HOSTS_HELP)]
    List(SetArgs),
    /// Show the groups there are, with their sources
    #[command(after_help = HOSTS_HELP)]
    Groups(GroupsArgs),
    /// Print each host's name, one a line
    #[command(after_help = HOSTS_HELP)]
    Expand(SetArgs),
    /// Print the set as one short text
    #[command(after_help = HOSTS_HELP)]
    Fold(SetArgs),
    /// Print how many hosts there are
    #[command(after_help = HOSTS_HELP)]
    Count(SetArgs),
}

/// Which hosts.
#[derive(Debug, Clone, Args)]
pub(crate) struct SetArgs {
    /// Host sets
    #[arg(value_name = "SET")]
    pub(crate) sets: Vec<String>,
    /// Without these hosts: a host set. Repeatable
    #[arg(short = 'x', long, value_name = "SET")]
    pub(crate) exclude: Vec<String>,
    /// Print JSON: an array of names, a text, a number; of list, one object a host and line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) nats: NatsArgs,
}

/// `redial hosts groups`.
#[derive(Debug, Args)]
pub(crate) struct GroupsArgs {
    /// One JSON object a line: source, group, hosts (a set), count
    #[arg(long)]
    pub(crate) json: bool,
}
