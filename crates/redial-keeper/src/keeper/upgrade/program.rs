//! The new program: found, tried out, executed.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::MemfdFlags;
use rustix::io::FdFlags;
use rustix::process::{Pid, PidfdFlags};

use super::super::gate::Gate;
use super::super::grant::Grant;
use crate::state::{MAX_BYTES, State};

/// Names the descriptor of the state, for the program that takes our place.
pub(in crate::keeper) const STATE_VARIABLE: &str = "REDIAL_KEEPER_STATE";
/// Set for a child that only reads the state, from its stdin.
pub(super) const CHECK_VARIABLE: &str = "REDIAL_KEEPER_CHECK";
/// What the kernel adds to the name of a file that was replaced (proc(5), /proc/PID/exe).
const DELETED: &[u8] = b" (deleted)";
/// Of what the child says, so much is passed on.
const SAID_BYTES: u64 = 2_048;

/// Where our own program lies, before anybody replaces it.
///
/// # Errors
/// As readlink(2) of /proc/self/exe.
pub fn own_program() -> io::Result<PathBuf> {
    let link = std::fs::read_link("/proc/self/exe")?;
    let bytes = link.as_os_str().as_bytes();
    let bytes = bytes.strip_suffix(DELETED).unwrap_or(bytes);
    Ok(PathBuf::from(OsStr::from_bytes(bytes)))
}

/// The program that lies there now.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    File::open(path).map_err(named)
}

/// The bytes in memory that can be read as a file.
pub(in crate::keeper) fn memory(bytes: &[u8]) -> io::Result<File> {
    let mut file = File::from(rustix::fs::memfd_create(
        "redial-state",
        MemfdFlags::CLOEXEC,
    )?);
    file.write_all(bytes)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

/// Lets the program read the state as a child, with our arguments; why it cannot, in its words.
pub(super) fn try_out(
    program: &File,
    args: &[OsString],
    state: File,
    patience: Duration,
    gate: &Gate,
) -> Result<(), String> {
    let mut command = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()));
    command
        .arg0("redial")
        .args(args.iter().skip(1))
        .env(CHECK_VARIABLE, "1")
        .env_remove(STATE_VARIABLE)
        .stdin(OwnedFd::from(state))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0);
    let told = |error: io::Error| format!("it cannot be run: {error}");
    let mut child = gate.start(|| command.spawn()).map_err(told)?;
    crate::spawn::oom::give_back(child.id());
    let ended = ends_within(Pid::from_child(&child), patience);
    if !matches!(ended, Ok(true)) {
        let _ = child.kill();
    }
    let status = child.wait().map_err(told)?;
    let mut said = String::new();
    if let Some(stderr) = child.stderr.take() {
        // What is no text is not worth passing on.
        let _ = stderr.take(SAID_BYTES).read_to_string(&mut said);
    }
    match ended {
        Ok(true) if status.success() => Ok(()),
        Ok(true) => {
            let said = said
                .trim()
                .lines()
                .last()
                .unwrap_or_default()
                .escape_debug();
            Err(format!("it cannot read the state ({status}): {said}"))
        }
        Ok(false) => Err(format!("it has not read the state within {patience:?}")),
        Err(error) => Err(told(error)),
    }
}

fn ends_within(pid: Pid, patience: Duration) -> io::Result<bool> {
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
    let until = Instant::now() + patience;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let mut asked = [PollFd::new(&pidfd, PollFlags::IN)];
        let timeout = Timespec::try_from(left).ok();
        match rustix::event::poll(&mut asked, timeout.as_ref()) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// What a child that is to try the state out does: reads it from stdin, and says what is wrong.
/// None if we are no such child.
///
/// # Errors
/// In words, why it cannot be taken.
pub fn check_state() -> Option<Result<(), String>> {
    std::env::var_os(CHECK_VARIABLE)?;
    let mut bytes = Vec::new();
    let read = io::stdin()
        .lock()
        .take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes);
    Some(match read {
        Ok(_) => State::from_bytes(&bytes)
            .map_err(|error| error.to_string())
            .and_then(|state| check_keys(&state)),
        Err(error) => Err(error.to_string()),
    })
}

