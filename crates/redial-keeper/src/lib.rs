//! The process that holds the children.

pub mod account;
pub mod outcome;
pub mod pool;
pub mod signals;
pub mod spawn;
pub mod wire;
