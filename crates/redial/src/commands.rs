//! The commands, one file each.

mod log;
mod run;
mod serve;

pub(crate) use run::run;
pub(crate) use serve::serve;