/// A key's line may say what a program does not know, an older one say: then its jobs would be lost.
fn check_keys(state: &State) -> Result<(), String> {
    let mut grants = state.jobs.iter().filter_map(|job| job.terms.grant.as_ref());
    match grants.all(|grant| Grant::restore(grant).is_some()) {
        true => Ok(()),
        false => Err("a job lives by a key whose line is not understood".to_owned()),
    }
}

/// Puts the program in our place, with the state and every descriptor that is named in it. Returns
/// only if that fails; then all is as it was.
pub(in crate::keeper) fn execute(program: &File, args: &[OsString], state: &State) -> io::Error {
    let memory = match memory(&state.to_bytes()) {
        Ok(memory) => memory,
        Err(error) => return error,
    };
    let mut kept: Vec<RawFd> = state.fds();
    kept.push(memory.as_raw_fd());
    let error = match arguments(args, memory.as_raw_fd()) {
        Ok((argv, envp)) => {
            let changed = kept.iter().try_for_each(|fd| close_on_exec(*fd, false));
            match changed {
                Ok(()) => exec(program, &argv, &envp),
                Err(error) => error,
            }
        }
        Err(error) => error,
    };
    for fd in kept {
        // It was open a moment ago.
        let _ = close_on_exec(fd, true);
    }
    error
}

fn arguments(args: &[OsString], state: RawFd) -> io::Result<(Vec<CString>, Vec<CString>)> {
    let text = |bytes: Vec<u8>| CString::new(bytes).map_err(io::Error::from);
    let argv = args.iter().map(|arg| text(arg.as_bytes().to_vec()));
    // What was passed to this process id is in the state by now, at other numbers.
    let ours = [
        STATE_VARIABLE,
        CHECK_VARIABLE,
        "LISTEN_PID",
        "LISTEN_FDS",
        "LISTEN_FDNAMES",
    ];
    let is_ours = |name: &OsStr| ours.iter().any(|it| name == *it);
    let kept = std::env::vars_os().filter(|(name, _)| !is_ours(name));
    let variable = |(mut name, value): (OsString, OsString)| {
        name.push("=");
        name.push(value);
        text(name.into_vec())
    };
    let mut envp: Vec<CString> = kept.map(variable).collect::<io::Result<_>>()?;
    envp.push(text(format!("{STATE_VARIABLE}={state}").into_bytes())?);
    Ok((argv.collect::<io::Result<_>>()?, envp))
}

fn exec(program: &File, argv: &[CString], envp: &[CString]) -> io::Error {
    let pointers = |strings: &[CString]| {
        let pointers = strings.iter().map(|string| string.as_ptr());
        pointers.chain([std::ptr::null()]).collect::<Vec<_>>()
    };
    let (argv, envp) = (pointers(argv), pointers(envp));
    // SAFETY: a live descriptor; both arrays end with a null pointer, and the strings they point to
    // live until the call returns, which it does only when it has failed.
    unsafe { libc::fexecve(program.as_raw_fd(), argv.as_ptr(), envp.as_ptr()) };
    io::Error::last_os_error()
}

/// By number: it is owned elsewhere, by who does not know of this.
pub(super) fn close_on_exec(fd: RawFd, close: bool) -> io::Result<()> {
    // SAFETY: only the flag of a descriptor is changed, and only for as long as this call runs is it
    // taken to be open; of one that is not, the kernel says so.
    let borrowed = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
    let flags = if close {
        FdFlags::CLOEXEC
    } else {
        FdFlags::empty()
    };
    Ok(rustix::io::fcntl_setfd(borrowed, flags)?)
}
