//! The keeper's side: starts the child that reads, and does not wait for it for ever.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags};

use super::MAX_FILES;
use super::reader::{Report, Whose};
use super::standing::Standing;

/// A home directory that takes longer hangs.
const TIME: Duration = Duration::from_secs(2);
/// For a child that has said all, or was killed, to be gone.
pub(super) const END: Duration = Duration::from_millis(200);
/// Children that hang, before no more are started. Stops a dead file system from taking all the
/// processes there may be.
const MAX_STUCK: usize = 32;
/// Of them, for one user.
const MAX_STUCK_OF_ONE: usize = 4;
/// All files as they may be, and what is around them.
pub(super) const MAX_BYTES: u64 =
    (MAX_FILES * (redial_auth::limits::FILE_BYTES + 8_192) + GROUPS_BYTES) as u64;
/// Of a user with as many groups as the kernel allows, and its account.
const GROUPS_BYTES: usize = 5 * 65_536 + 8_192;

/// Why nothing is known of a user's files.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The child could not be started.
    #[error("cannot start the reader of authorized_keys: {0}")]
    Start(io::Error),
    /// It took longer than two seconds: the home directory hangs.
    #[error("reading authorized_keys takes longer than {} s", TIME.as_secs())]
    Time,
    /// It failed, or said what no such child says.
    #[error("the reader of authorized_keys failed: {0}")]
    Broken(String),
}

/// The first argument of the child; then whose files, and then the files.
const READ_KEYS: &str = "--read-keys-for-keeper";
/// Whose files are read by a child that stays: our own, again and again.
const STAYS: &str = "own-again";

/// Starts children that read a user's authorised keys.
#[derive(Debug)]
pub struct KeyReader {
    executable: File,
    /// Before all others.
    leading: Vec<OsString>,
    files: Vec<PathBuf>,
    /// Children that read our own files stay for who asks next.
    stays: bool,
    standing: Mutex<Option<Standing>>,
    /// Children that could not even be killed, and for whom: they hang in the kernel.
    stuck: Mutex<Vec<(Whose, OwnedFd)>>,
}

impl KeyReader {
    /// Children will be this very executable, with arguments that [`asked_to_read`] understands;
    /// it must do as it says then. No files: the usual ones.
    ///
    /// # Errors
    /// As open(2) of it.
    pub fn new(files: Vec<PathBuf>) -> io::Result<Self> {
        Ok(Self {
            files,
            stays: true,
            ..Self::of(Path::new("/proc/self/exe"), Vec::new())?
        })
    }

    /// Children will be that program, which must write what [`super::report_key_files`] does; with
    /// these arguments before those that say so.
    ///
    /// # Errors
    /// As open(2) of it.
    pub fn of(program: &Path, leading: Vec<OsString>) -> io::Result<Self> {
        Ok(Self {
            executable: File::open(program)?,
            leading,
            files: Vec::new(),
            stays: false,
            standing: Mutex::default(),
            stuck: Mutex::default(),
        })
    }

    /// Reads the files now, with a child started by `start`, which is given what starts it: where
    /// nobody walks through /proc meanwhile, or simply called.
    ///
    /// # Errors
    /// [`FetchError`]: nothing is known then, which is not the same as no keys.
    pub fn fetch(
        &self,
        whose: &Whose,
        start: impl FnOnce(&mut dyn FnMut() -> io::Result<Child>) -> io::Result<Child>,
    ) -> Result<Report, FetchError> {
        let deadline = Instant::now() + TIME;
        if self.too_many_are_stuck(whose) {
            return Err(FetchError::Time);
        }
        if self.stays && *whose == Whose::Own {
            return decode(&self.ask_standing(start, deadline)?);
        }
        let mut child = start(&mut || self.command(whose).spawn()).map_err(FetchError::Start)?;
        crate::spawn::oom::give_back(child.id());
        let pidfd = rustix::process::pidfd_open(Pid::from_child(&child), PidfdFlags::empty());
        let read = child
            .stdout
            .take()
            .map_or(Ok(Vec::new()), |stdout| read_until(stdout, deadline));
        if read.is_err() {
            // It has nothing that could be lost. Fails only when it is gone.
            let _ = child.kill();
        }
        let ended = pidfd
            .as_ref()
            .is_ok_and(|pidfd| is_ready(pidfd, Instant::now() + END));
        let status = ended.then(|| child.wait());
        if let (None, Ok(pidfd)) = (&status, pidfd) {
            // It is left to who reaps orphans.
            lock(&self.stuck).push((whose.clone(), pidfd));
        }
        let bytes = read?;
        match status {
            Some(Ok(status)) if status.success() => decode(&bytes),
            Some(Ok(status)) => Err(FetchError::Broken(status.to_string())),
            Some(Err(error)) => Err(FetchError::Broken(error.to_string())),
            None => Err(FetchError::Time),
        }
    }

