//! The rules of the house, kept by ordinary tests.
//!
//! Each rule is a function over text: a [`Source`] (a Rust file), a manifest,
//! or a page of Markdown. It returns an [`Offence`] for each place that breaks
//! it. The unit tests beside a rule show that it can fail; `tests/house.rs`
//! runs all of them over the [`Repository`].

pub mod arrows;
pub mod confined;
pub mod links;
pub mod machine;
pub mod names;
mod offence;
mod paths;
pub mod purity;
mod repository;
pub mod sizes;
pub mod sleeps;
mod source;
pub mod words;

pub use offence::Offence;
pub use repository::{Page, Repository};
pub use source::Source;
