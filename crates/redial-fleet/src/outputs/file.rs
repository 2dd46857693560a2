//! The file of pieces.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;

use redial_client::{Output, new_job_id};
use rustix::fs::FallocateFlags;

use super::Place;

const HEAD_BYTES: usize = 24;
const READ_BYTES: usize = 256 * 1024;

/// Bytes in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    at: u64,
    pub(super) len: u64,
}

/// See the module; made when it is first needed.
#[derive(Debug)]
pub(super) struct Pieces {
    path: Option<PathBuf>,
    file: Option<Arc<File>>,
    end: u64,
}

impl Pieces {
    pub(super) fn new(path: Option<PathBuf>) -> Self {
        Pieces {
            path,
            file: None,
            end: 0,
        }
    }

    /// All pieces that are whole; what follows the last of them is cut off.
    pub(super) fn scan(&mut self) -> io::Result<Vec<(Place, u64, Extent)>> {
        let Some(path) = self.path.as_ref().filter(|path| path.exists()) else {
            return Ok(Vec::new());
        };
        let file = options().open(path)?;
        let size = file.metadata()?.len();
        let (mut found, mut at) = (Vec::new(), 0);
        let mut head = [0; HEAD_BYTES];
        while at + (HEAD_BYTES as u64) <= size {
            file.read_exact_at(&mut head, at)?;
            let (place, offset, len) = read_head(&head);
            let extent = Extent {
                at: at + HEAD_BYTES as u64,
                len,
            };
            let end = extent.at.saturating_add(len);
            if end > size || len == 0 {
                break;
            }
            found.push((place, offset, extent));
            at = end;
        }
        file.set_len(at)?;
        (self.file, self.end) = (Some(Arc::new(file)), at);
        Ok(found)
    }

    pub(super) fn append(&mut self, place: Place, offset: u64, bytes: &[u8]) -> io::Result<Extent> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(Arc::new(match &self.path {
                Some(path) => options().create(true).open(path)?,
                None => nameless()?,
            })),
        };
        let len = bytes.len() as u64;
        let mut piece = Vec::with_capacity(HEAD_BYTES + bytes.len());
        piece.extend_from_slice(&head(place, offset, len));
        piece.extend_from_slice(bytes);
        file.write_all_at(&piece, self.end)?;
        let at = self.end + HEAD_BYTES as u64;
        self.end = at + len;
        Ok(Extent { at, len })
    }

    pub(super) fn stored(&self, extents: &[Extent]) -> Stored {
        Stored {
            file: self.file.clone(),
            extents: extents.to_vec(),
        }
    }
}

/// Bytes in the file, to be read and forgotten by whom it suits.
#[derive(Debug)]
pub struct Stored {
    file: Option<Arc<File>>,
    extents: Vec<Extent>,
}

impl Stored {
    /// Reads them, piece by piece.
    ///
    /// # Errors
    ///
    /// They cannot be read, or `each` has failed.
    pub fn read(&self, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let mut buffer = Vec::new();
        for extent in &self.extents {
            let (mut at, end) = (extent.at, extent.at + extent.len);
            while at < end {
                let len = usize::try_from(end - at).map_or(READ_BYTES, |len| len.min(READ_BYTES));
                buffer.resize(len, 0);
                file.read_exact_at(&mut buffer, at)?;
                each(&buffer)?;
                at += len as u64;
            }
        }
        Ok(())
    }

    /// Gives their room back, where the file system can.
    pub fn forget(&self) {
        let Some(file) = &self.file else { return };
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        for extent in &self.extents {
            // Where it cannot, the room comes back with the file.
            let _ = rustix::fs::fallocate(file, hole, extent.at, extent.len);
        }
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

/// A file that goes with us.
fn nameless() -> io::Result<File> {
    let name = new_job_id().map_err(|error| io::Error::other(error.to_string()))?;
    let path = std::env::temp_dir().join(format!("redial-{name}"));
    let file = options().create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

fn head((host, stream): Place, offset: u64, len: u64) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    head[..4].copy_from_slice(&u32::try_from(host).unwrap_or(u32::MAX).to_be_bytes());
    head[7] = u8::from(stream == Output::Stderr);
    head[8..16].copy_from_slice(&offset.to_be_bytes());
    head[16..].copy_from_slice(&len.to_be_bytes());
    head
}

fn read_head(head: &[u8; HEAD_BYTES]) -> (Place, u64, u64) {
    let number = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0, |sum, &byte| (sum << 8) | u64::from(byte))
    };
    let stream = match head[7] {
        1 => Output::Stderr,
        _ => Output::Stdout,
    };
    let host = usize::try_from(number(&head[..4])).unwrap_or(usize::MAX);
    ((host, stream), number(&head[8..16]), number(&head[16..]))
}