    /// By the child that stays, or by a new one. It reads when it is asked, not before.
    fn ask_standing(
        &self,
        start: impl FnOnce(&mut dyn FnMut() -> io::Result<Child>) -> io::Result<Child>,
        deadline: Instant,
    ) -> Result<Vec<u8>, FetchError> {
        // Who comes while another asks has one of its own.
        let standing = lock(&self.standing).take();
        let asked = standing.and_then(|mut standing| match standing.ask(deadline) {
            // It has gone home meanwhile.
            Err(FetchError::Broken(_)) => {
                lock(&self.stuck).extend(standing.end().map(|pidfd| (Whose::Own, pidfd)));
                None
            }
            answer => Some((answer, standing)),
        });
        let (answer, standing) = match asked {
            None => {
                let child = start(&mut || self.standing_command().spawn());
                let child = child.map_err(FetchError::Start)?;
                crate::spawn::oom::give_back(child.id());
                let mut standing = Standing::new(child).map_err(FetchError::Start)?;
                (standing.ask(deadline), standing)
            }
            Some(asked) => asked,
        };
        match answer {
            Ok(answer) => {
                *lock(&self.standing) = Some(standing);
                Ok(answer)
            }
            Err(error) => {
                lock(&self.stuck).extend(standing.end().map(|pidfd| (Whose::Own, pidfd)));
                Err(error)
            }
        }
    }

    fn too_many_are_stuck(&self, whose: &Whose) -> bool {
        let mut stuck = lock(&self.stuck);
        stuck.retain(|(_, pidfd)| !is_ready(pidfd, Instant::now()));
        let of_one = stuck.iter().filter(|(other, _)| other == whose).count();
        // Who has none that hangs does not pay for others.
        of_one >= MAX_STUCK_OF_ONE || (of_one > 0 && stuck.len() >= MAX_STUCK)
    }

    fn command(&self, whose: &Whose) -> Command {
        let whose = match whose {
            Whose::Own => "own".to_owned(),
            Whose::Named(name) => format!("user:{name}"),
            Whose::Uid(uid) => format!("uid:{uid}"),
        };
        let mut command = self.command_for(&whose);
        command.stdin(Stdio::null());
        command
    }

    fn standing_command(&self) -> Command {
        let mut command = self.command_for(STAYS);
        command.stdin(Stdio::piped());
        command
    }

    fn command_for(&self, whose: &str) -> Command {
        let mut command = Command::new(format!("/proc/self/fd/{}", self.executable.as_raw_fd()));
        command
            .arg0("redial")
            .args(&self.leading)
            .args([READ_KEYS, whose])
            .args(&self.files)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0);
        command
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A list is whole after every step.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a child is to do, if these arguments (the program's name left out) are those of one:
/// [`super::report_key_files`] on its stdout, or [`super::report_again`] on its stdin and stdout.
pub fn asked_to_read(mut args: impl Iterator<Item = OsString>) -> Option<(Asked, Vec<PathBuf>)> {
    if args.next()? != READ_KEYS {
        return None;
    }
    let whose = args.next()?.into_string().ok()?;
    let asked = match whose.split_once(':') {
        None if whose == "own" => Asked::Once(Whose::Own),
        None if whose == STAYS => Asked::Again,
        Some(("user", name)) => Asked::Once(Whose::Named(name.to_owned())),
        Some(("uid", uid)) => Asked::Once(Whose::Uid(uid.parse().ok()?)),
        _ => return None,
    };
    Some((asked, args.map(PathBuf::from).collect()))
}

/// What a child is to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// This user's files.
    Once(Whose),
    /// Our own, as often as it is asked.
    Again,
}

fn decode(bytes: &[u8]) -> Result<Report, FetchError> {
    let mut decoder = minicbor::Decoder::new(bytes);
    let report: Report = decoder
        .decode()
        .map_err(|error| FetchError::Broken(error.to_string()))?;
    if decoder.position() != bytes.len() || report.files.len() > MAX_FILES {
        return Err(FetchError::Broken("more than there is to say".to_owned()));
    }
    Ok(report)
}

fn read_until(
    mut stdout: std::process::ChildStdout,
    deadline: Instant,
) -> Result<Vec<u8>, FetchError> {
    let mut bytes = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        if !is_ready(&stdout, deadline) {
            return Err(FetchError::Time);
        }
        match stdout.read(&mut piece) {
            Ok(0) => return Ok(bytes),
            Ok(len) => bytes.extend_from_slice(&piece[..len]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(FetchError::Broken(error.to_string())),
        }
        if bytes.len() as u64 > MAX_BYTES {
            return Err(FetchError::Broken("more than there is to say".to_owned()));
        }
    }
}

/// Waits until there is something to read, or the end.
pub(super) fn is_ready(fd: &impl std::os::fd::AsFd, deadline: Instant) -> bool {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec {
            tv_sec: left.as_secs().cast_signed(),
            tv_nsec: left.subsec_nanos().into(),
        };
        let mut asked = [PollFd::new(fd, PollFlags::IN)];
        match rustix::event::poll(&mut asked, Some(&left)) {
            Ok(ready) => return ready > 0,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}
