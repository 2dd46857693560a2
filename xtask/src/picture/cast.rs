//! What a program has written to a terminal, and when: asciicast, version 2
//! (docs.asciinema.org/manual/asciicast/v2/).

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::{Value, json};

/// The terminal, in characters.
const COLUMNS: u16 = 82;
const ROWS: u16 = 40;

/// A recording.
#[derive(Debug)]
pub(super) struct Cast {
    /// As it would be typed.
    pub(super) command: String,
    /// What was written, and how long after the start.
    pub(super) writes: Vec<(Duration, String)>,
}

impl Cast {
    /// Runs a program with its stdout and stderr on a terminal.
    ///
    /// # Errors
    /// It cannot be started, or does not end with 0.
    pub(super) fn record(program: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).context("no terminal")?;
        grantpt(&master).context("no terminal")?;
        unlockpt(&master).context("no terminal")?;
        let slave = ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        let size = Winsize {
            ws_row: ROWS,
            ws_col: COLUMNS,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&slave, size)?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null());
        command
            .env("TERM", "xterm-256color")
            .env("LC_ALL", "C.UTF-8");
        command.env_remove("NO_COLOR");
        command.stderr(slave.try_clone()?).stdout(slave);
        let began = Instant::now();
        let mut child = command.spawn()?;
        // Our copies of its side of the terminal: else it would never end.
        drop(command);
        let writes = read(File::from(master), began)?;
        let status = child.wait()?;
        anyhow::ensure!(status.success(), "{}: {status}", program.display());
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        Ok(Cast {
            command: format!("{name} {}", arguments.join(" ")),
            writes,
        })
    }

    /// Its file.
    ///
    /// # Errors
    /// None that is known.
    pub(super) fn to_text(&self) -> anyhow::Result<String> {
        let header = json!({
            "version": 2,
            "width": COLUMNS,
            "height": ROWS,
            "command": self.command,
        });
        let mut text = serde_json::to_string(&header)? + "\n";
        for (at, written) in &self.writes {
            let seconds = at.as_millis() as f64 / 1_000.0;
            text += &serde_json::to_string(&(seconds, "o", written))?;
            text.push('\n');
        }
        Ok(text)
    }

    /// Reads its file.
    ///
    /// # Errors
    /// It is none, or one of another version.
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let mut lines = text.lines();
        let header: Value = serde_json::from_str(lines.next().unwrap_or_default())?;
        anyhow::ensure!(header["version"] == 2, "no asciicast of version 2");
        let command = header["command"].as_str().context("no command")?.to_owned();
        let write = |line: &str| -> anyhow::Result<(Duration, String)> {
            let (seconds, kind, written): (f64, String, String) = serde_json::from_str(line)?;
            anyhow::ensure!(kind == "o", "an event that is no output: {kind}");
            Ok((Duration::try_from_secs_f64(seconds)?, written))
        };
        let writes = lines.map(write).collect::<anyhow::Result<_>>()?;
        Ok(Cast { command, writes })
    }
}

/// All that is written until nobody has the terminal any more.
fn read(mut master: File, began: Instant) -> anyhow::Result<Vec<(Duration, String)>> {
    let (mut writes, mut bytes) = (Vec::new(), Vec::new());
    let mut buffer = [0; 4096];
    // Its end is an error on Linux (EIO).
    while let Ok(len @ 1..) = master.read(&mut buffer) {
        bytes.extend_from_slice(&buffer[..len]);
        // A character may have been cut in two.
        let whole = match std::str::from_utf8(&bytes) {
            Ok(_) => bytes.len(),
            Err(error) => error.valid_up_to(),
        };
        let rest = bytes.split_off(whole);
        writes.push((began.elapsed(), String::from_utf8(bytes)?));
        bytes = rest;
    }
    anyhow::ensure!(bytes.is_empty(), "it writes something that is no UTF-8");
    Ok(writes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_read_as_it_was_written() {
        let cast = Cast {
            command: "a b".to_owned(),
            writes: vec![
                (Duration::from_millis(1), "\u{1b}[1m\"x\"\r\n".to_owned()),
                (Duration::from_millis(12_345), "…".to_owned()),
            ],
        };
        let read = Cast::parse(&cast.to_text().unwrap()).unwrap();
        assert_eq!((read.command, read.writes), (cast.command, cast.writes));
    }

    #[test]
    fn what_is_written_to_the_terminal_is_recorded() {
        let cast = Cast::record(Path::new("/bin/sh"), &["-c", "test -t 1 && echo …"]).unwrap();
        let written: String = cast
            .writes
            .into_iter()
            .map(|(_, written)| written)
            .collect();
        assert_eq!(written, "…\r\n");
        assert!(Cast::record(Path::new("/bin/sh"), &["-c", "exit 1"]).is_err());
    }
}
