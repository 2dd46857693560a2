//! What every way in must carry: bytes, exit codes, deadlines, arguments, all exact.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::support::network::NetworkServer;
use crate::support::processes::{mark, marked, none_left};
use crate::support::server::terminate;
use crate::support::{Redial, finish, noise};

/// Somebody who is let in.
pub(crate) struct Caller {
    target: String,
    host_key: String,
    home: PathBuf,
    args: Vec<OsString>,
    agent: Option<PathBuf>,
}

impl Caller {
    pub(crate) fn new(server: &NetworkServer, args: Vec<OsString>, agent: Option<PathBuf>) -> Self {
        Caller {
            target: server.target(),
            host_key: server.host_key().to_owned(),
            home: server.home().to_owned(),
            args,
            agent,
        }
    }

    pub(crate) fn run(&self) -> Redial {
        let redial = Redial::run(&self.target)
            .args(["--host-key", &self.host_key])
            .args(&self.args)
            .env("HOME", &self.home)
            .without("XDG_CONFIG_HOME");
        match &self.agent {
            Some(socket) => redial.env("SSH_AUTH_SOCK", socket),
            None => redial.without("SSH_AUTH_SOCK"),
        }
    }

    /// All of it; so many bytes go through cat. What only waits, waits beside the rest.
    pub(crate) fn all(&self, through_cat: usize) {
        std::thread::scope(|scope| {
            scope.spawn(|| self.a_deadline_is_kept());
            scope.spawn(|| self.a_held_pipe_is_named());
            scope.spawn(|| {
                self.what_cannot_be_run_is_told();
                self.arguments_arrive();
                self.a_reader_that_stops_ends_it();
            });
            self.bytes_and_exit_code_arrive();
            self.stdin_comes_back(through_cat);
        });
    }

    fn bytes_and_exit_code_arrive(&self) {
        let text = "head -c 50000000 /dev/zero; echo err >&2; exit 3";
        let ran = self.run().args(["--", "sh", "-c", text]).ran();
        assert_eq!((ran.code, ran.stderr.as_str()), (3, "err\n"));
        assert_eq!(ran.stdout.len(), 50_000_000);
        assert!(ran.stdout.iter().all(|&byte| byte == 0));
        let ran = self
            .run()
            .args(["-n", "--", "sh", "-c", "kill -9 $$"])
            .ran();
        assert_eq!(ran.code, 137, "{}", ran.stderr);
    }

    fn stdin_comes_back(&self, len: usize) {
        let sent = noise(7, len);
        let ran = self.run().args(["--", "cat"]).input(sent.clone()).ran();
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
        assert!(ran.stdout == sent, "other bytes, {}", ran.stdout.len());
    }

    fn a_deadline_is_kept(&self) {
        let mark = mark();
        let args = ["-n", "--deadline", "1s", "--", "sleep", &mark];
        let ran = self.run().args(args).ran();
        assert_eq!(ran.code, 124, "{}", ran.stderr);
        assert!(ran.took < Duration::from_secs(3), "{:?}", ran.took);
        assert!(none_left(&mark), "{:?}", marked(&mark));
    }

    fn a_held_pipe_is_named(&self) {
        let mark = mark();
        let text = format!("sleep {mark} & echo done");
        let ran = self.run().args(["-n", "-c", &text]).ran();
        assert_eq!(
            (ran.code, &ran.stdout[..]),
            (0, &b"done\n"[..]),
            "{}",
            ran.stderr
        );
        assert!(ran.took < Duration::from_secs(4), "{:?}", ran.took);
        let named = ran.stderr.contains(" (sleep) still holds the output open");
        assert!(named, "{}", ran.stderr);
        marked(&mark)
            .iter()
            .for_each(|process| terminate(process.pid));
    }

    fn what_cannot_be_run_is_told(&self) {
        for (args, code, needle) in [
            (&["--", "/nonexistent"][..], 127, "/nonexistent: No such"),
            (&["--", "/etc/passwd"], 126, "/etc/passwd: Permission"),
            (
                &["--cwd", "/nonexistent", "--", "true"],
                125,
                "/nonexistent: No such",
            ),
        ] {
            let ran = self.run().args(["-n"]).args(args).ran();
            assert_eq!(ran.code, code, "{args:?}: {}", ran.stderr);
            assert!(ran.stderr.starts_with("redial: "), "{}", ran.stderr);
            assert!(ran.stderr.contains(needle), "{args:?}: {}", ran.stderr);
        }
    }

    /// Every byte but NUL, and 1.5 MiB.
    fn arguments_arrive(&self) {
        let mut words: Vec<OsString> = vec![
            OsString::from_vec((1..=255).collect()),
            "".into(),
            "\n".into(),
            "-n".into(),
            "--".into(),
            "a b'c\"$d`e".into(),
        ];
        words.extend((1..=15).map(|seed| {
            let word = noise(seed, 104_857).iter().map(|byte| byte | 1).collect();
            OsString::from_vec(word)
        }));
        let show = ["-n", "--", "sh", "-c", "printf '%s\\0' \"$@\"", "show"];
        let ran = self.run().args(show).args(&words).ran();
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
        let shown: Vec<u8> = words
            .iter()
            .flat_map(|word| [word.as_encoded_bytes(), b"\0"].concat())
            .collect();
        assert!(ran.stdout == shown, "other arguments");
    }

    fn a_reader_that_stops_ends_it(&self) {
        let mut child = self.run().args(["--", "head", "-1"]).spawn();
        let mut stdin = child.stdin.take().unwrap();
        // `yes`: endless, until nobody reads any more.
        let endless = std::thread::spawn(move || while stdin.write_all(b"y\ny\ny\ny\n").is_ok() {});
        let ran = finish(child, Instant::now());
        assert_eq!(
            (ran.code, &ran.stdout[..]),
            (0, &b"y\n"[..]),
            "{}",
            ran.stderr
        );
        endless.join().unwrap();
    }
}
