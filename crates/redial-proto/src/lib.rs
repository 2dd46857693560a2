//! The redial protocol, sans-IO.
