//! What a command wrote, until it is sent: in memory while it is little, then in a file.

use std::io::{self, Read, Seek, SeekFrom, Write};

use tempfile::SpooledTempFile;

/// Beyond so many bytes an output goes to a file, so that many clients with large outputs do not
/// exhaust memory.
const MEMORY_BYTES: usize = 256 * 1024;

/// An output, written first and then read once. Its file, if it needs one, has no name.
#[derive(Debug)]
pub(crate) struct Spool {
    file: SpooledTempFile,
    length: u64,
}

impl Spool {
    pub(crate) fn new() -> Self {
        Self {
            file: SpooledTempFile::new(MEMORY_BYTES),
            length: 0,
        }
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// The whole, from its first byte.
    pub(crate) fn into_reader(mut self) -> io::Result<impl Read> {
        self.file.seek(SeekFrom::Start(0))?;
        Ok(self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_the_memory_goes_to_a_file_and_comes_back_whole() {
        for (length, in_file) in [(0, false), (MEMORY_BYTES, false), (MEMORY_BYTES + 1, true)] {
            let bytes: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let mut spool = Spool::new();
            bytes.chunks(1000).for_each(|it| spool.append(it).unwrap());
            assert_eq!(spool.length(), length as u64);
            assert_eq!(spool.file.is_rolled(), in_file, "{length}");
            let mut back = Vec::new();
            spool.into_reader().unwrap().read_to_end(&mut back).unwrap();
            assert!(back == bytes, "{length}");
        }
    }
}
