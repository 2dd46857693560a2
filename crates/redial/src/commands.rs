//! The commands, one file each.

mod call_printer;
mod classic;
mod demo;
mod doctor;
mod echo;
mod fleet;
mod frame;
mod generate;
mod history;
mod hosts;
mod jobs;
mod keys;
mod line_status;
mod log;
mod printed;
mod repl;
mod run;
mod serve;

pub(crate) use classic::classic;
pub(crate) use demo::demo;
pub(crate) use doctor::doctor;
pub(crate) use echo::echo;
pub(crate) use fleet::fleet;
pub(crate) use frame::frame;
pub(crate) use generate::{completion, manual};
pub(crate) use history::history;
pub(crate) use hosts::hosts;
pub(crate) use jobs::{Blow, Form, Wanted, kill, logs, ps, rm, upgrade, wait};
pub(crate) use keys::keys;
pub(crate) use repl::repl;
pub(crate) use run::{refused, run};
pub(crate) use serve::{read_keys, serve};
