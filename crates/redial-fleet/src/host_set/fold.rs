//! A set as the shortest text that says it, or nearly.

use std::collections::BTreeMap;
use std::fmt;

use super::index::Index;
use super::index_set::IndexSet;
use super::{HostSet, Indices};

/// As [`HostSet::parse`] reads it.
impl fmt::Display for HostSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for (pattern, indices) in &self.patterns {
            let folded = match indices {
                Indices::None => vec![Vec::new()],
                Indices::One(set) => vec![vec![in_brackets(set)]],
                Indices::Several(combinations) => {
                    let boxes = boxes(combinations.iter().map(|it| &it[..]));
                    let text = |one: &Vec<IndexSet>| one.iter().map(in_brackets).collect();
                    boxes.iter().map(text).collect()
                }
            };
            for numbers in folded {
                write!(f, "{comma}{}", pattern.filled(&numbers))?;
                comma = ",";
            }
        }
        Ok(())
    }
}

/// One number stands as it is.
fn in_brackets(set: &IndexSet) -> String {
    match set.len() {
        1 => ranges(set),
        _ => format!("[{}]", ranges(set)),
    }
}

/// Ranges that follow each other are one: behind `9` comes `10`, if no zeros are written.
fn ranges(set: &IndexSet) -> String {
    let mut joined: Vec<(Index, Index)> = Vec::new();
    for (first, last) in set.ranges() {
        let follows = |(begin, end): &(Index, Index)| {
            let is_plain = !begin.is_padded() && !first.is_padded();
            is_plain && end.value() + 1 == first.value()
        };
        match joined.last_mut().filter(|before| follows(before)) {
            Some(before) => before.1 = last,
            None => joined.push((first, last)),
        }
    }
    let text = |(first, last): &(Index, Index)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    joined.iter().map(text).collect::<Vec<_>>().join(",")
}

/// Combinations as products of sets: number by number from the last on, those that differ in it only become one.
fn boxes<'c>(combinations: impl Iterator<Item = &'c [Index]>) -> Vec<Vec<IndexSet>> {
    let single = |indices: &[Index]| indices.iter().map(|index| IndexSet::of(*index)).collect();
    let mut boxes: Vec<Vec<IndexSet>> = combinations.map(single).collect();
    let numbers = boxes.first().map_or(0, Vec::len);
    for at in (0..numbers).rev() {
        // By all the others; in the order in which they came first.
        let mut places: BTreeMap<Vec<(Index, Index)>, usize> = BTreeMap::new();
        let mut merged: Vec<Vec<IndexSet>> = Vec::new();
        for one in boxes {
            let others = one.iter().enumerate().filter(|(number, _)| *number != at);
            // A range that cannot be keeps those of different numbers apart.
            let border = (Index::new(1, 0), Index::new(0, 0));
            let key = others
                .flat_map(|(_, set)| set.ranges().chain([border]))
                .collect();
            match places.get(&key).and_then(|place| merged.get_mut(*place)) {
                Some(known) => known[at].union(&one[at]),
                None => {
                    places.insert(key, merged.len());
                    merged.push(one);
                }
            }
        }
        boxes = merged;
    }
    boxes
}
