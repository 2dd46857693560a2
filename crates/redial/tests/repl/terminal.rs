//! On a terminal: prompt, editing, completion, history, and Ctrl-C.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tempfile::TempDir;

use crate::support::processes::{mark, marked, none_left};
use crate::support::server::{TestServer, terminate};
use crate::support::{PATIENCE, binary, wait};

/// The program on a terminal of its own.
struct Terminal {
    child: Child,
    keys: File,
    shown: Receiver<Vec<u8>>,
    /// What was shown and not yet looked at.
    seen: String,
}

impl Terminal {
    fn start(target: &str, state: &Path) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let open = || {
            let mut options = File::options();
            options
                .read(true)
                .write(true)
                .open(name.to_str().unwrap())
                .unwrap()
        };
        let mut command = Command::new("setsid");
        command
            .args(["--ctty", "--wait"])
            .arg(binary())
            .args(["repl", target]);
        command.env("TERM", "xterm").env("XDG_STATE_HOME", state);
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
        let mut terminal = Terminal {
            child,
            keys,
            shown,
            seen: String::new(),
        };
        terminal.sees(">>: ");
        terminal
    }

    fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until this is shown; what was shown before it.
    fn sees(&mut self, text: &str) -> String {
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

    /// Types a line, and waits for what it prints and the next prompt; what is between.
    fn line(&mut self, line: &str, printed: &str) -> String {
        self.types(&format!("{line}\r"));
        let before = self.sees(printed);
        self.sees(">>: ");
        before
    }

    fn leaves(mut self) -> i32 {
        self.types("\u{4}");
        wait(&mut self.child)
    }
}

fn state() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn a_prompt_takes_lines_until_ctrl_d_which_leaves_with_the_last_code() {
    let (server, state) = (TestServer::start(), state());
    let mut terminal = Terminal::start(&server.target(), state.path());
    terminal.line("cd /usr", "\r\n");
    terminal.line("pwd", "\r\n/usr\r\n");
    terminal.line("", "\r\n");
    // What ends without a line's end does not swallow the prompt.
    terminal.line("printf abc", "\r\nabc\r\n");
    terminal.line("(exit 3)", "redial: exit code 3\r\n");
    assert_eq!(terminal.leaves(), 3);
}

#[test]
fn what_is_typed_ahead_or_edited_is_not_lost() {
    let state = state();
    let mut terminal = Terminal::start("local:", state.path());
    terminal.types("echo one\recho two\r");
    terminal.sees("\r\none\r\n");
    terminal.sees("\r\ntwo\r\n");
    terminal.sees(">>: ");
    // Left, left, backspace.
    terminal.line("echo abXde\u{1b}[D\u{1b}[D\u{7f}", "\r\nabde\r\n");
    assert_eq!(terminal.leaves(), 0);
}

#[test]
fn the_first_ctrl_c_cancels_the_command_and_keeps_the_prompt() {
    let (state, mark) = (state(), mark());
    let mut terminal = Terminal::start("local:", state.path());
    terminal.types(&format!("cd /usr; echo up; sleep {mark}; echo never\r"));
    terminal.sees("\r\nup\r\n");
    terminal.types("\u{3}");
    let between = terminal.sees("redial: cancelled, exit code 130\r\n");
    assert!(!between.contains("never"), "{between}");
    terminal.sees(">>: ");
    assert!(none_left(&mark), "{:?}", marked(&mark));
    // What was cancelled counts for nothing.
    terminal.line("pwd; echo end", "end\r\n");
    assert_eq!(terminal.leaves(), 0);
}

#[test]
fn the_second_ctrl_c_kills_what_does_not_heed_the_first() {
    let state = state();
    let mut terminal = Terminal::start("local:", state.path());
    let text = "trap 'echo heard' TERM; echo up; while :; do sleep 0.05; done";
    let began = Instant::now();
    terminal.types(&format!("{text}\r"));
    terminal.sees("\r\nup\r\n");
    terminal.types("\u{3}");
    terminal.sees("heard\r\n");
    terminal.types("\u{3}");
    terminal.sees("redial: cancelled, exit code 130\r\n");
    // The grace of the first is 5 s.
    assert!(began.elapsed().as_secs() < 5);
    terminal.sees(">>: ");
    assert_eq!(terminal.leaves(), 130);
}

#[test]
fn ctrl_c_at_the_prompt_clears_the_line() {
    let state = state();
    let mut terminal = Terminal::start("local:", state.path());
    terminal.types("exit 9");
    terminal.sees("exit 9");
    terminal.types("\u{3}");
    terminal.sees(">>: ");
    terminal.line("echo here", "\r\nhere\r\n");
    assert_eq!(terminal.leaves(), 0);
}

#[test]
fn tab_completes_paths_of_the_host_from_its_directory_and_quotes_them() {
    let (state, dir) = (state(), state());
    std::fs::create_dir(dir.path().join("sub dir")).unwrap();
    std::fs::write(dir.path().join("sub dir/it's 电话.txt"), "found it").unwrap();
    let mut terminal = Terminal::start("local:", state.path());
    terminal.line(&format!("cd {}", dir.path().display()), "\r\n");
    terminal.types("cat su\t");
    terminal.sees("cat sub\\ dir/");
    terminal.types("\t");
    terminal.sees("电话.txt");
    terminal.types("\r");
    terminal.sees("\r\nfound it\r\n");
    terminal.sees(">>: ");
    assert_eq!(terminal.leaves(), 0);
}

#[test]
fn lines_are_remembered_for_the_user_alone_but_for_those_behind_a_space() {
    let state = state();
    let mut terminal = Terminal::start("local:", state.path());
    terminal.line("echo fir''st", "\r\nfirst\r\n");
    terminal.line(" echo sec''ret", "\r\nsecret\r\n");
    assert_eq!(terminal.leaves(), 0);
    let file = state.path().join("redial/history");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("fir''st") && !text.contains("sec"), "{text}");
    let mut terminal = Terminal::start("local:", state.path());
    // Up, enter.
    terminal.line("\u{1b}[A", "\r\nfirst\r\n");
    assert_eq!(terminal.leaves(), 0);
}

#[test]
fn a_signal_at_the_prompt_leaves_and_gives_the_terminal_back() {
    use rustix::termios::{LocalModes, tcgetattr};
    let state = state();
    let mut terminal = Terminal::start("local:", state.path());
    // setsid(1) becomes the program, since a child of ours leads no group.
    terminate(terminal.child.id());
    assert_eq!(wait(&mut terminal.child), 143);
    let modes = tcgetattr(&terminal.keys).unwrap().local_modes;
    assert!(
        modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG),
        "{modes:?}"
    );
}
