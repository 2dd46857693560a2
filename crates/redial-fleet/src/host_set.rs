//! Sets of hosts.
//!
//! A name is text with numbers in it; names that differ in their numbers only have one pattern. With one
//! number, what there is of a pattern is kept as ranges; with several, as the combinations themselves.

mod error;
mod fold;
mod groups;
mod index;
mod index_set;
mod name;
mod parse;
mod ranges;
mod scan;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

pub use error::HostSetError;
pub use groups::{Groups, NoGroups};
use index::Index;
use index_set::IndexSet;
use name::{Pattern, Shape};

/// Hosts of one set. Stops `a[1-999999999]` from filling the memory.
pub const MAX_HOSTS: u64 = 1_000_000;

/// A set of hosts by name. Two spellings of a number are two hosts: `web1`, `web01`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostSet {
    patterns: BTreeMap<Pattern, Indices>,
}

/// What there is of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Indices {
    /// It has no number: it is one name.
    None,
    One(IndexSet),
    Several(BTreeSet<Box<[Index]>>),
}

/// What two sets make a third by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Union,
    Difference,
    Intersection,
    Exclusive,
}

impl HostSet {
    /// Reads an expression: names with ranges (`web[01-20/2]`), and `,` (and), `!` (without), `&` (in
    /// both) and `^` (in one only) between them, from left to right; `@group` asks `groups`.
    ///
    /// # Errors
    ///
    /// [`HostSetError`] says what is wrong, and where.
    pub fn parse(text: &str, groups: &dyn Groups) -> Result<Self, HostSetError> {
        parse::parse(text, groups)
    }

    /// How many hosts.
    pub fn len(&self) -> u64 {
        self.patterns.values().map(Indices::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Their names: by pattern, then by their numbers, shorter ones first.
    pub fn iter(&self) -> impl Iterator<Item = String> {
        self.patterns
            .iter()
            .flat_map(|(pattern, indices)| pattern.names(indices))
    }

    /// Whether a host of this name is in it.
    pub fn contains(&self, name: &str) -> bool {
        let Shape { pattern, indices } = name::shape(name);
        match (self.patterns.get(&pattern), &indices[..]) {
            (Some(Indices::None), []) => true,
            (Some(Indices::One(known)), [index]) => known.contains(*index),
            (Some(Indices::Several(known)), indices) => known.contains(indices),
            _ => false,
        }
    }

    /// Adds a host by its name, as it is.
    pub fn insert(&mut self, name: &str) {
        let Shape { pattern, indices } = name::shape(name);
        let indices = match &indices[..] {
            [] => Indices::None,
            [index] => Indices::One(IndexSet::of(*index)),
            _ => Indices::Several(BTreeSet::from([indices.into()])),
        };
        self.unite(pattern, indices);
    }

    /// And those of another.
    pub fn union(&mut self, other: HostSet) {
        for (pattern, indices) in other.patterns {
            self.unite(pattern, indices);
        }
    }

    fn unite(&mut self, pattern: Pattern, indices: Indices) {
        match self.patterns.entry(pattern) {
            Entry::Vacant(place) => {
                place.insert(indices);
            }
            Entry::Occupied(mut place) => match (place.get_mut(), indices) {
                (Indices::One(known), Indices::One(more)) => known.union(&more),
                (Indices::Several(known), Indices::Several(more)) => known.extend(more),
                // A pattern without a number is one name.
                _ => {}
            },
        }
    }

    /// Without those of another.
    pub fn difference(&mut self, other: &HostSet) {
        self.keep(other, Operation::Difference);
    }

    /// Those only that are in another, too.
    pub fn intersection(&mut self, other: &HostSet) {
        self.keep(other, Operation::Intersection);
    }

    /// Those that are in one of both only.
    pub fn exclusive(&mut self, other: HostSet) {
        let mut theirs = other.clone();
        theirs.difference(self);
        self.difference(&other);
        self.union(theirs);
    }

    fn keep(&mut self, other: &HostSet, operation: Operation) {
        let is_difference = operation == Operation::Difference;
        self.patterns.retain(|pattern, indices| {
            let Some(others) = other.patterns.get(pattern) else {
                return is_difference;
            };
            match (indices, others) {
                (Indices::One(known), Indices::One(others)) => {
                    match is_difference {
                        true => known.difference(others),
                        false => known.intersection(others),
                    }
                    !known.is_empty()
                }
                (Indices::Several(known), Indices::Several(others)) => {
                    known.retain(|indices| others.contains(indices) != is_difference);
                    !known.is_empty()
                }
                _ => !is_difference,
            }
        });
    }

    fn apply(&mut self, operation: Operation, other: HostSet) {
        match operation {
            Operation::Union => self.union(other),
            Operation::Difference => self.difference(&other),
            Operation::Intersection => self.intersection(&other),
            Operation::Exclusive => self.exclusive(other),
        }
    }
}

impl Indices {
    fn len(&self) -> u64 {
        match self {
            Indices::None => 1,
            Indices::One(indices) => indices.len(),
            Indices::Several(combinations) => combinations.len() as u64,
        }
    }
}

impl<S: AsRef<str>> FromIterator<S> for HostSet {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        let mut set = HostSet::default();
        names.into_iter().for_each(|name| set.insert(name.as_ref()));
        set
    }
}

#[cfg(test)]
mod tests;
