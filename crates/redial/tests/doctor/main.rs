//! `redial doctor`: each step broken in turn, and none.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

#[path = "../support/mod.rs"]
mod support;

mod keys;
mod way;
mod well;

use std::path::PathBuf;

use serde_json::Value;
use support::Ran;
use support::network::NetworkServer;

const ALL: [&str; 12] = [
    "settings",
    "resolve",
    "connect",
    "tls",
    "host key",
    "key",
    "login",
    "protocol",
    "clock",
    "spawn",
    "latency",
    "throughput",
];

/// What was found, a step a line.
struct Found(Vec<Value>);

impl Found {
    fn of(ran: &Ran) -> Self {
        assert_eq!(ran.stderr, "");
        let text = std::str::from_utf8(&ran.stdout).unwrap();
        let found = Found(
            text.lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect(),
        );
        let wrong = found.0.iter().any(|step| step["ok"] == false);
        assert_eq!(ran.code, if wrong { 125 } else { 0 }, "{text}");
        found
    }

    fn steps(&self) -> Vec<&str> {
        let all = self.0.iter();
        all.map(|step| step["step"].as_str().unwrap()).collect()
    }

    /// The step, which was there once.
    fn step(&self, name: &str) -> &Value {
        let mut found = self.0.iter().filter(|step| step["step"] == name);
        let step = found
            .next()
            .unwrap_or_else(|| panic!("no {name}: {:?}", self.0));
        assert!(found.next().is_none(), "{:?}", self.0);
        step
    }

    /// The steps end with one that is wrong, but for keys that could not be tried.
    fn ends_wrong_at(&self, name: &str, detail: &str, advice: &str) {
        let wrong: Vec<_> = self.0.iter().filter(|step| step["ok"] == false).collect();
        assert_eq!(wrong, [self.step(name)], "{:?}", self.0);
        let says = |key: &str, words: &str| match wrong[0][key].as_str() {
            Some(text) => assert!(text.contains(words), "{words}: {text}"),
            None => assert_eq!(words, "", "{:?}", wrong[0]),
        };
        says("detail", detail);
        says("advice", advice);
        let at = self.steps().iter().position(|step| *step == name).unwrap();
        assert!(
            self.steps()[at + 1..].iter().all(|step| *step == "key"),
            "{:?}",
            self.0
        );
    }
}

/// The doctor on a server, whose key is asked for.
fn examine(server: &NetworkServer) -> Found {
    let args = ["doctor", "--json", "--host-key", server.host_key()];
    Found::of(&server.redial(args).args([server.target()]).ran())
}

fn config(server: &NetworkServer) -> PathBuf {
    server.home().join(".config")
}
