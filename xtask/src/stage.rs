//! A place that an ordinary user can enter, for programs from a target
//! directory that such a user often cannot (`/root`, a private home).

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::artifacts::{Executable, Kind};
use crate::ordinary::User;

/// A fresh directory, laid out like `target/debug`: programs at the top, test
/// harnesses in `deps`; the user's own `home` and `tmp` beside them. It is
/// removed on drop.
#[derive(Debug)]
pub(crate) struct Stage {
    dir: PathBuf,
}

impl Stage {
    /// Makes the directory in the system's place for temporary files.
    ///
    /// # Errors
    /// When a directory cannot be made or given to the user.
    pub(crate) fn new(user: &User) -> anyhow::Result<Stage> {
        let dir = std::env::temp_dir().join(format!("redial-xtask-{}", std::process::id()));
        make_dir(&dir, 0o755)?;
        let stage = Stage { dir };
        make_dir(&stage.dir.join("deps"), 0o755)?;
        make_dir(&stage.dir.join("examples"), 0o755)?;
        for own in [stage.home(), stage.tmp()] {
            make_dir(&own, 0o700)?;
            chown(&own, Some(user.uid), Some(user.gid))
                .with_context(|| format!("cannot give {} away", own.display()))?;
        }
        Ok(stage)
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.dir.join("home")
    }

    pub(crate) fn tmp(&self) -> PathBuf {
        self.dir.join("tmp")
    }

    /// Copies a program in and says where it is.
    ///
    /// # Errors
    /// When the copy fails (test harnesses are large: the disk may be full).
    pub(crate) fn bring(&self, executable: &Executable) -> anyhow::Result<PathBuf> {
        let is_example = executable.path.parent().and_then(Path::file_name)
            == Some(std::ffi::OsStr::new("examples"));
        let place = match executable.kind {
            Kind::Test => self.dir.join("deps"),
            Kind::Program if is_example => self.dir.join("examples"),
            Kind::Program => self.dir.clone(),
        };
        let copy = place.join(executable.file_name());
        fs::copy(&executable.path, &copy)
            .and_then(|_| fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)))
            .with_context(|| format!("cannot copy to {}", copy.display()))?;
        Ok(copy)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.dir) {
            eprintln!("xtask: cannot remove {}: {error}", self.dir.display());
        }
    }
}

/// Makes a directory that was not there, with a mode whatever the umask.
fn make_dir(dir: &Path, mode: u32) -> anyhow::Result<()> {
    fs::create_dir(dir)
        .and_then(|()| fs::set_permissions(dir, fs::Permissions::from_mode(mode)))
        .with_context(|| format!("cannot make {}", dir.display()))
}
