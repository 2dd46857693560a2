//! `redial repl`: with plain lines, and on a terminal.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

#[path = "../support/mod.rs"]
mod support;

mod lines;
mod shells;
mod terminal;

use support::{Ran, Redial};

/// `redial repl TARGET` with these lines on its stdin.
fn repl(target: &str, args: &[&str], lines: &str) -> Ran {
    let redial = Redial::bare(["repl", target]).args(args);
    redial.input(lines).ran()
}

fn stdout(ran: &Ran) -> &str {
    std::str::from_utf8(&ran.stdout).unwrap()
}
