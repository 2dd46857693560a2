//! The process that holds the children.

pub mod account;
pub mod keeper;
mod log;
pub mod outcome;
pub mod pool;
pub mod signals;
pub mod spawn;
pub mod tree;
pub mod wire;
