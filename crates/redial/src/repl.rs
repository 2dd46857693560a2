//! What `redial repl` is made of: lines come from a terminal or a file, each runs in a
//! shell of its own, and directory and exported variables go from one to the next.

mod complete;
mod editor;
mod filter;
mod history;
mod lines;
mod script;
mod state;
mod word;

pub(crate) use complete::candidates;
pub(crate) use filter::{Filter, Found};
pub(crate) use lines::{Input, Lines};
pub(crate) use script::{Marker, Shell, probe};
pub(crate) use state::{State, StateError};
