//! `--charset`: what hosts write that do not speak UTF-8, and what they read.

mod support;

use std::io::Read;

use support::{Redial, noise, wait};

fn charset(label: &str, args: &[&str]) -> Redial {
    Redial::run("local:").args(["--charset", label]).args(args)
}

#[test]
fn output_is_decoded_as_a_stream_wherever_it_is_cut() {
    // 电话 in GBK, a byte at a time.
    let text = "for b in 265 347 273 260; do printf \"\\\\$b\"; sleep 0.05; done; echo";
    let ran = charset("gbk", &["-n", "--", "sh", "-c", text]).ran();
    assert_eq!(
        (ran.code, ran.stdout),
        (0, "电话\n".into()),
        "{}",
        ran.stderr
    );
    assert_eq!(ran.stderr, "");
}

#[test]
fn a_long_text_survives_the_way_there_and_back() {
    let text = "目录 文件 电话 socket\n".repeat(50_000);
    let ran = charset("gb18030", &["--", "cat"]).input(text.clone()).ran();
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert!(ran.stdout == text.as_bytes(), "{} bytes", ran.stdout.len());
}

#[test]
fn stdin_is_encoded() {
    let ran = charset("gbk", &["-n", "--", "sh", "-c", "exit 0"]).ran();
    assert_eq!(ran.code, 0);
    let read = Redial::run("local:")
        .args(["--charset", "gbk", "--", "od", "-An", "-tx1"])
        .input("电话");
    assert_eq!(read.ran().stdout, b" b5 e7 bb b0\n");
}

#[test]
fn stdout_and_stderr_are_decoded_apart() {
    let text = "printf '\\265'; printf '\\273' >&2; printf '\\347'; printf '\\260' >&2";
    let ran = charset("gbk", &["-n", "--", "sh", "-c", text]).ran();
    assert_eq!((ran.stdout, ran.stderr.as_str()), ("电".into(), "话"));
}

#[test]
fn what_cannot_be_decoded_or_encoded_is_replaced_counted_and_said() {
    let ran = charset("gbk", &["-n", "--", "printf", "a\\377\\377b\\265"]).ran();
    assert_eq!(
        (ran.code, ran.stdout),
        (0, "a\u{fffd}\u{fffd}b\u{fffd}".into())
    );
    let said = "redial: note: characters replaced: 3 of stdout cannot be read as GBK\n";
    assert_eq!(ran.stderr, said);
    let ran = charset("latin1", &["--", "cat"]).input("é电").ran();
    assert_eq!(ran.stdout, "é?".as_bytes());
    assert!(
        ran.stderr
            .contains("1 of stdin cannot be written in windows-1252"),
        "{}",
        ran.stderr
    );
    let quiet = charset("gbk", &["-q", "-n", "--", "printf", "\\377"]).ran();
    assert_eq!(quiet.stderr, "");
}

#[test]
fn noise_in_any_charset_is_text_and_ends_with_the_commands_code() {
    let seed = 11_u64;
    println!("seed {seed}");
    for label in ["gbk", "shift_jis", "iso-2022-jp", "utf-16le", "utf-8"] {
        let text = "cat; exit 3";
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), noise(seed, 300_000)).expect("written");
        let text = format!("cat <{}; {text}", file.path().display());
        let ran = charset(label, &["-n", "-c", &text]).ran();
        assert_eq!(ran.code, 3, "{label}: {}", ran.stderr);
        assert!(std::str::from_utf8(&ran.stdout).is_ok(), "{label}");
        assert!(ran.stderr.contains("characters replaced: "), "{label}");
    }
}

#[test]
fn a_closed_stdout_still_ends_the_command() {
    let mut child = charset("gbk", &["-n", "--", "yes"]).spawn();
    let mut line = [0; 2];
    let mut stdout = child.stdout.take().expect("a pipe");
    stdout.read_exact(&mut line).expect("a line");
    drop(stdout);
    assert_eq!(wait(&mut child), 141);
}

#[test]
fn an_unknown_label_is_wrong_use_and_suggests_one() {
    for (label, suggestion) in [("gkb", "did you mean gbk?"), ("klingon", "for example gbk")] {
        let ran = charset(label, &["-n", "--", "true"]).ran();
        assert_eq!(ran.code, 125);
        assert!(ran.stderr.starts_with("redial: "), "{}", ran.stderr);
        assert!(ran.stderr.contains(suggestion), "{}", ran.stderr);
    }
}
