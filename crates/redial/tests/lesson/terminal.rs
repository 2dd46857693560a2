//! Plays a console block: its commands in the windows that it shows, their output compared.
//!
//! - `$ COMMAND` is typed; the lines below it are its output, stderr included. Commands run one
//!   after the other, in one directory that is empty at first.
//! - `server$ COMMAND` is typed in another window and goes on: the next command is typed once the
//!   first line of its output (but `…`) is there. A last line `^C` is Ctrl-C, typed when all else is done;
//!   without it the program ends by itself.
//! - `…` stands for anything, in a line or as a line of its own for any lines.
//! - Port 8080 is one that is free.

use std::io::Read;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process_group};

use super::support::{binary, eventually};

/// A command, and what is to be seen below it.
#[derive(Debug, PartialEq, Eq)]
struct Typed {
    window: Window,
    command: String,
    expected: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Window {
    Ours,
    Server,
}

/// Plays a block.
///
/// # Errors
///
/// What was not as the page says.
pub(crate) fn play(block: &str) -> Result<(), String> {
    let port = free_port().to_string();
    let typed = read(&block.replace("8080", &port));
    assert!(!typed.is_empty(), "no command in\n{block}");
    let dir = tempfile::tempdir().unwrap();
    let bin = dir.path().join(".bin");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(binary(), bin.join("redial")).unwrap();
    let desk = dir.path().join("desk");
    std::fs::create_dir(&desk).unwrap();

    let mut servers = Vec::new();
    for typed in typed {
        let mut running = Running::start(typed, &desk, &bin);
        match running.typed.window {
            Window::Ours => running.ended()?,
            Window::Server => {
                running.has_begun()?;
                servers.push(running);
            }
        }
    }
    servers
        .into_iter()
        .try_for_each(|mut server| server.ended())
}

fn read(block: &str) -> Vec<Typed> {
    let mut all: Vec<Typed> = Vec::new();
    for line in block.lines() {
        let ours = line
            .strip_prefix("$ ")
            .map(|command| (Window::Ours, command));
        let server = line
            .strip_prefix("server$ ")
            .map(|command| (Window::Server, command));
        match (ours.or(server), all.last_mut()) {
            (Some((window, command)), _) => all.push(Typed {
                window,
                command: command.to_owned(),
                expected: Vec::new(),
            }),
            (None, Some(last)) => last.expected.push(line.to_owned()),
            (None, None) => panic!("output before any command: {line}"),
        }
    }
    for typed in &mut all {
        // An empty line before the next window is for the reader's eye.
        while typed.expected.last().is_some_and(String::is_empty) {
            typed.expected.pop();
        }
    }
    all
}

/// A command that was typed. Ends with its whole process group.
struct Running {
    typed: Typed,
    interrupt: bool,
    child: Child,
    reader: Option<JoinHandle<()>>,
    output: Arc<Mutex<Vec<u8>>>,
}

impl Running {
    fn start(mut typed: Typed, desk: &Path, bin: &Path) -> Self {
        let interrupt = typed.expected.last().is_some_and(|line| line == "^C");
        if interrupt {
            typed.expected.pop();
        }
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(format!("exec 2>&1\n{}", typed.command));
        // A user may have directories in it that others cannot enter.
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display());
        command
            .env("PATH", path)
            .env("HOME", desk)
            .env("XDG_CONFIG_HOME", desk)
            .env("LC_ALL", "C.UTF-8")
            .current_dir(desk)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("REDIAL_") {
                command.env_remove(name);
            }
        }
        let mut child = command.spawn().expect("a shell starts");
        let output = Arc::new(Mutex::new(Vec::new()));
        let reader = read_along(child.stdout.take().unwrap(), Arc::clone(&output));
        Running {
            typed,
            interrupt,
            child,
            reader: Some(reader),
            output,
        }
    }

    /// Waits until the first line that the page shows is there.
    fn has_begun(&mut self) -> Result<(), String> {
        let mut expected = self.typed.expected.iter();
        let first = expected.find(|line| line.trim() != "…").cloned();
        let first = first.ok_or("a server that shows nothing cannot be waited for")?;
        let begun = |running: &mut Self| {
            let ended = running.child.try_wait().unwrap().is_some();
            let shown = running.shown();
            let seen = shown.lines().any(|line| fits(&first, line));
            (seen && shown.ends_with('\n') || ended).then_some(seen)
        };
        match eventually(|| begun(self)) {
            Some(true) => Ok(()),
            _ => Err(self.complain()),
        }
    }

    /// Waits for its end, and compares what it has shown.
    fn ended(&mut self) -> Result<(), String> {
        if self.interrupt {
            // What it shows of the others' doings may come a moment later.
            eventually(|| self.is_as_expected().then_some(()));
            self.signal(Signal::INT);
        }
        let ended = eventually(|| self.child.try_wait().unwrap());
        if ended.is_none() {
            return Err(format!("it does not end; {}", self.complain()));
        }
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        match self.is_as_expected() {
            true => Ok(()),
            false => Err(self.complain()),
        }
    }

    fn is_as_expected(&self) -> bool {
        let shown = self.shown();
        let shown: Vec<&str> = shown.lines().collect();
        lines_fit(&self.typed.expected, &shown)
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.output.lock().unwrap()).into_owned()
    }

    fn complain(&self) -> String {
        let expected = self.typed.expected.join("\n");
        let command = &self.typed.command;
        format!(
            "$ {command}\nthe page shows\n{expected}\nit showed\n{}",
            self.shown()
        )
    }

    fn signal(&self, signal: Signal) {
        let group = Pid::from_raw(self.child.id().cast_signed()).unwrap();
        let _ = kill_process_group(group, signal);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            self.signal(Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

fn read_along(mut from: impl Read + Send + 'static, to: Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            to.lock().unwrap().extend_from_slice(&buffer[..count]);
        }
    })
}

