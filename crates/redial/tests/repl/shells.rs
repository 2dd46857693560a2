//! Lines run in the login shell if it is one we know, else in /bin/sh.

use std::path::Path;

use crate::support::skip;
use crate::{repl, stdout};

/// What each shell must carry over: directory, variables, and through `exit`.
const LINES: &str = "cd /usr; (exit 3)\npwd; export A='x  y'; unset B; exit 4\n\
                     echo \"$A [$B]\"; trap 'echo bye' EXIT\nset -x; cd /tmp; false\npwd\n";

/// What they print there.
fn with(shell: &str) -> crate::support::Ran {
    repl(
        "local:",
        &["--cwd", "/", "--env", "B=1", "--shell", shell],
        LINES,
    )
}

#[test]
fn every_shell_we_know_carries_directory_and_variables() {
    let mut tried = 0;
    for shell in [
        "/bin/sh",
        "/bin/bash",
        "/bin/dash",
        "/usr/bin/zsh",
        "/usr/bin/mksh",
        "/usr/bin/ksh93",
    ] {
        if !Path::new(shell).exists() {
            println!("no {shell} here");
            continue;
        }
        tried += 1;
        let ran = with(shell);
        let expected = "/usr\nx  y []\nbye\n/tmp\n";
        assert_eq!(
            (ran.code, stdout(&ran)),
            (0, expected),
            "{shell}: {}",
            ran.stderr
        );
        // `set -x` in a line does not go on in what we say behind it.
        assert!(
            !ran.stderr.contains("/usr/bin/env"),
            "{shell}: {}",
            ran.stderr
        );
    }
    if tried < 2 {
        skip("every_shell_we_know_carries_directory_and_variables: one shell only");
    }
}
