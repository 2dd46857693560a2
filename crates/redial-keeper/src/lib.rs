//! The process that holds the children.
