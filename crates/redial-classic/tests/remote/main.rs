//! Remote commands in the lesson's wire format: what goes over the wire, what the lesson's own
//! programs make of it, and that each failure of the original is none here.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

mod failures;
mod peers;
mod support;
mod transfer;
mod wire;
