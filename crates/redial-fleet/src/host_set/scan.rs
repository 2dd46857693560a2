//! An expression in its operands, and an operand in its pieces.

use super::{HostSetError, Operation};

/// What stands between operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Operand<'t> {
    pub(super) operation: Operation,
    /// Where it begins in the whole text, in bytes.
    pub(super) at: usize,
    pub(super) text: &'t str,
}

/// A part of an operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'t> {
    Text(&'t str),
    /// What is within brackets, and where in the whole text.
    Ranges(&'t str, usize),
}

/// Splits a text at its operators; the first operand is added to nothing.
pub(super) fn operands(text: &str) -> Result<Vec<Operand<'_>>, HostSetError> {
    let mut operands = Vec::new();
    let (mut from, mut operation) = (0, Operation::Union);
    let mut opened = None;
    for (at, byte) in text.bytes().enumerate() {
        let next = match (byte, opened) {
            (b'[', None) => {
                opened = Some(at);
                continue;
            }
            (b'[', Some(_)) => {
                return Err(HostSetError::new(text, at, "a bracket within brackets"));
            }
            (b']', Some(_)) => {
                opened = None;
                continue;
            }
            (b']', None) => {
                return Err(HostSetError::new(text, at, "a bracket that was not opened"));
            }
            (_, Some(_)) => continue,
            (b',', None) => Operation::Union,
            (b'!', None) => Operation::Difference,
            (b'&', None) => Operation::Intersection,
            (b'^', None) => Operation::Exclusive,
            (_, None) => continue,
        };
        operands.push(operand(text, from, at, operation)?);
        (from, operation) = (at + 1, next);
    }
    if let Some(at) = opened {
        return Err(HostSetError::new(text, at, "a bracket that is not closed"));
    }
    operands.push(operand(text, from, text.len(), operation)?);
    Ok(operands)
}

fn operand(
    text: &str,
    from: usize,
    to: usize,
    operation: Operation,
) -> Result<Operand<'_>, HostSetError> {
    let between = &text[from..to];
    let trimmed = between.trim();
    let at = from + (between.len() - between.trim_start().len());
    if trimmed.is_empty() {
        return Err(HostSetError::new(text, to, "a host is missing"));
    }
    Ok(Operand {
        operation,
        at,
        text: trimmed,
    })
}

/// An operand in its pieces; brackets are closed in it. An IPv6 address in brackets is text.
pub(super) fn pieces<'t>(operand: &Operand<'t>) -> Vec<Piece<'t>> {
    let mut pieces = Vec::new();
    let (mut rest, mut at) = (operand.text, operand.at);
    let mut from = 0;
    while let Some(open) = rest[from..].find('[').map(|open| from + open) {
        let Some(close) = rest[open..].find(']').map(|close| open + close) else {
            break;
        };
        let within = &rest[open + 1..close];
        if within.contains(':') {
            from = close + 1;
            continue;
        }
        if open > 0 {
            pieces.push(Piece::Text(&rest[..open]));
        }
        pieces.push(Piece::Ranges(within, at + open + 1));
        at += close + 1;
        rest = &rest[close + 1..];
        from = 0;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    pieces
}
