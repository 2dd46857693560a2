//! Why execve(2) finds nothing where there is a file: what is to run it is missing.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::SpawnRequest;
use super::image::Image;

/// The kernel looks no further for the end of the first line (BINPRM_BUF_SIZE).
const LINE_BYTES: u64 = 256;

/// The interpreter that is missing, where one of the candidates is a program all the same
/// and exec said ENOENT; empty if its name cannot be found out.
pub(super) fn missing(request: &SpawnRequest, image: &Image) -> Option<Vec<u8>> {
    // Another user's paths are not looked at with our rights: not even whether something is there.
    if request.identity.is_some() {
        return None;
    }
    let cwd = Path::new(OsStr::from_bytes(image.cwd.text(0)));
    let paths = (0..image.candidates.len()).map(|at| image.candidates.text(at));
    let program = paths
        .map(|path| cwd.join(OsStr::from_bytes(path)))
        .find(is_program)?;
    Some(named_by(&program).unwrap_or_default())
}

fn is_program(path: &PathBuf) -> bool {
    std::fs::metadata(path)
        .is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
}

/// What the first line names behind `#!`, as the kernel reads it: to the next blank.
fn named_by(program: &Path) -> Option<Vec<u8>> {
    // What was a file a moment ago may be a pipe now, which must not hold us up.
    let mut options = File::options();
    let file = options
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(program);
    let mut start = Vec::new();
    file.ok()?.take(LINE_BYTES).read_to_end(&mut start).ok()?;
    interpreter_in(&start).map(<[u8]>::to_vec)
}

fn interpreter_in(start: &[u8]) -> Option<&[u8]> {
    let line = start.strip_prefix(b"#!")?;
    let line = line.split(|&byte| byte == b'\n').next()?;
    let mut words = line.split(|byte| matches!(byte, b' ' | b'\t' | 0));
    words.find(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::interpreter_in;

    #[test]
    fn the_first_word_behind_the_mark_is_the_interpreter() {
        for (start, wanted) in [
            (&b"#!/bin/sh\necho"[..], Some(&b"/bin/sh"[..])),
            (b"#! \t/usr/bin/env python3\n", Some(b"/usr/bin/env")),
            (b"#!/bin/sh\r\n", Some(b"/bin/sh\r")),
            (b"#!/cut/off", Some(b"/cut/off")),
            (b"#!\n/bin/sh", None),
            (b"\x7fELF", None),
            (b"", None),
        ] {
            assert_eq!(interpreter_in(start), wanted);
        }
    }
}
