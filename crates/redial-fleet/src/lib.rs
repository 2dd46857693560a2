//! Many hosts at once: which ones there are, and runs on them.
//!
//! Pure parts, text or time in and values out: [`HostSet`], [`inventory`], the schedule, the
//! [`record`] of a run. Others: [`Fleet`] runs a command on many hosts, [`history`] and [`outputs`]
//! keep on disk what happens. What is absent: arguments, settings, terminals, exit codes.
//!
//! ```
//! use redial_fleet::{HostSet, NoGroups};
//!
//! let hosts = HostSet::parse("web[01-20/2],db1!web05", &NoGroups)?;
//! assert_eq!(hosts.len(), 10);
//! assert_eq!(hosts.to_string(), "db1,web[01,03,07,09,11,13,15,17,19]");
//! assert_eq!(hosts.iter().next().as_deref(), Some("db1"));
//! # Ok::<(), redial_fleet::HostSetError>(())
//! ```

mod fleet;
pub mod history;
mod host_set;
mod idle;
pub mod inventory;
pub mod outputs;
pub mod record;
mod schedule;

pub use fleet::{
    Directory, Earlier, End, Event, Fleet, Halt, JobIds, Journal, Order, Receipt, What,
};
pub use host_set::{Groups, HostSet, HostSetError, MAX_HOSTS, NoGroups};
pub use idle::Idle;
pub use schedule::{Plan, Share};
