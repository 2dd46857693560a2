//! The redial protocol, sans-IO: bytes and time in, bytes and events out.
//!
//! The normative text is PROTOCOL.md at the root of the repository.

#![no_std]

extern crate alloc;

pub mod message;
