//! How to connect.

use std::path::PathBuf;
use std::time::Duration;

use crate::network::NetworkOptions;

/// Settings of one connection.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConnectOptions {
    /// From the first system call to the server's hello, or its word that we are in,
    /// each time that it is dialled. What a person takes to answer does not count.
    /// Default: 10 s.
    pub connect_timeout: Duration,
    /// The redial program that `local:` runs as a private server. Default: `redial`,
    /// looked for in PATH. A program that is redial itself says `/proc/self/exe`.
    pub local_program: PathBuf,
    /// Jobs of this client at once; further starts wait for their turn. Default: 256,
    /// half of what a server takes, so that two clients do not starve each other.
    pub jobs_at_once: usize,
    /// Bytes of each output stream that may wait here to be taken. Default: 1 MiB.
    pub window_bytes: u64,
    /// For how long a line that has dropped is dialled again, until its jobs are given up; not
    /// at all if none. Default: 10 min. `local:` has no line that could be dialled again.
    pub redial: Option<Duration>,
    /// Who we are, to whom, and by what: mostly for `[user@]host[:port]`.
    pub network: NetworkOptions,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        ConnectOptions::over(NetworkOptions::default())
    }
}

impl ConnectOptions {
    /// The defaults, over the network like this. Who connects to many hosts is spared the look at its
    /// environment for each, which [`NetworkOptions::default`] takes.
    pub fn over(network: NetworkOptions) -> Self {
        ConnectOptions {
            connect_timeout: Duration::from_secs(10),
            local_program: PathBuf::from("redial"),
            jobs_at_once: 256,
            window_bytes: 1 << 20,
            redial: Some(Duration::from_secs(600)),
            network,
        }
    }

    /// Sets [`Self::connect_timeout`].
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets [`Self::local_program`].
    pub fn local_program(mut self, program: impl Into<PathBuf>) -> Self {
        self.local_program = program.into();
        self
    }

    /// Sets [`Self::jobs_at_once`], at least 1.
    pub fn jobs_at_once(mut self, jobs: usize) -> Self {
        self.jobs_at_once = jobs.max(1);
        self
    }

    /// Sets [`Self::window_bytes`], at least 4 KiB.
    pub fn window_bytes(mut self, bytes: u64) -> Self {
        self.window_bytes = bytes.max(4096);
        self
    }

    /// Sets [`Self::redial`].
    pub fn redial(mut self, within: Option<Duration>) -> Self {
        self.redial = within;
        self
    }

    /// Sets [`Self::network`].
    pub fn network(mut self, network: NetworkOptions) -> Self {
        self.network = network;
        self
    }
}
