//! The shell text around a line: runs it, then says on stdout, behind a marker, in which
//! directory and with which exported variables it has ended.
//!
//! - The marker is 128 random bits, new for each line, and is given as two arguments, so
//!   that not even `ps` in the line shows it whole.
//! - It is said when the line's last command is over, or by a trap when the shell ends
//!   before (`exit`, `set -e`, a syntax error). A shell that is killed, or replaced by
//!   `exec`, says nothing; one whose stdout is no pipe any more says nothing there.
//! - It is begun once: bash runs the trap of a shell that TERM ends while it says it.
//! - State is said twice, once as it is and once as its checksum: a background process of
//!   the line shares the pipe, and may write in between.
//!   (`_` is left out: ksh93 makes a new one each time.)
//! - No descriptor is kept for it: every background process would hold the output open.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use redial_client::Command;

use super::state::State;

/// Arguments: the line, both halves of the marker, variables to unset.
const SCRIPT: &str = concat!(
    "_redial_l=$1 _redial_a=$2 _redial_b=$3; shift 3; ",
    "[ $# = 0 ] || unset -v \"$@\" 2>/dev/null; set --; ",
    "_redial_s='pwd; printf \"\\0\"; /usr/bin/env -u _ -0'; ",
    "_redial_e='{ set +eux; } 2>/dev/null; ",
    "if [ \"$_redial_a\" ] && [ -p /proc/self/fd/1 ]; then ",
    "{ _redial_d=$_redial_a _redial_a=; } 2>/dev/null; { ",
    "printf %s%s \"$_redial_d\" \"$_redial_b\"; eval \"$_redial_s\"; ",
    "eval \"$_redial_s\" | /usr/bin/cksum; ",
    "printf %s%s \"$_redial_b\" \"$_redial_d\"; } 2>/dev/null; fi'; ",
    "trap \"$_redial_e\" EXIT; eval \"$_redial_l\"\n",
    "{ _redial_c=$?; set +eux; } 2>/dev/null; eval \"$_redial_e\"; exit \"$_redial_c\"",
);

/// The shell of every host.
const SH: &str = "/bin/sh";
/// Login shells that understand the text above.
const POSIX: [&str; 9] = [
    "sh", "bash", "dash", "ash", "ksh", "ksh93", "mksh", "zsh", "busybox",
];
/// One argument at most, with its NUL: the kernel's MAX_ARG_STRLEN (execve(2)).
pub(crate) const LINE_MAX_BYTES: usize = 128 * 1024 - 1;

/// The shell that runs the lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shell(OsString);

impl Shell {
    /// The login shell if it is one of those we know, else `/bin/sh`, and whether it is.
    pub(crate) fn of(state: &State) -> (Self, bool) {
        let login = state.variable("SHELL").unwrap_or(SH.as_bytes());
        let name = login.rsplit(|&byte| byte == b'/').next().unwrap_or(login);
        let known = login.starts_with(b"/") && POSIX.iter().any(|shell| shell.as_bytes() == name);
        let path = if known { login } else { SH.as_bytes() };
        (Shell(OsString::from_vec(path.to_vec())), known)
    }

    /// The one that was asked for.
    pub(crate) fn at(path: &OsStr) -> Self {
        Shell(path.to_owned())
    }

    /// The command that runs a line.
    pub(crate) fn line(
        &self,
        line: &[u8],
        state: &State,
        base: &State,
        marker: &Marker,
    ) -> Command {
        let name = self.0.as_bytes().rsplit(|&byte| byte == b'/').next();
        let mut argv = vec![
            self.0.clone(),
            "-c".into(),
            SCRIPT.into(),
            OsStr::from_bytes(name.unwrap_or_default()).to_owned(),
            OsStr::from_bytes(line).to_owned(),
            marker.one.clone().into(),
            marker.two.clone().into(),
        ];
        let mut argv0 = Vec::new();
        if argv[0].as_bytes().ends_with(b"/busybox") {
            argv0.push(OsString::from("sh"));
        }
        argv.splice(1..1, argv0);
        argv.extend(state.unset_since(base));
        state.apply(Command::new(argv), base)
    }
}

/// A command that only says where a line would begin.
pub(crate) fn probe(marker: &Marker) -> Command {
    let arguments = ["sh", ":", &marker.one, &marker.two];
    Command::new([SH, "-c", SCRIPT].into_iter().chain(arguments))
}

/// What stands before and behind a state.
pub(crate) struct Marker {
    one: String,
    two: String,
}

impl Marker {
    /// A new one.
    ///
    /// # Errors
    ///
    /// When there are no random numbers.
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        let (one, two) = (getrandom::u64()?, getrandom::u64()?);
        // A first byte that is rare in output: what could begin a marker must be held.
        Ok(Marker {
            one: format!("\u{1e}{one:016x}"),
            two: format!("{two:016x}\u{1e}"),
        })
    }

    /// What stands before.
    pub(crate) fn start(&self) -> Vec<u8> {
        [self.one.as_bytes(), self.two.as_bytes()].concat()
    }

    /// What stands behind.
    pub(crate) fn end(&self) -> Vec<u8> {
        [self.two.as_bytes(), self.one.as_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_that_is_not_known_gives_way_to_sh() {
        for (login, shell, known) in [
            ("/bin/bash", "/bin/bash", true),
            ("/usr/local/bin/zsh", "/usr/local/bin/zsh", true),
            ("/usr/bin/fish", "/bin/sh", false),
            ("/bin/tcsh", "/bin/sh", false),
            ("bash", "/bin/sh", false),
            ("", "/bin/sh", false),
        ] {
            let state = State::default().with([("SHELL".into(), login.into())]);
            assert_eq!(Shell::of(&state), (Shell(shell.into()), known), "{login}");
        }
        assert_eq!(
            Shell::of(&State::default()),
            (Shell("/bin/sh".into()), true)
        );
    }

    #[test]
    fn a_marker_stands_in_no_argument_whole() {
        let marker = Marker::new().unwrap();
        assert_eq!(marker.start().len(), 34);
        assert_ne!(marker.start(), marker.end());
        assert_ne!(Marker::new().unwrap().start(), marker.start());
        let arguments = format!("{:?}", probe(&marker)).into_bytes();
        let whole = marker.start();
        assert!(!arguments.windows(whole.len()).any(|part| part == whole));
    }

    /// bash runs the trap again if TERM ends it while it says its state.
    #[test]
    fn a_state_is_begun_once_even_if_the_shell_is_ended_meanwhile() {
        let marker = Marker::new().unwrap();
        let kill = "pwd() { trap - TERM; kill -TERM $$; builtin pwd; }; echo up";
        let ran = std::process::Command::new("/bin/bash")
            .args(["-c", SCRIPT, "bash", kill, &marker.one, &marker.two])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        let start = format!("{}{}", marker.one, marker.two);
        assert_eq!(said.matches(&start).count(), 1, "{said:?}");
    }
}
