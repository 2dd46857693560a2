//! Commands on a terminal: what they see of it, what is typed, and how it ends.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

mod ends;
mod line;
mod recorded;
#[path = "../support/mod.rs"]
mod support;
mod typing;

use support::terminal::Terminal;
use support::{Ran, Redial};

/// Shows the size of the terminal whenever it is another, as long as there is one.
const SIZES: &str = "(while n=$(stty size </dev/tty); do [ \"$n\" = \"$o\" ] || echo \"$n\"; o=$n; \
                     sleep 0.05; done) 2>/dev/null & ";

/// `redial run -t`, typed on.
fn on_terminal(target: &str, args: &[&str], text: &str) -> Terminal {
    let run = Redial::bare(["run", "-t", target])
        .args(args)
        .args(["-c", text]);
    run.env("TERM", "xterm-256color").on_terminal()
}

/// `redial run -t` without a terminal of ours.
fn piped(args: &[&str], input: &str) -> Ran {
    let run = Redial::bare(["run", "-t", "local:"]).args(args);
    run.env("TERM", "vt100").input(input).ran()
}

fn stdout(ran: &Ran) -> &str {
    std::str::from_utf8(&ran.stdout).unwrap()
}
