//! Jobs that are kept, and what is asked about jobs and done to them.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

mod asked;
mod full;
mod kept;
mod read;
mod records;
#[path = "../support/mod.rs"]
mod support;

use support::server::TestServer;
use support::{Ran, Redial, eventually};

/// A kept job on this server; its name, HOST/JOB.
fn detached(server: &TestServer, arguments: &[&str]) -> String {
    let ran = server.run().args(["--detach"]).args(arguments).ran();
    assert_eq!((ran.code, &*ran.stderr), (0, ""), "{arguments:?}");
    let name = String::from_utf8(ran.stdout).unwrap();
    let name = name.strip_suffix('\n').unwrap();
    assert!(name.starts_with(&server.target()), "{name}");
    name.to_owned()
}

/// `redial COMMAND …`, to its end.
fn redial(arguments: &[&str]) -> Ran {
    Redial::bare(arguments).ran()
}

/// What it prints.
fn printed(arguments: &[&str]) -> String {
    let ran = redial(arguments);
    assert_eq!((ran.code, &*ran.stderr), (0, ""), "{arguments:?}");
    String::from_utf8(ran.stdout).unwrap()
}

/// The only job of a server, as `ps --json` says it, once that is so.
fn until(server: &TestServer, what: &str, is_so: impl Fn(&serde_json::Value) -> bool) {
    let target = server.target();
    let seen = eventually(|| {
        let lines = printed(&["ps", "--json", &target]);
        let job: serde_json::Value = serde_json::from_str(lines.lines().next()?).unwrap();
        is_so(&job).then_some(())
    });
    assert!(seen.is_some(), "never {what}");
}

/// A command that writes to both outputs in turn, and exits with 3.
const BOTH: &str = "for i in 1 2 3 4; do echo out $i; echo err $i >&2; done; exit 3";
