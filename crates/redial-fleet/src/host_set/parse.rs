//! Expressions, evaluated from left to right.

use std::cell::Cell;
use std::collections::BTreeSet;

use super::groups::Groups;
use super::index::Index;
use super::index_set::IndexSet;
use super::name::{Pattern, Run, are_too_many, runs};
use super::scan::{Operand, Piece, operands, pieces};
use super::{HostSet, HostSetError, Indices, MAX_HOSTS};

/// Groups of groups of groups. Stops those that contain each other.
const MAX_DEPTH: usize = 16;
/// Asked for in one expression. Stops those that contain many that contain many.
const MAX_GROUPS: u32 = 10_000;
const TOO_MANY: &str = "more than 1,000,000 hosts";

/// See [`HostSet::parse`].
pub(super) fn parse(text: &str, groups: &dyn Groups) -> Result<HostSet, HostSetError> {
    let reader = Reader {
        groups,
        source: None,
        depth: 0,
        left: &Cell::new(MAX_GROUPS),
    };
    reader.read(text)
}

/// Reads one text; those of groups are read by others like it.
struct Reader<'g> {
    groups: &'g dyn Groups,
    /// Where groups come from that do not say it.
    source: Option<String>,
    depth: usize,
    /// Groups that may still be asked for.
    left: &'g Cell<u32>,
}

/// A number of a name, with what its digits can be.
enum Number {
    Digits(String),
    Ranges(IndexSet),
}

impl Reader<'_> {
    fn read(&self, text: &str) -> Result<HostSet, HostSetError> {
        let mut set = HostSet::default();
        if text.trim().is_empty() {
            return Ok(set);
        }
        for operand in operands(text)? {
            let more = self.operand(text, &operand)?;
            set.apply(operand.operation, more);
            if set.len() > MAX_HOSTS {
                return Err(HostSetError::new(text, operand.at, TOO_MANY));
            }
        }
        Ok(set)
    }

    fn operand(&self, text: &str, operand: &Operand<'_>) -> Result<HostSet, HostSetError> {
        let names = names(text, operand)?;
        if operand.text.starts_with('@') {
            return self.group(text, operand, &names);
        }
        if operand.text.contains(['*', '?']) {
            return self.matching(text, operand, &names);
        }
        Ok(names)
    }

    /// Something is asked for that may ask for more.
    fn go_deeper(&self) -> Result<(), String> {
        if self.depth == MAX_DEPTH {
            let reason = format!("groups are nested more than {MAX_DEPTH} deep, or in themselves,");
            return Err(reason);
        }
        let left = self.left.get().checked_sub(1);
        self.left
            .set(left.ok_or(format!("more than {MAX_GROUPS} groups"))?);
        Ok(())
    }

    /// Those of each group.
    fn group(
        &self,
        text: &str,
        operand: &Operand<'_>,
        names: &HostSet,
    ) -> Result<HostSet, HostSetError> {
        let wrong = |reason: String| HostSetError::new(text, operand.at, reason);
        self.go_deeper().map_err(wrong)?;
        let mut set = HostSet::default();
        for name in names.iter() {
            let name = name.trim_start_matches('@');
            let (source, group) = match name.split_once(':') {
                Some((source, group)) => (Some(source.to_owned()), group),
                None => (self.source.clone(), name),
            };
            let meant = match group {
                "*" => self.groups.all(source.as_deref()),
                "" => Err("the name of a group is missing".to_owned()),
                group => self.groups.group(source.as_deref(), group),
            };
            let meant = meant.map_err(|reason| wrong(format!("{reason} (@{name})")))?;
            let reader = Reader {
                groups: self.groups,
                source,
                depth: self.depth + 1,
                left: self.left,
            };
            let more = reader.read(&meant);
            set.union(more.map_err(|error| wrong(format!("in @{name}: {error};")))?);
            if set.len() > MAX_HOSTS {
                return Err(wrong(TOO_MANY.to_owned()));
            }
        }
        Ok(set)
    }

    /// Of all hosts, those whose names are like one of these.
    fn matching(
        &self,
        text: &str,
        operand: &Operand<'_>,
        masks: &HostSet,
    ) -> Result<HostSet, HostSetError> {
        let wrong = |reason: String| HostSetError::new(text, operand.at, reason);
        self.go_deeper().map_err(wrong)?;
        let masks: Vec<String> = masks.iter().collect();
        // All have the beginning of the operand.
        let apart = masks.first().and_then(|mask| self.groups.apart(mask));
        let source = apart.map(str::to_owned).or_else(|| self.source.clone());
        let all = self.groups.all(source.as_deref()).map_err(wrong)?;
        let reader = Reader {
            groups: self.groups,
            source,
            depth: self.depth + 1,
            left: self.left,
        };
        let all = reader.read(&all);
        let all = all.map_err(|error| wrong(format!("in the list of all hosts: {error};")))?;
        let is_meant = |name: &String| masks.iter().any(|mask| is_like(mask, name));
        Ok(all.iter().filter(is_meant).collect())
    }
}

