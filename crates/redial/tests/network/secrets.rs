//! Secrets stay out of logs and process lists, and nobody writes lines of our log.

use redial_net::proto::Kind;

use crate::lab::{Lab, Setup};
use crate::sshd::user;
use crate::stranger::{Stranger, authenticate, frame, hello, source};
use crate::support::network::write_private;
use crate::support::processes::{mark, marked};
use crate::support::{eventually, finish};

const IN_VARIABLE: &str = "canary-of-a-variable-41";
const IN_STDIN: &str = "canary-of-stdin-42";

/// Also as hex, decimal bytes, and base64 would hide it.
fn shows(text: &str, canary: &str) -> bool {
    use base64::Engine;
    let hex: String = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
    let list: Vec<String> = canary.bytes().map(|byte| byte.to_string()).collect();
    let base64 = base64::engine::general_purpose::STANDARD_NO_PAD.encode(canary);
    let texts = [canary, &hex, &list.join(", "), &base64[..base64.len() - 2]];
    texts.into_iter().any(|hidden| text.contains(hidden))
}

#[test]
fn variables_and_streams_are_in_no_log_and_in_no_process_list() {
    let trace = [("REDIAL_LOG", "trace")];
    let server = Lab::start(&Setup {
        env: &trace,
        ..Setup::default()
    });
    let mark = mark();
    let text = format!("read line; echo \"$line $SECRET\"; sleep {mark}");
    let mut child = server
        .run()
        .env("REDIAL_LOG", "trace")
        // It logs that there is none.
        .env("SSH_AUTH_SOCK", server.dir().join("no-agent"))
        .env("SECRET", IN_VARIABLE)
        .args(["--env", "SECRET", "-c", &text])
        .spawn();
    let line = format!("{IN_STDIN}\n");
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), line.as_bytes()).unwrap();
    // The shell has the mark in its arguments too, from the beginning.
    let sleeps = || {
        let mut marked = marked(&mark).into_iter();
        marked.find(|process| process.arguments.starts_with("sleep"))
    };
    assert!(eventually(sleeps).is_some());
    let own: Vec<String> = server
        .processes()
        .into_iter()
        .map(|process| process.arguments)
        .filter(|arguments| arguments.contains("redial") && arguments.contains("serve"))
        .collect();
    marked(&mark)
        .iter()
        .for_each(|process| crate::support::server::terminate(process.pid));
    let ran = finish(child, std::time::Instant::now());
    let expected = format!("{IN_STDIN} {IN_VARIABLE}\n");
    assert_eq!(
        String::from_utf8_lossy(&ran.stdout),
        expected,
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("DEBUG"), "{}", ran.stderr);
    let log = server.log();
    assert!(log.contains("DEBUG") && own.len() >= 2, "{log}\n{own:?}");
    for canary in [IN_VARIABLE, IN_STDIN] {
        assert!(!shows(&log, canary), "the server's log: {log}");
        assert!(
            !shows(&ran.stderr, canary),
            "the client's log: {}",
            ran.stderr
        );
        assert!(!own.iter().any(|it| shows(it, canary)), "{own:?}");
    }
}

#[test]
fn whatever_strangers_call_themselves_the_log_has_one_record_a_line() {
    let server = Lab::start(&Setup {
        args: &["--log-format", "json"],
        env: &[("REDIAL_LOG", "trace")],
        ..Setup::default()
    });
    let forged = "x\n{\"level\":\"INFO\",\"fields\":{\"message\":\"forged\"}}";
    let long = "n".repeat(10_000);
    let names = [
        forged,
        "\r\n\r\nforged",
        "\x1b[2J\x1b]52;c;Zm9yZ2Vk\x07",
        "\u{2028}\u{2029}\u{85}\u{202e}",
        "\u{9b}31m\u{0}",
        &long,
    ];
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        for (number, name) in (1..).zip(names) {
            let agent: String = name.chars().take(100).collect();
            let mut stranger = Stranger::new(server.port, source(number)).await;
            let login = authenticate(name, b"no key", None);
            let frames = [
                frame(Kind::Hello, &hello(&agent)),
                frame(Kind::Authenticate, &login),
            ];
            stranger.send(&frames).await;
            while let Some(answer) = stranger.next().await {
                assert_ne!(answer.payload, [0xa1, 0, 0], "let in");
                if answer.kind == Kind::Authenticated as u8 {
                    break;
                }
            }
        }
    });
    // Comments of keys are their owners' words.
    for comment in ["\x1b[31mred\r{}", "\u{2028}\u{202e}", &long] {
        let line = server.home.public_key();
        let key: Vec<&str> = line.split(' ').take(2).collect();
        write_private(
            &server.authorized_keys(),
            &format!("{} {comment}\n", key.join(" ")),
        );
        let ran = server.run().args(["-n", "--", "true"]).ran();
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    }
    let log = server.log();
    let mut logins = 0;
    for line in log.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| {
            panic!("{error}: {line}");
        });
        assert!(
            record.is_object() && record["fields"]["message"] != "forged",
            "{line}"
        );
        assert!(line.len() < 4_000, "{} bytes: {}", line.len(), &line[..200]);
        let steers = |it: char| it.is_control() || matches!(it, '\u{2028}'..='\u{202e}');
        assert!(!line.contains(steers), "{line:?}");
        logins += usize::from(line.contains("\"login\""));
    }
    assert_eq!(logins, 3, "{log}");
    assert!(log.contains("login refused"), "{log}");
    assert!(!user().is_empty());
}