/// Whether lines are those expected, where a line `…` is any lines.
fn lines_fit(expected: &[String], shown: &[&str]) -> bool {
    match expected {
        [] => shown.is_empty(),
        [any, later @ ..] if any.trim() == "…" => {
            (0..=shown.len()).any(|skipped| lines_fit(later, &shown[skipped..]))
        }
        [line, later @ ..] => match shown {
            [first, rest @ ..] => fits(line, first) && lines_fit(later, rest),
            [] => false,
        },
    }
}

/// Whether a line is the one expected, where `…` is any text.
fn fits(expected: &str, shown: &str) -> bool {
    let Some((before, after)) = expected.split_once('…') else {
        return expected == shown;
    };
    let Some(rest) = shown.strip_prefix(before) else {
        return false;
    };
    let starts = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
    starts.into_iter().any(|at| fits(after, &rest[at..]))
}

/// A port that is free, and that nobody is given who asks for any (ip_local_port_range(7)
/// begins at 32768).
fn free_port() -> u16 {
    let from = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap();
    let mut ports = (from..32_000).chain(20_000..from);
    ports
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("one port of 12,000 is free")
}

#[test]
fn a_block_is_read_as_it_is_written() {
    let typed = read("server$ a --once\nup\n^C\n\n$ b\nout\n\nmore\n$ c\n");
    let expected = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
    let of = |window, command: &str, lines: &[&str]| Typed {
        window,
        command: command.to_owned(),
        expected: expected(lines),
    };
    let all = [
        of(Window::Server, "a --once", &["up", "^C"]),
        of(Window::Ours, "b", &["out", "", "more"]),
        of(Window::Ours, "c", &[]),
    ];
    assert_eq!(typed, all);
}

#[test]
fn an_ellipsis_is_anything_and_all_else_is_itself() {
    assert!(fits("a … c", "a b b c") && fits("a…", "a") && fits("…", ""));
    assert!(!fits("a … c", "a b") && !fits("a", "ab") && !fits("a.c", "abc"));
    let page = ["one".to_owned(), "…".to_owned(), "end".to_owned()];
    assert!(lines_fit(&page, &["one", "end"]) && lines_fit(&page, &["one", "x", "y", "end"]));
    assert!(!lines_fit(&page, &["one", "x"]) && !lines_fit(&[], &["x"]));
}

#[test]
fn what_is_not_as_the_page_says_is_found() {
    assert_eq!(play("$ echo hello; echo there >&2\nhello\nthere\n"), Ok(()));
    assert!(
        play("$ echo hello\nbye\n")
            .unwrap_err()
            .contains("it showed\nhello")
    );
    assert_eq!(
        play("server$ echo up; sleep 60\nup\n^C\n\n$ echo x\nx\n"),
        Ok(())
    );
    assert!(play("server$ echo up; exec false\ndown\n").is_err());
}
