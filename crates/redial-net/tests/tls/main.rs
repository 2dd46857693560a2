//! TLS as a layer: exact inside, closed outside, and clear about why.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

#[path = "../driver/choppy.rs"]
mod choppy;
mod conversation;
mod damage;
mod openssl;
mod plain;
mod refusal;
#[path = "../driver/sides.rs"]
#[expect(dead_code, reason = "the driver's own tests use the rest")]
mod sides;
mod support;