/// The names that an operand spells.
fn names(text: &str, operand: &Operand<'_>) -> Result<HostSet, HostSetError> {
    let mut pattern = Pattern::default();
    let (mut numbers, mut open): (Vec<IndexSet>, Option<Number>) = (Vec::new(), None);
    let wrong = |at: usize, reason: &str| HostSetError::new(text, at, reason);
    for piece in pieces(operand) {
        match piece {
            Piece::Ranges(ranges, at) => {
                let set = super::ranges::read(text, ranges, at)?;
                let before = match open.take() {
                    None => String::new(),
                    Some(Number::Digits(digits)) => digits,
                    Some(Number::Ranges(_)) => {
                        return Err(wrong(at - 1, "brackets that follow each other at once"));
                    }
                };
                let set = super::ranges::behind(&before, &set);
                let set = set.ok_or_else(|| wrong(at, "a number of more than 17 digits"))?;
                open = Some(Number::Ranges(set));
            }
            Piece::Text(piece) => {
                for run in runs(piece) {
                    match run {
                        Run::Text(letters) => {
                            close(open.take(), &mut pattern, &mut numbers);
                            check(text, operand, letters)?;
                            pattern.push_text(letters);
                        }
                        Run::Digits(digits) => {
                            open = Some(match open.take() {
                                Some(Number::Ranges(set)) => {
                                    let set = super::ranges::before(&set, digits);
                                    let reason = "a number of more than 17 digits";
                                    Number::Ranges(set.ok_or_else(|| wrong(operand.at, reason))?)
                                }
                                _ => Number::Digits(digits.to_owned()),
                            });
                        }
                    }
                }
            }
        }
    }
    close(open.take(), &mut pattern, &mut numbers);
    let count = numbers
        .iter()
        .try_fold(1_u64, |all, set| all.checked_mul(set.len()));
    if count.is_none_or(|count| count > MAX_HOSTS) {
        return Err(wrong(operand.at, TOO_MANY));
    }
    let mut set = HostSet::default();
    set.unite(pattern, combined(numbers));
    Ok(set)
}

/// A number is whole; digits that are too many are text.
fn close(open: Option<Number>, pattern: &mut Pattern, numbers: &mut Vec<IndexSet>) {
    let set = match open {
        None => return,
        Some(Number::Digits(digits)) if are_too_many(digits.len()) => {
            return pattern.push_text(&digits);
        }
        Some(Number::Digits(digits)) => Index::read(&digits).map(IndexSet::of).unwrap_or_default(),
        Some(Number::Ranges(set)) => set,
    };
    pattern.push_number();
    numbers.push(set);
}

fn check(text: &str, operand: &Operand<'_>, letters: &str) -> Result<(), HostSetError> {
    let odd = letters.find(|c: char| c.is_whitespace() || c.is_control());
    let Some(within) = odd else { return Ok(()) };
    let at = operand.at + (letters.as_ptr() as usize - operand.text.as_ptr() as usize) + within;
    let reason = "a host's name has no blanks (between hosts stands a comma)";
    Err(HostSetError::new(text, at, reason))
}

/// Each of one number with each of the others.
fn combined(numbers: Vec<IndexSet>) -> Indices {
    let mut numbers = numbers;
    match numbers.len() {
        0 => Indices::None,
        1 => Indices::One(numbers.pop().unwrap_or_default()),
        _ => {
            let mut all: Vec<Vec<Index>> = vec![Vec::new()];
            for set in &numbers {
                let longer = |before: &Vec<Index>| {
                    let before = before.clone();
                    let each = set.iter();
                    each.map(move |index| [&before[..], &[index]].concat())
                        .collect::<Vec<_>>()
                };
                all = all.iter().flat_map(longer).collect();
            }
            let all = all.into_iter().map(Vec::into_boxed_slice);
            Indices::Several(all.collect::<BTreeSet<_>>())
        }
    }
}

/// As a shell matches names: `*` is any text, `?` any character.
fn is_like(mask: &str, name: &str) -> bool {
    let (mask, name): (Vec<char>, Vec<char>) = (mask.chars().collect(), name.chars().collect());
    let (mut at, mut of) = (0, 0);
    // Where the last star was, and how much of the name it has taken.
    let mut star: Option<(usize, usize)> = None;
    while of < name.len() {
        match mask.get(at) {
            Some('*') => {
                star = Some((at, of));
                at += 1;
            }
            Some(letter) if *letter == '?' || *letter == name[of] => (at, of) = (at + 1, of + 1),
            _ => match star {
                None => return false,
                Some((mark, taken)) => {
                    star = Some((mark, taken + 1));
                    (at, of) = (mark + 1, taken + 1);
                }
            },
        }
    }
    mask[at..].iter().all(|letter| *letter == '*')
}
