//! What lines say; how sshd decides them is compared in tests/sshd.rs.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::*;
use crate::{Decision, PrivateKey, Refusal, decide};

const NOW: Now = Now {
    unix_seconds: 1_795_000_000,
    utc_offset_seconds: 0,
};

fn key(seed: u8) -> PublicKey {
    PrivateKey::ed25519(&[seed; 32], "").public_key().clone()
}

fn decided(text: &str) -> Decision {
    decide(text.as_bytes(), &key(1), Some([127, 0, 0, 1].into()), NOW)
}

fn options(options: &str) -> Result<Options, Problem> {
    let line = format!("{options} {} comment", key(1).to_text());
    let mut lines: Vec<_> = lines(line.as_bytes()).collect();
    assert_eq!(lines.len(), 1);
    lines
        .remove(0)
        .map(|line| line.options)
        .map_err(|error| error.problem)
}

fn refused(text: &str) -> alloc::string::String {
    match decided(text) {
        Decision::Refused(refusal) => refusal.to_string(),
        Decision::Allowed(line) => panic!("allowed by line {}", line.number),
    }
}

#[test]
fn a_line_gives_its_key_its_number_and_its_comment() {
    let text = format!("# mine\n\n\t {}\t ada@laptop x\r\n", key(1).to_text());
    let Decision::Allowed(line) = decided(&text) else {
        panic!("refused");
    };
    assert_eq!((line.number, line.comment.as_str()), (3, "ada@laptop x"));
    assert_eq!(line.options, Options::default());
    assert!(!line.is_restricted());
}

