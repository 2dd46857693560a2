//! A record is a line, whatever is in it.

use super::*;

/// Of a command, in bytes.
const MOST: usize = 64 * 1024;

fn program(argv: &[&[u8]]) -> Program {
    Program::Argv(argv.iter().map(|it| it.to_vec().into()).collect())
}

fn start(command: Asked, user: Text) -> String {
    let who = Who {
        user: Some(user),
        ..Who::default()
    };
    let event = Event::Start(Started {
        job: "k3f9",
        who,
        command,
        asked: None,
        cwd: None,
        terminal: false,
        detached: false,
    });
    event.to_line()
}

fn read(line: &str) -> serde_json::Value {
    assert!(
        line.ends_with('\n') && line.matches('\n').count() == 1,
        "{line:?}"
    );
    let plain = line
        .trim_end_matches('\n')
        .bytes()
        .all(|byte| (b' '..=b'~').contains(&byte));
    assert!(plain, "{line:?}");
    serde_json::from_str(line).unwrap()
}

#[test]
fn a_command_is_written_argument_by_argument_or_as_a_checksum() {
    let asked = |how| {
        Asked::new(
            &program(&[b"ls", b"-l", "é\u{2028}".as_bytes(), b"\xff\x00"]),
            how,
            MOST,
        )
    };
    let line = read(&start(asked(AuditArgv::Full), Text::of(b"ada")));
    let argv = serde_json::json!(["ls", "-l", "é\u{2028}", {"hex": "ff00"}]);
    assert_eq!(
        (&line["argv"], &line["event"], &line["user"]),
        (&argv, &"start".into(), &"ada".into())
    );
    let hidden = start(asked(AuditArgv::Hash), Text::of(b"ada"));
    let line = read(&hidden);
    assert_eq!((&line["program"], line.get("argv")), (&"ls".into(), None));
    assert_eq!(line["argv_sha256"].as_str().unwrap().len(), 64);
    assert!(!hidden.contains("-l"));
    let shell = Program::Shell(b"echo secret".to_vec().into());
    assert_eq!(
        read(&start(
            Asked::new(&shell, AuditArgv::Full, MOST),
            Text::of(b"")
        ))["shell"],
        "echo secret"
    );
    assert!(!start(Asked::new(&shell, AuditArgv::Hash, MOST), Text::of(b"")).contains("secret"));
}

#[test]
fn a_long_command_is_cut_and_its_checksum_is_that_of_all() {
    let long = vec![b'x'; 200_000];
    for command in [
        program(&[b"a", &long, b"b"]),
        Program::Shell(long.clone().into()),
    ] {
        let line = start(
            Asked::new(&command, AuditArgv::Full, MOST),
            Text::of(b"ada"),
        );
        assert!(line.len() < 2 * MOST);
        let line = read(&line);
        assert_eq!(line["truncated"], true);
        let sum = line.get("argv_sha256").or(line.get("shell_sha256"));
        assert!(sum.is_some());
    }
    let many: Vec<&[u8]> = vec![b""; 300_000];
    assert!(
        start(
            Asked::new(&program(&many), AuditArgv::Full, MOST),
            Text::of(b"")
        )
        .len()
            < 1_000_000
    );
    // Cut within a character it is still text.
    assert!(matches!(Text::cut("aé".as_bytes(), 2), Text::Utf8(text) if text == "a"));
}

#[test]
fn an_outcome_says_how_it_ended_and_by_whom() {
    let digest = Digest {
        bytes: 3,
        checksum: [0xab; 16].into(),
        complete: true,
    };
    let outcome = Outcome {
        status: Status::Ended(Exit::Signal(9, false)),
        cause: Cause::Cancelled("uid 7".to_owned()),
        stdin: digest,
        stdout: digest,
        stderr: digest,
        holders: Vec::new(),
        lingering: 0,
        exact: true,
        duration_ms: 5,
        cpu_us: 2_500,
    };
    let line = read(&Event::End(Ended::new("k3f9", Who::default(), &outcome)).to_line());
    assert_eq!(
        (&line["status"], &line["signal"]),
        (&"signaled".into(), &9.into())
    );
    assert_eq!(line["cancelled_by"], "uid 7");
    assert_eq!(line["stdout"]["checksum"], "ab".repeat(16));
    assert_eq!(line["cpu_ms"], 2);
}

/// A million of them, a hundred to a line.
#[test]
fn any_bytes_give_one_line_of_plain_ascii_that_says_them_again() {
    let seed: u64 = std::env::var("REDIAL_SEED").map_or(1, |seed| seed.parse().unwrap());
    println!("seed {seed}");
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    // xorshift64*, Vigna 2016.
    let mut next = move || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32
    };
    const ODD: [&str; 8] = [
        "\n",
        "\r",
        "\u{85}",
        "\u{2028}",
        "\u{202e}",
        "\u{1b}[2J",
        "\"}",
        "\u{1f600}",
    ];
    for _ in 0..10_000 {
        let name = |_| -> Vec<u8> {
            let bytes: Vec<u8> = (0..next() % 8).map(|_| next() as u8).collect();
            match next() % 4 {
                0 => [bytes, ODD[next() as usize % ODD.len()].into()].concat(),
                1 => bytes.iter().map(|byte| byte & 0x7F).collect(),
                _ => bytes,
            }
        };
        let argv: Vec<Vec<u8>> = (0..100).map(name).collect();
        let borrowed: Vec<&[u8]> = argv.iter().map(Vec::as_slice).collect();
        let asked = Asked::new(&program(&borrowed), AuditArgv::Full, MOST);
        let line = read(&start(asked, Text::of(&argv[0])));
        let said = line["argv"].as_array().unwrap();
        assert_eq!(said.len(), argv.len());
        for (said, argument) in said.iter().zip(&argv) {
            match said.as_str() {
                Some(text) => assert_eq!(text.as_bytes(), &argument[..]),
                None => assert_eq!(said["hex"].as_str().unwrap(), hex(argument)),
            }
        }
    }
}
