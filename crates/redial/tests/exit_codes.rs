//! The exit code tells the command's failures from redial's, and stderr says why.

mod support;

use std::time::Duration;

use support::processes::{mark, marked};
use support::server::TestServer;
use support::{Ran, Redial, eventually};

fn local(args: &[&str]) -> Ran {
    Redial::run("local:").args(args).ran()
}

#[test]
fn the_commands_own_code_is_ours() {
    for code in [0, 1, 3, 125, 255] {
        let ran = local(&["-n", "--", "sh", "-c", &format!("exit {code}")]);
        assert_eq!((ran.code, ran.stderr.as_str()), (code, ""));
    }
}

#[test]
fn a_signal_is_128_and_its_number() {
    assert_eq!(local(&["-n", "--", "sh", "-c", "kill -9 $$"]).code, 137);
    assert_eq!(local(&["-n", "--", "sh", "-c", "kill -TERM $$"]).code, 143);
}

#[test]
fn a_deadline_is_124_soon_and_leaves_no_process() {
    let server = TestServer::start();
    for target in ["local:".to_owned(), server.target()] {
        let mark = mark();
        let args = ["-n", "--deadline", "1s", "--", "sh", "-c"];
        let ran = Redial::run(&target)
            .args(args)
            .args([format!("sleep {mark} & sleep {mark}")])
            .ran();
        assert_eq!(ran.code, 124, "{}", ran.stderr);
        assert!(ran.stderr.starts_with("redial: deadline"), "{}", ran.stderr);
        assert!(ran.took < Duration::from_secs(3), "{:?}", ran.took);
        let gone = eventually(|| marked(&mark).is_empty().then_some(()));
        assert!(gone.is_some(), "{:?}", marked(&mark));
    }
}

#[test]
fn what_cannot_be_run_is_127_126_or_125_and_named() {
    let script = tempfile::NamedTempFile::new().unwrap();
    let script = script.path().to_str().unwrap();
    for (args, code, needle) in [
        (
            &["--", "/nonexistent"][..],
            127,
            "/nonexistent: No such file",
        ),
        (
            &["--", "no-such-program-here"],
            127,
            "no-such-program-here: No such file",
        ),
        (&["ls -l"], 127, "text for the shell goes behind -c"),
        (
            &["--", "/etc/passwd"],
            126,
            "/etc/passwd: Permission denied",
        ),
        (&["--", "/etc"], 126, "/etc: Permission denied"),
        (&["--", script], 126, "Permission denied"),
        (
            &["--cwd", "/nonexistent", "--", "true"],
            125,
            "/nonexistent: No such file",
        ),
        (&["--", "a\nb\x1b[31m/"], 127, "a\\nb\\u{1b}[31m/"),
    ] {
        let ran = local(&[&["-n"], args].concat());
        assert_eq!(ran.code, code, "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.starts_with("redial: "), "{}", ran.stderr);
        assert!(ran.stderr.contains(needle), "{args:?}: {}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    }
}

#[test]
fn a_missing_interpreter_is_127_and_told_from_a_missing_program() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("script");
    for (text, needle) in [
        ("#!/no/such -x\n", "its interpreter /no/such is not"),
        (
            "#!/bin/sh\r\n",
            "its interpreter /bin/sh\\r is not: the first line ends as on DOS",
        ),
    ] {
        support::write_program(&script, text);
        let ran = local(&["-n", "--", script.to_str().unwrap()]);
        assert_eq!(ran.code, 127, "{}", ran.stderr);
        assert!(ran.stderr.contains(needle), "{}", ran.stderr);
    }
}

#[test]
fn redials_own_failures_are_125_with_one_clear_line() {
    for (host, args, needle) in [
        (
            "unix:/nonexistent/r.sock",
            &["--", "true"][..],
            "is 'redial serve' running there?",
        ),
        ("exec:exit 7", &["--", "true"], "exit status: 7"),
        (
            "exec:echo 'Last login: \x1b[31mtoday'; exec sleep 1",
            &["--", "true"],
            "text before the protocol, beginning with \"Last login: \\u{1b}[31mtoday\"",
        ),
        (
            "web[01-20",
            &["--", "true"],
            "a bracket that is not closed at character 4",
        ),
        (
            "nats:a/b",
            &["--", "true"],
            "may not stand in a host's name",
        ),
        (
            "local:",
            &["--on-drop", "keep", "--", "true"],
            "only --on-drop kill",
        ),
        (
            "local:",
            &["--on-drop", "never", "--", "true"],
            "kill, keep or keep:TIME",
        ),
        (
            "local:",
            &["--env", "=x", "--", "true"],
            "the name is empty",
        ),
    ] {
        let ran = Redial::run(host).args(["-n"]).args(args).ran();
        assert_eq!(ran.code, 125, "{host}: {}", ran.stderr);
        assert!(ran.stderr.starts_with("redial: "), "{}", ran.stderr);
        assert!(
            ran.stderr.contains(needle),
            "{host} {args:?}: {}",
            ran.stderr
        );
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    }
}

#[test]
fn wrong_use_is_125_and_help_is_0() {
    for args in [
        &["run"][..],
        &["run", "local:"],
        &["frob"],
        &["run", "local:", "--frob"],
        &[],
    ] {
        assert_eq!(Redial::bare(args).ran().code, 125, "{args:?}");
    }
    for args in [
        &["--version"][..],
        &["--help"],
        &["run", "--help"],
        &["serve", "--help"],
    ] {
        let ran = Redial::bare(args).ran();
        assert_eq!(ran.code, 0, "{args:?}");
        assert!(!ran.stdout.is_empty() && ran.stderr.is_empty());
    }
}

#[test]
fn flags_beat_the_environment_which_beats_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("c.toml");
    std::fs::write(&file, "[run]\ndeadline = \"200ms\"\n").unwrap();
    let slow = |before: &[&str], redial: Redial| {
        redial
            .args(["--config"])
            .args([&file])
            .args(["-n"])
            .args(before)
            .args(["--", "sleep", "1"])
    };
    assert_eq!(slow(&[], Redial::run("local:")).ran().code, 124);
    let env = Redial::run("local:").env("REDIAL_DEADLINE", "50s");
    assert_eq!(slow(&[], env).ran().code, 0);
    let env = Redial::run("local:").env("REDIAL_DEADLINE", "50s");
    assert_eq!(slow(&["--deadline", "200ms"], env).ran().code, 124);
    for none in ["0", "none"] {
        let flag = slow(&["--deadline", none], Redial::run("local:"));
        assert_eq!(flag.ran().code, 0, "{none}");
        let env = Redial::run("local:").env("REDIAL_DEADLINE", none);
        assert_eq!(slow(&[], env).ran().code, 0, "{none}");
    }
    std::fs::write(&file, "[run]\ndeadline = \"none\"\n").unwrap();
    assert_eq!(slow(&[], Redial::run("local:")).ran().code, 0);
    std::fs::write(&file, "[run]\n\ndealine = 3\n").unwrap();
    let ran = slow(&[], Redial::run("local:")).ran();
    assert_eq!(ran.code, 125);
    assert!(ran.stderr.contains("c.toml, line 3: ") && ran.stderr.contains("dealine"));
}
