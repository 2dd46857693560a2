//! The connection as its peers see it: pairs of both sides, and frames written by hand.

mod before;
mod cuts;
mod exact;
mod fairness;
mod frames;
mod handshake;
mod limits;
mod login;
mod order;
mod pair;
mod requests;
mod states;
mod stdin;
mod vectors;
