//! The process that holds the children.

pub mod account;
pub mod spawn;
