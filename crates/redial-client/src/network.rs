//! A server on the network: TLS over TCP or over a program, its key known, ours proven.
//!
//! In order: the route says where and as whom, dialling makes the line, known_hosts files say
//! whether the server is the right one, the login proves a key of ours over the protocol.
//! People are asked only while no line is open: who has to ask hangs up, asks, and dials
//! again. So no server's patience, and no nonce, is spent on a person's.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use redial_client::{Client, Command, ConnectOptions, NetworkOptions, NewHost};
//!
//! // Keys and known hosts are those of ~/.ssh, unless said otherwise.
//! let network = NetworkOptions::default()
//!     .new_host(NewHost::Pinned("SHA256:uNiVztksCsDhcc0u9e8BrrQXVUpvGRIOTJ8mAhcyqHI".into()));
//! let options = ConnectOptions::default().network(network);
//! let client = Client::connect(&"ada@web1".parse()?, options).await?;
//! let finished = client.run(Command::new(["uptime"])).await?;
//! # Ok(())
//! # }
//! ```

mod agent;
mod asking;
mod cluster;
mod connect;
mod dial;
mod entering;
mod error;
mod host_keys;
mod identity;
mod interaction;
mod kept;
mod known_cache;
mod known_file;
mod login;
mod options;
mod patience;
pub mod probe;
mod progress;
mod route;
mod secure;
mod user_file;

pub use agent::AgentError;
pub use cluster::NatsError;
pub(crate) use connect::{Haste, open};
pub(crate) use entering::{Answer, Entering};
pub use error::{HostKeyError, LoginError, RouteError, Tried};
pub use host_keys::{Reason, Verdict};
pub use identity::{Identity, Skipped, Source};
pub use interaction::{HostQuestion, Interaction, Nobody};
pub use known_file::{Entry, KnownFileError, forget, known_hosts_path, known_name, list, trust};
pub use options::{HostOverrides, NetworkOptions, NewHost};
pub use redial_net::auth;
pub use redial_net::nats::{
    Broker, BrokerError, BrokerOptions, Found as NatsFound, Name as NatsName,
};
pub use route::{Named, Route, Via};
pub use user_file::matching as files_like;
