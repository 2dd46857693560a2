//! The keeper itself: one thread, one loop, no async.
//!
//! Each turn waits for events, handles them, runs what is due, and tells the front
//! everything that is new in as few packets as hold it. What can take long happens
//! elsewhere: starting processes and looking up accounts on two threads, walking
//! /proc and signalling trees on a third (`workers`, `gate`). This thread only reads and
//! writes pipes and shared memory.
//!
//! - `config`: settings, limits, errors. `poll`, `time`: events and clocks.
//! - `set_up`, `turn`, `house`: the loop. `requests`: what the front may ask. `start`, `began`: at most once.
//!   `auditing`: what is written down of it.
//! - `job`: one job; `streams`: its bytes; `ending`, `finish`: its end; `records`:
//!   ended jobs. `kept`: those whose output goes to a file; `queries`: what is asked about jobs.
//! - `metrics`: what is counted, for a monitor.
//! - `upgrade`: another program in this one's place. `front`, `listener`, `clients`, `shutdown`: the front's life, new connections,
//!   who may do what, the end.
//! - `users`, `peers`: whose jobs there may be, and who they are on Unix sockets; `lanes`, `clerk`: who looks
//!   that up.
//! - `network`, `strangers`, `penalties`: who comes from the network, within bounds. `admission`,
//!   `logins`, `grant`, `permit`: who gets in, by which key, and what that key lets it do.

mod admission;
mod agent;
mod auditing;
mod began;
mod clerk;
mod clients;
mod command;
mod config;
mod desk;
mod ending;
mod finish;
mod front;
mod front_program;
mod gate;
mod grant;
mod ground;
mod house;
mod job;
mod kept;
mod lanes;
mod late;
mod life;
mod list;
mod listener;
mod logins;
mod metrics;
mod naps;
mod network;
mod orphans;
mod peers;
mod penalties;
mod permit;
mod pipes;
mod poll;
mod queries;
mod queue;
mod recording;
mod records;
mod report;
mod requests;
mod set_up;
mod shutdown;
mod standing;
mod start;
mod strangers;
mod streams;
mod terms;
mod time;
mod turn;
mod upgrade;
mod users;
mod workers;

pub use config::{
    DoorConfig, FrontProgram, KeeperConfig, KeeperError, Limits, ManyUsers, NetworkConfig,
    UpgradeConfig,
};
pub use front::FrontHandle;
pub use metrics::MetricsTo;
#[cfg(feature = "simulation")]
pub(crate) use turn::simulation;
pub use turn::{run, run_with};
pub use upgrade::{check_state, own_program};
