//! Hosts of the test's own: names in a hosts.toml, behind them servers on this machine. A command knows
//! on which of them it is by its variable `ON`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::network::{Home, NetworkServer};
use crate::support::{Ran, Redial};
pub(crate) use crate::support::{rows, sorted, stdout};

/// See the module.
pub(crate) struct Site {
    home: Home,
    servers: Vec<Option<NetworkServer>>,
    /// Where commands may write.
    dir: TempDir,
}

impl Site {
    /// Of each: names of hosts (a set), which are one server.
    pub(crate) fn of(sets: &[&str]) -> Self {
        let mut site = Site {
            home: Home::with_key(),
            servers: Vec::new(),
            dir: tempfile::tempdir().unwrap(),
        };
        sets.iter().for_each(|set| site.add(set));
        site
    }

    fn add(&mut self, set: &str) {
        let name = set.split('[').next().unwrap();
        let name = name.trim_end_matches(char::is_numeric);
        let line = format!("environment=\"ON={name}\" {}", self.home.public_key());
        let server = NetworkServer::taking(&line);
        self.know(set, server.port());
        self.servers.push(Some(server));
    }

    /// Hosts at a port where nobody answers, or somebody else.
    pub(crate) fn know(&self, set: &str, port: u16) {
        let names = Redial::bare(["hosts", "expand", set]).ran();
        let names = String::from_utf8(names.stdout).unwrap();
        let config = self.home.path().join(".config/redial");
        fs::create_dir_all(&config).unwrap();
        let path = config.join("hosts.toml");
        let mut file = fs::File::options()
            .append(true)
            .create(true)
            .open(path)
            .unwrap();
        for name in names.lines() {
            writeln!(
                file,
                "[hosts.{name}]\naddress = \"127.0.0.1\"\nport = {port}"
            )
            .unwrap();
        }
    }

    /// More of hosts.toml.
    pub(crate) fn hosts_toml(&self, text: &str) {
        let path = self.home.path().join(".config/redial/hosts.toml");
        let mut file = fs::File::options().append(true).open(path).unwrap();
        writeln!(file, "{text}").unwrap();
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Where commands may write.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A file there.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What is in it, empty if it is not there.
    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    pub(crate) fn server(&self, at: usize) -> &NetworkServer {
        self.servers[at].as_ref().unwrap()
    }

    /// Takes a server out, to be put back.
    pub(crate) fn take(&mut self, at: usize) -> NetworkServer {
        self.servers[at].take().unwrap()
    }

    /// Puts one in its place.
    pub(crate) fn put(&mut self, at: usize, server: NetworkServer) {
        self.servers[at] = Some(server);
    }

    /// Ends a server.
    pub(crate) fn ends(&mut self, at: usize) {
        drop(self.servers[at].take());
    }

    /// Ends a server and starts it again at the same port.
    pub(crate) fn begins_again(&mut self, at: usize) {
        let server = self.servers[at].take().unwrap();
        self.servers[at] = Some(server.again());
    }

    /// `redial ARGS`, of the user of these hosts.
    pub(crate) fn redial(&self, args: &[&str]) -> Redial {
        self.home.redial(args)
    }

    /// `redial run SET`; new hosts are accepted.
    pub(crate) fn run(&self, set: &str) -> Redial {
        self.redial(&["run", "--accept-new", set])
    }

    /// `redial run SET ARGS… -- sh -c TEXT`, to its end.
    pub(crate) fn ran(&self, set: &str, args: &[&str], text: &str) -> Ran {
        self.run(set)
            .args(args)
            .args(["--", "sh", "-c", text])
            .ran()
    }
}
