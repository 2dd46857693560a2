//! What stands in brackets: `1-3,07,10-20/2`.

use super::index::{Index, MAX_DIGITS};
use super::index_set::IndexSet;
use super::{HostSetError, MAX_HOSTS};

/// Reads it; it begins `at` this byte of the whole text.
pub(super) fn read(text: &str, ranges: &str, at: usize) -> Result<IndexSet, HostSetError> {
    let mut set = IndexSet::default();
    let mut from = at;
    for range in ranges.split(',') {
        let begin = from + (range.len() - range.trim_start().len());
        read_one(range.trim(), &mut set)
            .map_err(|reason| HostSetError::new(text, begin, reason))?;
        if set.len() > MAX_HOSTS {
            return Err(HostSetError::new(text, begin, "more than 1,000,000 hosts"));
        }
        from += range.len() + 1;
    }
    Ok(set)
}

fn read_one(range: &str, set: &mut IndexSet) -> Result<(), &'static str> {
    let (numbers, step) = match range.split_once('/') {
        Some((numbers, step)) => (numbers, Some(step.trim())),
        None => (range, None),
    };
    let (first, last) = match numbers.split_once('-') {
        Some((first, last)) => (first.trim(), last.trim()),
        None if step.is_some() => return Err("a step without a range"),
        None => (numbers.trim(), numbers.trim()),
    };
    let (begin, end) = (number(first)?, number(last)?);
    let step = step.map_or(Ok(1), |step| number(step).map(Index::value))?;
    if step == 0 {
        return Err("a step of nothing");
    }
    let is_padded = begin.is_padded() || end.is_padded();
    if is_padded && first.len() != last.len() {
        return Err("as many digits at both ends, where one has zeros before it: the range is odd");
    }
    let (begin, end) = (begin.value(), end.value());
    if begin > end {
        return Err("a range that ends before it begins");
    }
    if (end - begin) / step >= MAX_HOSTS {
        return Err("more than 1,000,000 hosts");
    }
    let digits = if is_padded { first.len() } else { 0 };
    insert(set, (begin, end), step, digits);
    Ok(())
}

fn number(digits: &str) -> Result<Index, &'static str> {
    match digits {
        "" => Err("a number is missing"),
        digits if !digits.bytes().all(|byte| byte.is_ascii_digit()) => Err("not a number"),
        digits => Index::read(digits).ok_or("a number of more than 17 digits"),
    }
}

fn insert(set: &mut IndexSet, (begin, end): (u64, u64), step: u64, digits: usize) {
    if step > 1 {
        let mut value = begin;
        while value <= end {
            let index = Index::new(value, digits);
            set.insert(index, index);
            value += step;
        }
        return;
    }
    // One range for each number of digits.
    let mut value = begin;
    while value <= end {
        let first = Index::new(value, digits);
        let own = u32::try_from(first.digits()).unwrap_or(u32::MAX);
        let most = 10_u64.checked_pow(own).map_or(u64::MAX, |above| above - 1);
        let last = most.min(end);
        set.insert(first, Index::new(last, digits));
        value = last + 1;
    }
}

/// These digits before each. None if that makes too many.
pub(super) fn behind(digits: &str, set: &IndexSet) -> Option<IndexSet> {
    if digits.is_empty() {
        return Some(set.clone());
    }
    let mut longer = IndexSet::default();
    for (first, last) in set.ranges() {
        // Those of one range have as many digits, so they follow each other still.
        let joined = |index: Index| read_joined(digits, &index.to_string());
        longer.insert(joined(first)?, joined(last)?);
    }
    Some(longer)
}

/// These digits behind each.
pub(super) fn before(set: &IndexSet, digits: &str) -> Option<IndexSet> {
    let mut longer = IndexSet::default();
    for index in set.iter() {
        let joined = read_joined(&index.to_string(), digits)?;
        longer.insert(joined, joined);
    }
    Some(longer)
}

fn read_joined(before: &str, behind: &str) -> Option<Index> {
    let fits = before.len() + behind.len() <= MAX_DIGITS;
    fits.then(|| Index::read(&format!("{before}{behind}")))
        .flatten()
}
