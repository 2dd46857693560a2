//! What execve(2) is given: candidate paths, argv and environment, as C strings.
//!
//! All of it is laid out before the clone; the child only reads.

use core::ffi::c_char;

use super::{Program, SpawnError, SpawnRequest, SpawnStage};

/// What execvp(3) searches when the environment has no PATH.
const DEFAULT_PATH: &[u8] = b"/bin:/usr/bin";

pub(super) struct Image {
    /// Tried in turn.
    pub(super) candidates: CStrings,
    pub(super) argv: CStrings,
    pub(super) envp: CStrings,
    pub(super) cwd: CStrings,
}

impl Image {
    pub(super) fn new(request: &SpawnRequest) -> Result<Self, SpawnError> {
        let shell = login_shell(&request.account.shell);
        let name = shell.rsplit(|&byte| byte == b'/').next().unwrap_or(shell);
        let (argv, candidates) = match &request.program {
            Program::Argv(argv) => {
                let program = argv
                    .first()
                    .ok_or_else(|| refused(SpawnStage::Argument, b""))?;
                let argv = argv.iter().map(|argument| [argument.as_slice(), b"", b""]);
                (
                    CStrings::new(argv, SpawnStage::Argument)?,
                    candidates(program, &request.env)?,
                )
            }
            Program::Shell(text) => {
                let argv = [[name, b"", b""], [b"-c", b"", b""], [text, b"", b""]];
                (
                    CStrings::new(argv, SpawnStage::Argument)?,
                    CStrings::new([[shell, b"", b""]], SpawnStage::Argument)?,
                )
            }
            Program::Login => (
                CStrings::new([[b"-", name, b""]], SpawnStage::Argument)?,
                CStrings::new([[shell, b"", b""]], SpawnStage::Argument)?,
            ),
        };
        for (name, _) in &request.env {
            if name.is_empty() || name.contains(&b'=') {
                return Err(refused(SpawnStage::Environment, name));
            }
        }
        let pairs = request
            .env
            .iter()
            .map(|(name, value)| [name.as_slice(), b"=", value]);
        let cwd = request.cwd.as_deref().unwrap_or(&request.account.home);
        Ok(Self {
            candidates,
            argv,
            envp: CStrings::new(pairs, SpawnStage::Environment)?,
            cwd: CStrings::new([[cwd, b"", b""]], SpawnStage::Cwd)?,
        })
    }
}

/// A null-terminated array of C strings in one allocation.
pub(super) struct CStrings {
    bytes: Vec<u8>,
    pointers: Vec<*const c_char>,
}

impl CStrings {
    /// Each string is its parts put together; a NUL inside one is refused.
    fn new<'a>(
        strings: impl IntoIterator<Item = [&'a [u8]; 3]>,
        stage: SpawnStage,
    ) -> Result<Self, SpawnError> {
        let mut bytes = Vec::new();
        let mut starts = Vec::new();
        for parts in strings {
            starts.push(bytes.len());
            for part in parts {
                if part.contains(&0) {
                    return Err(refused(stage, &parts.concat()));
                }
                bytes.extend_from_slice(part);
            }
            bytes.push(0);
        }
        let base = bytes.as_ptr().cast::<c_char>();
        let pointers = starts
            .into_iter()
            .map(|start| base.wrapping_add(start))
            .chain([core::ptr::null()])
            .collect();
        Ok(Self { bytes, pointers })
    }

    /// The array as execve wants it; valid as long as `self`.
    pub(super) fn as_ptr(&self) -> *const *const c_char {
        self.pointers.as_ptr()
    }

    /// How many strings there are.
    pub(super) fn len(&self) -> usize {
        self.pointers.len() - 1
    }

    /// The string at `index`, without its NUL; empty where there is none.
    pub(super) fn text(&self, index: usize) -> &[u8] {
        let mut strings = self.bytes.split(|&byte| byte == 0);
        strings.nth(index).unwrap_or_default()
    }
}

/// A name with a slash is a path; any other is looked for as execvp(3) does.
fn candidates(program: &[u8], env: &[(Vec<u8>, Vec<u8>)]) -> Result<CStrings, SpawnError> {
    if program.contains(&b'/') || program.is_empty() {
        return CStrings::new([[program, b"", b""]], SpawnStage::Argument);
    }
    let path = env.iter().rev().find(|(name, _)| name == b"PATH");
    let path = path.map_or(DEFAULT_PATH, |(_, value)| value);
    // An empty directory is the current one: the bare name, seen from there.
    let separator = |directory: &[u8]| {
        if directory.is_empty() {
            &b""[..]
        } else {
            &b"/"[..]
        }
    };
    let paths = path.split(|&byte| byte == b':');
    CStrings::new(
        paths.map(|directory| [directory, separator(directory), program]),
        SpawnStage::Argument,
    )
}

/// passwd(5): an empty shell field means /bin/sh.
fn login_shell(shell: &[u8]) -> &[u8] {
    if shell.is_empty() { b"/bin/sh" } else { shell }
}

fn refused(stage: SpawnStage, what: &[u8]) -> SpawnError {
    /// Enough to recognise it by; an argument may be megabytes.
    const SHOWN_BYTES: usize = 256;
    let path = what.iter().copied().take(SHOWN_BYTES).collect();
    SpawnError {
        stage,
        errno: libc::EINVAL,
        path,
    }
}