#[test]
fn options_say_what_their_manual_page_says() {
    let got = options(
        r#"restrict,PTY,command="say \"a\\b\" #1",environment="A=1",environment="A=2",environment="B_2==""#,
    )
    .unwrap();
    assert_eq!(got.command.as_deref(), Some(&br#"say "a\\b" #1"#[..]));
    assert_eq!((got.pty, got.user_rc), (Grant::Allowed, Grant::Refused));
    assert!(got.restrict);
    let variable = |name: &str, value: &str| Variable {
        name: name.into(),
        value: value.into(),
    };
    assert_eq!(got.environment, [variable("A", "1"), variable("B_2", "=")]);

    let got = options(r#"permitopen="[::1]:80",permitopen="web:*",permitlisten="8080""#).unwrap();
    assert_eq!(got.permit_open, ["[::1]:80", "web:*"]);
    assert_eq!(got.permit_listen, ["*:8080"]);

    let got = options("no-touch-required,verify-required").unwrap();
    assert_eq!(got.presence.touch, Demand::NotRequired);
    assert_eq!(got.presence.verification, Demand::Required);
}

#[test]
fn redials_own_options_stand_beside_sshs() {
    let got = options(
        r#"restrict,allow-argv="git-* ?*,uptime",env="CI_*",MAX-JOBS="4",max-time="90m",pty"#,
    )
    .unwrap();
    let policy = &got.policy;
    assert_eq!(policy.argv.as_ref().map(Vec::len), Some(2));
    assert!(policy.variables.as_ref().unwrap().has(b"CI_JOB"));
    assert_eq!(
        (policy.max_jobs, policy.max_time_ms),
        (Some(4), Some(5_400_000))
    );
    assert!(!policy.read_only && options("read-only").unwrap().policy.read_only);
    assert_eq!(options("pty").unwrap().policy, Policy::default());
}

#[test]
fn an_odd_option_refuses_the_line_and_says_which() {
    for (text, error) in [
        (
            "no-such-thing",
            OptionError::Unknown("no-such-thing".into()),
        ),
        (
            "pty,command2=\"x\"",
            OptionError::Unknown("command2".into()),
        ),
        ("no-restrict", OptionError::Unknown("no-restrict".into())),
        (
            "command=\"a\"b",
            OptionError::Unknown("command=\"a\"b".into()),
        ),
        ("tunnel=\"0\"", OptionError::Unknown("tunnel".into())),
        (
            "cert-authority",
            OptionError::Certificates("cert-authority"),
        ),
        ("principals=\"a\"", OptionError::Certificates("principals")),
        ("command=\"a\",command=\"a\"", OptionError::Twice("command")),
        ("from=\"*\",from=\"*\"", OptionError::Twice("from")),
        ("command=a", OptionError::Quotes("command")),
        ("expiry-time=\"tomorrow\"", OptionError::Expiry),
        ("from=\"\"", OptionError::From(SourceError::Empty)),
        ("environment=\"A\"", OptionError::Environment),
        ("environment=\"A-B=1\"", OptionError::Environment),
        ("permitopen=\"a\"", OptionError::Permit("permitopen")),
        ("permitopen=\"a:0\"", OptionError::Permit("permitopen")),
        ("max-jobs=\"0\"", OptionError::Value("max-jobs")),
        ("max-jobs=4", OptionError::Quotes("max-jobs")),
        ("max-time=\"1\"", OptionError::Value("max-time")),
        ("env=\"A,,B\"", OptionError::Value("env")),
        ("env=\"A=1\"", OptionError::Value("env")),
        ("allow-argv=\"\"", OptionError::Value("allow-argv")),
        ("allow-argv=\"./a *\"", OptionError::Value("allow-argv")),
        ("allow-argv=\"id,bin/a\"", OptionError::Value("allow-argv")),
        ("allow-argv=\"a, \"", OptionError::Value("allow-argv")),
        (
            "allow-argv=\"a\",allow-argv=\"b\"",
            OptionError::Twice("allow-argv"),
        ),
        ("allow-argv=\"a\",command=\"b\"", OptionError::Both),
        ("no-read-only", OptionError::Unknown("no-read-only".into())),
        ("read-only=\"1\"", OptionError::Value("read-only")),
        ("files=\"/srv\"", OptionError::Reserved("files")),
        ("forward=\"*\"", OptionError::Reserved("forward")),
        (
            "permitlisten=\"a:http\"",
            OptionError::Permit("permitlisten"),
        ),
    ] {
        assert_eq!(options(text), Err(Problem::Option(error)), "{text}");
    }
}

#[test]
fn the_first_line_that_lets_the_key_in_counts() {
    let key = key(1).to_text();
    let text = format!(
        "expiry-time=\"20200101\" {key}\nnever {key}\nrestrict {key} third\n{key} fourth\n"
    );
    let Decision::Allowed(line) = decided(&text) else {
        panic!("refused");
    };
    assert_eq!(line.number, 3);
    assert!(line.is_restricted());
}

#[test]
fn a_refusal_gives_a_reason_for_each_line_with_the_key() {
    let (mine, other) = (key(1).to_text(), key(2).to_text());
    let text = format!(
        "expiry-time=\"20200101\" {mine}\nbad {other}\nfrom=\"10.0.0.1\" {mine}\nnever {mine}\n"
    );
    assert_eq!(
        refused(&text),
        "line 1: the key has expired (expiry-time); line 3: the key may not be used from this \
         address (from); line 4: unknown option `never`"
    );
    assert_eq!(refused(&other), "no line has this key");
    let many = format!("never {mine}\n").repeat(limits::REASONS + 1);
    let Decision::Refused(Refusal::Lines(reasons)) = decided(&many) else {
        panic!("allowed");
    };
    assert_eq!(reasons.len(), limits::REASONS);
}

#[test]
fn an_options_name_is_shown_without_what_terminals_obey() {
    let shown = refused(&format!("\u{1b}]52;x\u{9b} {}", key(1).to_text()));
    assert!(!shown.contains(|c: char| c.is_control()), "{shown:?}");
}

#[test]
fn files_and_lines_are_bounded() {
    let key = key(1).to_text();
    let long = |bytes: usize| {
        let rest = bytes - key.len() - 1;
        format!("{key} {}", "c".repeat(rest))
    };
    assert!(matches!(
        decided(&long(limits::LINE_BYTES)),
        Decision::Allowed(_)
    ));
    assert!(matches!(
        decided(&long(limits::LINE_BYTES + 1)),
        Decision::Refused(_)
    ));
    let file = format!("{key}\n{}", "#".repeat(limits::FILE_BYTES - key.len() - 1));
    assert!(matches!(decided(&file), Decision::Allowed(_)));
    assert!(refused(&(file + "#")).contains("at most 1048576 are read"));
}

#[test]
fn a_line_may_be_asked_again_later() {
    let line = format!("expiry-time=\"20270101Z\" {}", key(1).to_text());
    let Decision::Allowed(line) = decided(&line) else {
        panic!("refused");
    };
    assert_eq!(line.check(None, NOW), Ok(()));
    let later = Now {
        unix_seconds: 1_800_000_000,
        ..NOW
    };
    assert_eq!(line.check(None, later), Err(Problem::Expired));
}
