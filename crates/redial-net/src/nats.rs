//! Lines through a NATS cluster, for hosts that cannot be dialled: they have dialled out, and are called
//! by their names (PROTOCOL.md section 10).
//!
//! The broker is only a carrier, and not trusted: inside a line run TLS and our protocol, as over TCP. A
//! broker may drop, repeat, reorder and alter what it carries; each byte of a line has its number, so a
//! message that does not continue the last ends the line, and what is altered ends TLS. Then it is as
//! with any line that drops: the client dials again.

mod broker;
mod dial;
mod events;
mod find;
mod host;
mod identity;
mod line;
mod message;
mod name;

pub use broker::{Broker, BrokerError, BrokerOptions};
pub use dial::{CallError, Rival};
pub use find::Found;
pub use host::{Serving, serve};
pub use name::{Name, NameError};
