//! Bytes and arguments arrive exactly, over every kind of target.

mod support;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use redial_client::{Command, ConnectOptions, Status, Target, blocking};
use support::server::TestServer;
use support::{Redial, binary, noise, private};

/// Every way to reach a server.
fn targets(server: &TestServer) -> [String; 4] {
    [
        "local:".to_owned(),
        server.target(),
        server.bridged(),
        private(),
    ]
}

#[test]
fn fifty_million_bytes_one_complaint_and_the_exit_code_arrive_over_every_target() {
    let server = TestServer::start();
    for target in targets(&server) {
        let text = "head -c 50000000 /dev/zero; echo err >&2; exit 3";
        let ran = Redial::run(&target).args(["--", "sh", "-c", text]).ran();
        assert_eq!((ran.code, ran.stderr.as_str()), (3, "err\n"), "{target}");
        assert_eq!(ran.stdout.len(), 50_000_000, "{target}");
        assert!(ran.stdout.iter().all(|&byte| byte == 0), "{target}");
    }
}

#[test]
fn two_hundred_million_random_bytes_come_back_through_cat() {
    let server = TestServer::start();
    let sent = noise(1, 200_000_000);
    for target in ["local:".to_owned(), server.target()] {
        let ran = Redial::run(&target)
            .args(["--", "cat"])
            .input(sent.clone())
            .ran();
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{target}");
        assert_eq!(ran.stdout.len(), sent.len(), "{target}");
        assert!(ran.stdout == sent, "{target}: other bytes");
    }
}

#[test]
fn input_that_is_given_with_the_command_arrives_whole_or_empty() {
    let server = TestServer::start();
    let target: Target = server.target().parse().unwrap();
    let client = blocking::Client::connect(&target, ConnectOptions::default()).unwrap();
    for len in [0, 1, 65_536, 65_537, 3_000_000] {
        let sent = noise(2, len);
        let finished = client
            .run(Command::new(["cat"]).input(sent.clone()))
            .unwrap();
        assert!(
            finished.outcome.is_success(),
            "{len}: {:?}",
            finished.outcome
        );
        assert!(finished.stdout == sent, "{len}: {}", finished.stdout.len());
        let stdin = finished.outcome.stdin;
        assert_eq!((stdin.bytes, stdin.complete), (len as u64, true));
    }
}

#[test]
fn a_command_that_reads_nothing_is_a_success_all_the_same() {
    let server = TestServer::start();
    let target: Target = server.target().parse().unwrap();
    let client = blocking::Client::connect(&target, ConnectOptions::default()).unwrap();
    for len in [1, 1000, 3_000_000] {
        let ran = client.run(Command::new(["true"]).input(noise(3, len)));
        let outcome = ran.unwrap().outcome;
        assert!(outcome.is_success(), "{len}: {outcome:?}");
    }
}

#[test]
fn output_keeps_its_order_when_both_go_to_one_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut command = std::process::Command::new(binary());
    let text = "for i in 1 2 3 4 5 6 7 8 9; do echo o$i; echo e$i >&2; done";
    command.args(["run", "local:", "-n", "--", "sh", "-c", text]);
    command
        .stdout(file.reopen().unwrap())
        .stderr(file.reopen().unwrap());
    // Two descriptors with their own offsets would overwrite each other.
    let both = std::fs::File::options()
        .append(true)
        .open(file.path())
        .unwrap();
    command.stdout(both.try_clone().unwrap()).stderr(both);
    assert!(command.status().unwrap().success());
    let written = std::fs::read_to_string(file.path()).unwrap();
    let mut lines: Vec<&str> = written.lines().collect();
    assert_eq!(lines.len(), 18, "{written}");
    // Two pipes cannot tell the order of what was written within a moment; none is lost.
    lines.sort_by_key(|line| (line.as_bytes()[0], line.as_bytes()[1]));
    assert_eq!(lines[0], "e1");
    assert_eq!(lines[17], "o9");
}

/// `$@`, each argument followed by NUL.
const SHOW: [&str; 4] = ["sh", "-c", "printf '%s\\0' \"$@\"", "show"];

fn shown(arguments: &[OsString]) -> Vec<u8> {
    arguments
        .iter()
        .flat_map(|word| [word.as_encoded_bytes(), b"\0"].concat())
        .collect()
}

#[test]
fn arguments_of_every_byte_empty_ones_and_newlines_arrive_as_they_are() {
    let every = OsString::from_vec((1..=255).collect());
    let words: Vec<OsString> = vec![
        every,
        "".into(),
        "\n".into(),
        "-n".into(),
        "--".into(),
        "a b'c\"$d`e".into(),
    ];
    let server = TestServer::start();
    for target in targets(&server) {
        let ran = Redial::run(&target)
            .args(["-n", "--"])
            .args(SHOW)
            .args(&words)
            .ran();
        assert_eq!(ran.code, 0, "{target}: {}", ran.stderr);
        assert_eq!(ran.stdout, shown(&words), "{target}");
    }
}

#[test]
fn one_and_a_half_mib_of_arguments_arrive() {
    let words: Vec<OsString> = (0..15)
        .map(|seed| {
            noise(seed + 1, 104_857)
                .iter()
                .map(|byte| byte | 1)
                .collect()
        })
        .map(OsString::from_vec)
        .collect();
    let server = TestServer::start();
    let ran = server
        .run()
        .args(["-n", "--"])
        .args(SHOW)
        .args(&words)
        .ran();
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert!(ran.stdout == shown(&words), "other arguments");
}

/// No command line can hold such an argument, so this one goes through the library.
#[test]
fn an_argument_longer_than_the_kernel_takes_is_e2big() {
    const E2BIG: i32 = 7;
    let server = TestServer::start();
    let target: Target = server.target().parse().unwrap();
    let client = blocking::Client::connect(&target, ConnectOptions::default()).unwrap();
    let long = "x".repeat(128 * 1024);
    let finished = client.run(Command::new(["true", &long])).unwrap();
    let Status::NotStarted { errno, .. } = finished.outcome.status else {
        panic!("{:?}", finished.outcome)
    };
    assert_eq!(errno, E2BIG);
    let fits = client.run(Command::new(["true", &long[1..]])).unwrap();
    assert!(fits.outcome.is_success());
    // More than a start can carry is refused before anything is sent.
    let huge = client.run(Command::new(["true"].into_iter().chain([&*long; 17])));
    assert!(huge.unwrap_err().to_string().contains("2097152"));
}

#[test]
fn the_environment_is_what_was_asked_for_and_nothing_of_ours() {
    let ran = Redial::run("local:")
        .env("REDIAL_TEST_COPIED", "ours")
        .env("REDIAL_TEST_LEAKED", "ours")
        .args([
            "-n",
            "--env",
            "A=b=c",
            "--env",
            "REDIAL_TEST_COPIED",
            "--",
            "env",
        ])
        .ran();
    let text = String::from_utf8(ran.stdout).unwrap();
    assert!(
        text.contains("A=b=c\n") && text.contains("REDIAL_TEST_COPIED=ours\n"),
        "{text}"
    );
    assert!(
        !text.contains("LEAKED") && text.contains("REDIAL_JOB="),
        "{text}"
    );
}

#[test]
fn a_command_runs_where_it_was_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap();
    let ran = Redial::run("local:")
        .args(["-n", "--cwd"])
        .args([&path])
        .args(["pwd", "-P"])
        .ran();
    assert_eq!(
        String::from_utf8(ran.stdout).unwrap().trim_end(),
        path.to_str().unwrap()
    );
}
