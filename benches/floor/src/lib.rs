//! Floors: what the work that redial does costs at least, when all but the work is left out. The same
//! spawner; a socket without keys and protocol; a pipe's bytes over a socket, or sealed. A bound, not a
//! product.

pub mod carry;
pub mod crew;
pub mod direct;
pub mod lane;
