//! A child that reads our own files again and again: to start one costs more than to read.
//!
//! It is asked by a byte on its stdin, and reads then. What it says has its length before it (four bytes,
//! big-endian). Nobody who asks for a while, and it goes home.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};

use super::fetch::{END, FetchError, MAX_BYTES, is_ready};
use super::reader::{Whose, report_key_files};

/// So long it waits for the next question.
const IDLE: Duration = Duration::from_secs(1);
const ASK: &[u8] = b"?";

/// The keeper's side.
#[derive(Debug)]
pub(super) struct Standing {
    stdin: ChildStdin,
    stdout: ChildStdout,
    /// Names it also when somebody else has reaped it.
    pidfd: OwnedFd,
}

impl Standing {
    pub(super) fn new(mut child: Child) -> io::Result<Self> {
        let pidfd = rustix::process::pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let no_pipe = || io::Error::other("a child without pipes");
        Ok(Self {
            stdin: stdin.ok_or_else(no_pipe)?,
            stdout: stdout.ok_or_else(no_pipe)?,
            pidfd,
        })
    }

    /// What it finds now.
    ///
    /// # Errors
    /// [`FetchError::Time`]; [`FetchError::Broken`] also when it has gone home.
    pub(super) fn ask(&mut self, deadline: Instant) -> Result<Vec<u8>, FetchError> {
        let gone = |error: io::Error| FetchError::Broken(error.to_string());
        // A pipe that is empty takes a byte at once.
        self.stdin.write_all(ASK).map_err(gone)?;
        let mut len = [0; 4];
        self.read(&mut len, deadline)?;
        let len = u32::from_be_bytes(len);
        if u64::from(len) > MAX_BYTES {
            return Err(FetchError::Broken("more than there is to say".to_owned()));
        }
        let mut report = vec![0; len as usize];
        self.read(&mut report, deadline)?;
        Ok(report)
    }

    fn read(&mut self, mut place: &mut [u8], deadline: Instant) -> Result<(), FetchError> {
        while !place.is_empty() {
            if !is_ready(&self.stdout, deadline) {
                return Err(FetchError::Time);
            }
            match self.stdout.read(place) {
                Ok(0) => return Err(FetchError::Broken("it has ended".to_owned())),
                Ok(len) => place = &mut place[len..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(FetchError::Broken(error.to_string())),
            }
        }
        Ok(())
    }

    /// Ends it. Gives what names it if it cannot even be killed: it hangs in the kernel.
    pub(super) fn end(self) -> Option<OwnedFd> {
        // It has nothing that could be lost. Both fail only when it is gone.
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
        if !is_ready(&self.pidfd, Instant::now() + END) {
            return Some(self.pidfd);
        }
        let _ = rustix::process::waitid(
            WaitId::PidFd(std::os::fd::AsFd::as_fd(&self.pidfd)),
            WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
        );
        None
    }
}

/// The child's side: reads our own files of authorised keys each time that it is asked on `input`, and
/// writes what [`report_key_files`] does, its length before it.
///
/// # Errors
/// `out` takes no more.
pub fn report_again(named: &[PathBuf], mut input: File, out: &mut impl Write) -> io::Result<()> {
    let mut asked = [0; 1];
    while is_ready(&input, Instant::now() + IDLE) && input.read(&mut asked)? > 0 {
        let mut report = Vec::new();
        report_key_files(&Whose::Own, named, &mut report)?;
        let len = u32::try_from(report.len()).map_err(io::Error::other)?;
        out.write_all(&[&len.to_be_bytes()[..], &report].concat())?;
        out.flush()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::super::reader::{Found, Report};
    use super::*;

    fn child(script: &str) -> Standing {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        Standing::new(child.unwrap()).unwrap()
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[test]
    fn it_reads_when_it_is_asked_and_not_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("authorized_keys");
        let (input, mut ask) = std::io::pipe().unwrap();
        let (mut told, mut out) = std::io::pipe().unwrap();
        let named = vec![path.clone()];
        let reading = std::thread::spawn(move || {
            report_again(&named, std::os::fd::OwnedFd::from(input).into(), &mut out)
        });
        for text in ["one key\n", "another\n"] {
            std::fs::write(&path, text).unwrap();
            ask.write_all(ASK).unwrap();
            let mut len = [0; 4];
            told.read_exact(&mut len).unwrap();
            let mut report = vec![0; u32::from_be_bytes(len) as usize];
            told.read_exact(&mut report).unwrap();
            let report: Report = minicbor::decode(&report).unwrap();
            assert_eq!(
                report.files[0].found,
                Found::Text(text.as_bytes().to_vec().into())
            );
        }
        // Nobody asks any more.
        reading.join().unwrap().unwrap();
        assert_eq!(told.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn one_that_has_gone_home_is_told_from_one_that_hangs() {
        let mut good = child("head -c 1 >/dev/null; printf '\\0\\0\\0\\2ab'");
        assert_eq!(good.ask(soon()).unwrap(), b"ab");
        let gone = good.ask(soon()).unwrap_err();
        assert!(matches!(gone, FetchError::Broken(_)), "{gone}");
        assert!(good.end().is_none());
        let mut long = child("printf '\\377\\377\\377\\377'; cat");
        assert!(matches!(long.ask(soon()), Err(FetchError::Broken(_))));
        assert!(long.end().is_none());
        let mut hangs = child("exec sleep 1000");
        let late = hangs.ask(Instant::now() + Duration::from_millis(20));
        assert!(matches!(late, Err(FetchError::Time)));
        assert!(hangs.end().is_none(), "it is killed and reaped");
    }
}
