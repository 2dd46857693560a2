//! The connection as its peers see it: pairs of both sides, and frames written by hand.

mod exact;
mod frames;
mod limits;
mod pair;
mod states;
