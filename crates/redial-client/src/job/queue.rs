//! Events that wait to be taken. Their bytes are bounded by credit; that their number is
//! small beside their bytes is the care of this file.

use std::collections::VecDeque;

use bytes::Bytes;

use super::event::{JobEvent, Output};
use crate::error::JobError;

/// A piece shorter than this is copied: a slice of the read buffer would keep all of it.
const COPY_BELOW: usize = 4096;
/// Copied pieces of one stream that follow each other are joined up to this length.
const JOIN_UP_TO: usize = 16 * 1024;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct EventQueue(VecDeque<Item>);

#[derive(Debug)]
enum Item {
    Is(Result<JobEvent, JobError>),
    /// Data that may still grow.
    Joined {
        stream: Output,
        offset: u64,
        bytes: Vec<u8>,
    },
}

impl EventQueue {
    pub(crate) fn push(&mut self, event: Result<JobEvent, JobError>) {
        self.0.push_back(Item::Is(event));
    }

    /// Adds `bytes`, which lie in `source`.
    pub(crate) fn push_data(&mut self, stream: Output, offset: u64, bytes: &[u8], source: &Bytes) {
        if bytes.len() >= COPY_BELOW {
            let bytes = source.slice_ref(bytes);
            self.push(Ok(JobEvent::Data {
                stream,
                offset,
                bytes,
            }));
            return;
        }
        if let Some(Item::Joined {
            stream: last,
            bytes: joined,
            ..
        }) = self.0.back_mut()
            && *last == stream
            && joined.len() + bytes.len() <= JOIN_UP_TO
        {
            joined.extend_from_slice(bytes);
            return;
        }
        self.0.push_back(Item::Joined {
            stream,
            offset,
            bytes: bytes.to_vec(),
        });
    }

    pub(crate) fn pop(&mut self) -> Option<Result<JobEvent, JobError>> {
        Some(match self.0.pop_front()? {
            Item::Is(event) => event,
            Item::Joined {
                stream,
                offset,
                bytes,
            } => Ok(JobEvent::Data {
                stream,
                offset,
                bytes: bytes.into(),
            }),
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(queue: &mut EventQueue) -> (Output, u64, Bytes) {
        match queue.pop() {
            Some(Ok(JobEvent::Data {
                stream,
                offset,
                bytes,
            })) => (stream, offset, bytes),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn small_pieces_are_joined_in_order_and_large_ones_are_not_copied() {
        let source = Bytes::from(vec![7; 10_000]);
        let mut queue = EventQueue::default();
        queue.push_data(Output::Stdout, 0, &source[..10], &source);
        queue.push_data(Output::Stdout, 10, &source[..10], &source);
        queue.push_data(Output::Stderr, 0, &source[..1], &source);
        queue.push_data(Output::Stdout, 20, &source[..5000], &source);
        queue.push_data(Output::Stdout, 5020, &source[..1], &source);
        let (stream, offset, bytes) = data(&mut queue);
        assert_eq!((stream, offset, bytes.len()), (Output::Stdout, 0, 20));
        assert_eq!(data(&mut queue).0, Output::Stderr);
        let (_, offset, bytes) = data(&mut queue);
        assert_eq!((offset, bytes.as_ptr()), (20, source.as_ptr()));
        assert_eq!(data(&mut queue).1, 5020);
        assert!(queue.is_empty());
    }
}
