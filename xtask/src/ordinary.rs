//! The second pass: what touches processes, sockets and files, run again as an
//! ordinary user, because root passes tests that nobody else would.

use std::fs::{self, File, TryLockError};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::artifacts::{Executable, Kind};
use crate::failures::{Failure, Failures};
use crate::processes;
use crate::report::Verdict;
use crate::stage::Stage;
use crate::tally::{self, SKIPS_VARIABLE, Skip, Tally};
use crate::test::{TEST_LIMIT, THREADS, threads};
use crate::torture;
use crate::watch::{self, Line};

/// The crates whose tests depend on who runs them.
const CRATES: [&str; 8] = [
    "redial-auth",
    "redial-classic",
    "redial-keeper",
    "redial-net",
    "redial-server",
    "redial-client",
    "redial-fleet",
    "redial",
];
/// The user of the second pass. One of its own, with a home and a shell as
/// people have them, so that what it leaves running can be told.
const NAME: &str = "redial-test";
/// How often we look again at what we wait for.
const POLL: Duration = Duration::from_millis(50);
/// How long processes may take to go after the last test.
const GRACE: Duration = Duration::from_secs(3);
/// Two passes at once would end each other's processes.
const LOCK: &str = "/run/redial-test.lock";
/// How long another pass may keep us waiting.
const LOCK_WAIT: Duration = Duration::from_secs(1800);
/// Torture has had its time and its size in the first pass.
const TORTURE_SECONDS: u32 = 5;
const TORTURE_SCALE: &str = "0.005";
/// Not the caller's PATH: that often leads into directories of root's.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// An ordinary user, from passwd(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    shell: String,
}

/// What the pass came to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) tally: Tally,
    pub(crate) skips: Vec<Skip>,
    pub(crate) failures: Vec<Failure>,
    /// One line for each thing that went wrong.
    pub(crate) complaints: Vec<String>,
}

/// Makes the user if there is none, before any test asks for it.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn prepare() -> anyhow::Result<Verdict> {
    let User { uid, .. } = User::find_or_make()?;
    Ok(Verdict::Good(format!("{NAME}, uid {uid}")))
}

/// Runs the test harnesses among `executables` that belong to [`CRATES`].
///
/// # Errors
/// When there is no such user and none can be made, or no place for the files.
pub(crate) fn run(executables: &[Executable]) -> anyhow::Result<Outcome> {
    let _alone = lock()?;
    let user = User::find_or_make()?;
    let stage = Stage::new(&user)?;
    let skips = stage.tmp().join("skips");
    let ours: Vec<&Executable> = executables
        .iter()
        .filter(|executable| CRATES.contains(&executable.crate_name()))
        .collect();
    let mut redial = None;
    for program in ours.iter().filter(|e| e.kind == Kind::Program) {
        let copy = stage.bring(program)?;
        if program.file_name() == "redial" {
            redial = Some(copy);
        }
    }
    let mut outcome = Outcome::default();
    for harness in ours.iter().filter(|e| e.kind == Kind::Test) {
        let copy = stage.bring(harness)?;
        let mut command = user.command(&copy, &stage);
        command.env(SKIPS_VARIABLE, &skips);
        command.env(THREADS, threads());
        command.env(torture::SECONDS, TORTURE_SECONDS.to_string());
        command.env(torture::SCALE, TORTURE_SCALE);
        if let Some(redial) = &redial {
            command.env("REDIAL_BIN", redial);
        }
        if user.can_read(&harness.crate_dir.join("Cargo.toml"), &stage) {
            command.current_dir(&harness.crate_dir);
        }
        outcome.run_one(harness, &mut command)?;
        // Harnesses are large; only one takes room at a time.
        fs::remove_file(&copy).context("cannot remove a copy")?;
    }
    outcome.skips = tally::read_skips(&skips);
    outcome.tally.skip(&outcome.skips);
    outcome.complaints.extend(left_behind(&user));
    Ok(outcome)
}

