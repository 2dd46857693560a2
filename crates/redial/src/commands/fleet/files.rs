//! Outputs in files: `DIR/HOST.out` and `DIR/HOST.err`, each byte at its offset.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use redial_client::Output;

/// See the module.
#[derive(Debug)]
pub(super) struct Files(PathBuf);

impl Files {
    /// In this directory, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// It cannot be.
    pub(super) fn new(dir: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        Ok(Files(dir.to_owned()))
    }

    fn path(&self, name: &str, stream: Output) -> PathBuf {
        let end = match stream {
            Output::Stdout => "out",
            Output::Stderr => "err",
        };
        // No host's name has one; one that had would leave the directory.
        self.0.join(format!("{}.{end}", name.replace('/', "_")))
    }

    /// The command runs on this host: what was there from another run goes.
    ///
    /// # Errors
    ///
    /// A file cannot be made.
    pub(super) fn begin(&self, name: &str) -> io::Result<()> {
        Output::BOTH
            .into_iter()
            .try_for_each(|stream| File::create(self.path(name, stream)).map(drop))
    }

    /// Up to where there is something of a host.
    pub(super) fn reached(&self, name: &str) -> [u64; 2] {
        Output::BOTH.map(|stream| {
            let about = std::fs::metadata(self.path(name, stream));
            about.map_or(0, |about| about.len())
        })
    }

    /// Writes what a host wrote.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub(super) fn write(
        &self,
        name: &str,
        (stream, offset): (Output, u64),
        bytes: &[u8],
    ) -> io::Result<()> {
        let path = self.path(name, stream);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        file.write_all_at(bytes, offset)
    }
}
