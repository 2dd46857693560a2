//! Sets of numbers, kept as ranges.

use std::collections::BTreeMap;

use super::index::Index;

/// Ranges of numbers of as many digits each, apart from each other, by their first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct IndexSet {
    ranges: BTreeMap<Index, Index>,
}

impl IndexSet {
    pub(super) fn of(index: Index) -> Self {
        Self {
            ranges: BTreeMap::from([(index, index)]),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    pub(super) fn len(&self) -> u64 {
        let counts = self
            .ranges
            .iter()
            .map(|(first, last)| first.count_to(*last));
        counts.sum()
    }

    /// First and last of each range, in order.
    pub(super) fn ranges(&self) -> impl Iterator<Item = (Index, Index)> {
        self.ranges.iter().map(|(first, last)| (*first, *last))
    }

    /// Each, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Index> {
        self.ranges().flat_map(|(first, last)| {
            let mut next = Some(first);
            std::iter::from_fn(move || {
                let index = next?;
                next = (index < last).then(|| index.next());
                Some(index)
            })
        })
    }

    pub(super) fn contains(&self, index: Index) -> bool {
        let before = self.ranges.range(..=index).next_back();
        before.is_some_and(|(_, last)| index <= *last)
    }

    /// Adds a range, of numbers of as many digits.
    pub(super) fn insert(&mut self, mut first: Index, mut last: Index) {
        // What touches it becomes a part of it. Of other digits nothing does: the first of them is not one
        // more than the last that there can be before.
        let touches = |known: Index| known.digits() == first.digits();
        if let Some((&known, &end)) = self.ranges.range(..=first).next_back()
            && touches(known)
            && end.next() >= first
        {
            if end >= last {
                return;
            }
            first = known;
        }
        let behind = last.next();
        let inner: Vec<Index> = self
            .ranges
            .range(first..=behind)
            .map(|(known, _)| *known)
            .filter(|known| known.digits() == first.digits())
            .collect();
        for known in inner {
            if let Some(end) = self.ranges.remove(&known) {
                last = last.max(end);
            }
        }
        self.ranges.insert(first, last);
    }

    fn remove(&mut self, first: Index, last: Index) {
        let before = self.ranges.range(..first).next_back();
        let before = before.map(|(known, end)| (*known, *end));
        let from = before.filter(|(_, end)| *end >= first);
        let from = from.map_or(first, |(known, _)| known);
        let touched: Vec<Index> = self.ranges.range(from..=last).map(|(it, _)| *it).collect();
        for known in touched {
            let Some(end) = self.ranges.remove(&known) else {
                continue;
            };
            if known < first {
                self.ranges.insert(known, first.previous());
            }
            if end > last {
                self.ranges.insert(last.next(), end);
            }
        }
    }

    pub(super) fn union(&mut self, other: &IndexSet) {
        other
            .ranges()
            .for_each(|(first, last)| self.insert(first, last));
    }

    pub(super) fn difference(&mut self, other: &IndexSet) {
        other
            .ranges()
            .for_each(|(first, last)| self.remove(first, last));
    }

    pub(super) fn intersection(&mut self, other: &IndexSet) {
        let mut both = IndexSet::default();
        for (first, last) in other.ranges() {
            let before = self.ranges.range(..first).next_back();
            let from = before.map_or(first, |(known, _)| *known);
            for (&known, &end) in self.ranges.range(from..=last) {
                let (first, last) = (known.max(first), end.min(last));
                if first <= last {
                    both.ranges.insert(first, last);
                }
            }
        }
        *self = both;
    }
}
