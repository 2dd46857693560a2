//! Kept jobs: their output goes to a file, and they are known after a reboot.
//!
//! The loop's thread never touches a disk: it hands pieces of a job's log to a thread that
//! appends them to the job's file, and what was appended is acknowledged, as a client would. Another
//! thread writes records, durably, and opens files for readers.
//!
//! - `record`: what is written of a job, and how. `store`: the directory. `disk`: the threads.
//! - `spooling`: a job's part; `room`: how much may be kept.
//! - `archive`: the ended ones; `keeping`: what the keeper does with all of it.

mod archive;
mod disk;
mod keeping;
mod record;
mod room;
mod spooling;
mod store;

pub(super) use archive::{Keeping, Kept};
pub(super) use disk::{Asker, Disk, DiskDone};
pub(super) use keeping::open;
pub(super) use record::Record;
pub(super) use room::Room;
pub(super) use spooling::Spool;
pub(super) use store::Log;