impl Outcome {
    fn run_one(&mut self, harness: &Executable, command: &mut Command) -> anyhow::Result<()> {
        let name = harness.file_name();
        eprintln!("     Running {name} as {NAME} ({})", harness.crate_name());
        let mut tally = Tally::default();
        let mut failures = Failures::default();
        let ended = watch::run(name, command, TEST_LIMIT, |line| {
            failures.line(line);
            tally += Tally::from_line(line).unwrap_or_default();
            Line::Show
        })?;
        if let Some(complaint) = ended.complaint() {
            tally.fail_at_least_once();
            self.complaints.push(format!("{name}: {complaint}"));
        }
        self.tally += tally;
        self.failures.extend(failures.into_found());
        Ok(())
    }
}

/// Waits until no other pass runs; the next may begin when the file is closed.
fn lock() -> anyhow::Result<File> {
    let file = File::create(LOCK).with_context(|| format!("cannot open {LOCK}"))?;
    let since = Instant::now();
    let mut said = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => Err(error).context("cannot lock")?,
            Err(TryLockError::WouldBlock) => {}
        }
        anyhow::ensure!(since.elapsed() < LOCK_WAIT, "another pass holds {LOCK}");
        if !said {
            eprintln!("xtask: another pass as {NAME} is under way, waiting ({LOCK})");
            said = true;
        }
        thread::sleep(POLL);
    }
}

/// Names and kills what the user still runs once its tests are over.
fn left_behind(user: &User) -> Vec<String> {
    let over = Instant::now();
    let mut left = processes::of_user(user.uid);
    while !left.is_empty() && over.elapsed() < GRACE {
        thread::sleep(POLL);
        left = processes::of_user(user.uid);
    }
    for process in &left {
        processes::kill(process.pid);
    }
    let name = |p: &processes::Process| format!("a test left {} running (pid {})", p.name, p.pid);
    left.iter().map(name).collect()
}

impl User {
    fn find_or_make() -> anyhow::Result<User> {
        if let Some(user) = User::find()? {
            return Ok(user);
        }
        let status = Command::new("useradd")
            .args(["--create-home", "--user-group", "--shell", "/bin/sh"])
            .args(["--comment", "runs the tests of redial", NAME])
            .stdin(Stdio::null())
            .status()
            .context("cannot start useradd, to make the user of the second pass")?;
        anyhow::ensure!(status.success(), "useradd {NAME}: {status}");
        User::find()?.with_context(|| format!("useradd made no {NAME}"))
    }

    fn find() -> anyhow::Result<Option<User>> {
        let passwd = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        Ok(User::parse(&passwd, NAME))
    }

    fn parse(passwd: &str, name: &str) -> Option<User> {
        passwd.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            match fields[..] {
                [login, _, uid, gid, _, _, shell] if login == name => Some(User {
                    uid: uid.parse().ok()?,
                    gid: gid.parse().ok()?,
                    shell: shell.to_owned(),
                }),
                _ => None,
            }
        })
    }

    /// A command run as this user, in its home, with an environment of its
    /// own. std leaves it no supplementary groups, since we are root.
    fn command(&self, program: &Path, stage: &Stage) -> Command {
        let mut command = Command::new(program);
        command
            .uid(self.uid)
            .gid(self.gid)
            .current_dir(stage.home())
            .env_clear()
            .env("HOME", stage.home())
            .env("TMPDIR", stage.tmp())
            .env("PATH", PATH)
            .env("SHELL", &self.shell)
            .env("LANG", "C.UTF-8")
            .env("RUST_BACKTRACE", "1")
            .envs(["USER", "LOGNAME"].map(|variable| (variable, NAME)));
        command
    }

    /// Whether this user can read a file, asked as this user.
    fn can_read(&self, file: &Path, stage: &Stage) -> bool {
        self.command(Path::new("test"), stage)
            .arg("-r")
            .arg(file)
            .stdin(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }
}

#[cfg(test)]
mod tests;
