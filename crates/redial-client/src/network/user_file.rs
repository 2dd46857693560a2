//! Files that a user has written, read with a bound and never waited for.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// The system said no.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Nothing is decided on a part of it.
    #[error("longer than {limit} bytes")]
    TooLong {
        /// What is read at most.
        limit: usize,
    },
}

/// The text of a file; `None` if there is none.
///
/// # Errors
///
/// When it cannot be read, or has more than `limit` bytes.
pub(crate) fn read(path: &Path, limit: usize) -> Result<Option<Vec<u8>>, FileError> {
    match open(path) {
        Ok(file) => text(file, limit).map(Some),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Opens for reading; a pipe without a writer is empty instead of a hang.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    OpenOptions::new()
        .read(true)
        .custom_flags(nonblocking)
        .open(path)
}

/// All of an open file.
pub(crate) fn text(file: File, limit: usize) -> Result<Vec<u8>, FileError> {
    // Reading ends where the file does, whatever its length is said to be.
    let said = file.metadata().map_or(0, |about| about.len());
    let said = usize::try_from(said).unwrap_or(usize::MAX);
    let mut text = Vec::with_capacity(said.min(limit).saturating_add(1));
    let one_more = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(one_more).read_to_end(&mut text)?;
    match text.len() > limit {
        true => Err(FileError::TooLong { limit }),
        false => Ok(text),
    }
}

pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// The files that a pattern of paths means, in the order of their names: `*` and `?` in any
/// part, never a leading dot (glob(7)). At most `limit`.
pub fn matching(pattern: &Path, limit: usize) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern {
        let Some(wild) = part.to_str().filter(|part| part.contains(['*', '?'])) else {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        };
        let mut next = Vec::new();
        for dir in &found {
            let Ok(entries) = std::fs::read_dir(dir) else {
                continue;
            };
            let names = entries.flatten().map(|entry| entry.file_name());
            let fitting = names.filter(|name| {
                let name = name.to_str();
                name.is_some_and(|name| {
                    !name.starts_with('.') && fits(wild.as_bytes(), name.as_bytes())
                })
            });
            next.extend(fitting.take(limit).map(|name| dir.join(name)));
        }
        next.sort();
        next.truncate(limit);
        found = next;
    }
    found
}

/// Whether a name fits a pattern: the last `*` tries again one byte further.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == b'?' || c == name[n] => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, n) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        assert!(matches!(read(&path, 3), Ok(None)));
        std::fs::write(&path, "abc").unwrap();
        assert_eq!(read(&path, 3).unwrap().unwrap(), b"abc");
        assert!(matches!(read(&path, 2), Err(FileError::TooLong { .. })));
        assert!(matches!(read(dir.path(), 2), Err(FileError::Io(_))));
        assert!(matches!(read(&path.join("x"), 2), Ok(None)));
    }

    #[test]
    fn patterns_of_paths_mean_files_in_the_order_of_their_names() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.conf", "a.conf", ".c.conf", "d.txt", "a.b.conf"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let names = |pattern: &str| -> Vec<String> {
            let found = matching(&dir.path().join(pattern), 10);
            let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
            found.into_iter().map(name).collect()
        };
        assert_eq!(names("*.conf"), ["a.b.conf", "a.conf", "b.conf"]);
        assert_eq!(names("?.conf"), ["a.conf", "b.conf"]);
        assert_eq!(names("d.txt"), ["d.txt"]);
        assert!(names("x*").is_empty());
        assert_eq!(matching(&dir.path().join("*"), 2).len(), 2);
    }
}
