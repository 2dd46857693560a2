//! The commands, one file each.

mod frame;
mod log;
mod run;
mod serve;

pub(crate) use frame::frame;
pub(crate) use run::run;
pub(crate) use serve::serve;
