//! The commands, one file each.

mod call_printer;
mod classic;
mod demo;
mod echo;
mod frame;
mod log;
mod repl;
mod run;
mod serve;

pub(crate) use classic::classic;
pub(crate) use demo::demo;
pub(crate) use echo::echo;
pub(crate) use frame::frame;
pub(crate) use repl::repl;
pub(crate) use run::{refused, run};
pub(crate) use serve::serve;
