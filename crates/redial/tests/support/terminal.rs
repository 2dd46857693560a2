//! The program on a terminal of its own: what it shows there, and what is typed.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize};

use super::{PATIENCE, Redial, eventually, wait};

/// Its session's terminal is ours to read and to type on.
pub(crate) struct Terminal {
    child: Child,
    keys: File,
    shown: Receiver<Vec<u8>>,
    /// What was shown and not yet looked at.
    seen: String,
}

impl Redial {
    /// Starts it on a terminal; stdin, stdout and stderr are that terminal.
    pub(crate) fn on_terminal(self) -> Terminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let open = || {
            let mut options = File::options();
            let options = options.read(true).write(true);
            options.open(name.to_str().unwrap()).unwrap()
        };
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait"]);
        command.arg(self.command.get_program());
        command.args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.stdin(open()).stdout(open()).stderr(open());
        let child = command.spawn().expect("setsid of util-linux");
        drop(command);
        let keys = File::from(master);
        let mut screen = keys.try_clone().unwrap();
        let (send, shown) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The last process that goes takes the terminal along: an error, or the end.
            while let Ok(length @ 1..) = screen.read(&mut buffer) {
                if send.send(buffer[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Terminal {
            child,
            keys,
            shown,
            seen: String::new(),
        }
    }
}

impl Terminal {
    /// Types a line.
    pub(crate) fn types(&mut self, line: &str) {
        self.keys.write_all(format!("{line}\r").as_bytes()).unwrap();
    }

    /// Presses these keys.
    pub(crate) fn presses(&mut self, keys: &[u8]) {
        self.keys.write_all(keys).unwrap();
    }

    /// It has another size from now on.
    pub(crate) fn resizes(&mut self, rows: u16, columns: u16) {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&self.keys, size).unwrap();
    }

    fn modes(&self) -> LocalModes {
        tcgetattr(&self.keys).unwrap().local_modes
    }

    /// Waits until it treats keys like this again (termios(3)).
    pub(crate) fn is_usual(&self, modes: LocalModes) {
        let usual = || self.modes().contains(modes).then_some(());
        eventually(usual).expect("the terminal is as it was");
    }

    /// Waits until keys are no more looked at by the terminal itself, but all the program's.
    pub(crate) fn is_raw(&self) {
        let raw = || (!self.modes().contains(LocalModes::ICANON)).then_some(());
        eventually(raw).expect("the terminal becomes raw");
    }

    /// Somebody sets it up as a shell does.
    pub(crate) fn becomes_usual(&self) {
        let mut modes = tcgetattr(&self.keys).unwrap();
        modes.local_modes |= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
        tcsetattr(&self.keys, OptionalActions::Now, &modes).unwrap();
    }

    /// The program on it.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Types a line that is not to be seen, once it would not be: a prompt may be shown before
    /// the echo is off.
    pub(crate) fn types_hidden(&mut self, line: &str) {
        let hidden = || {
            let modes = tcgetattr(&self.keys).unwrap().local_modes;
            (!modes.contains(LocalModes::ECHO)).then_some(())
        };
        eventually(hidden).expect("the echo goes off");
        self.types(line);
    }

    /// Waits until this is shown; what was shown before it.
    pub(crate) fn sees(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let more = self.shown.recv_timeout(left);
            let more = more.unwrap_or_else(|_| panic!("{text:?} is not in {:?}", self.seen));
            self.seen.push_str(&String::from_utf8_lossy(&more));
        }
    }

    /// Waits for its end: its exit code, and what was shown and not yet seen.
    pub(crate) fn ends(mut self) -> (i32, String) {
        let code = wait(&mut self.child);
        while let Ok(more) = self.shown.recv_timeout(PATIENCE) {
            self.seen.push_str(&String::from_utf8_lossy(&more));
        }
        (code, self.seen)
    }
}
