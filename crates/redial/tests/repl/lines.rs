//! Plain lines: what stays from one to the next, and what each says.

use std::io::{Read, Write};
use std::time::Instant;

use crate::support::processes::{mark, marked, none_left};
use crate::support::server::{TestServer, terminate};
use crate::support::{Redial, finish, private};
use crate::{repl, stdout};

#[test]
fn directory_and_exported_variables_stay_from_line_to_line_on_every_kind_of_host() {
    let server = TestServer::start();
    for target in [
        "local:".to_owned(),
        server.target(),
        server.bridged(),
        private(),
    ] {
        let lines = "cd /usr\npwd\nexport A='1  2' B=$(printf 'x\\ny')\n\
                     printf '%s|%s|' \"$A\" \"$B\"\nunset A\necho \"[$A]\"\ncd bin\npwd\n";
        let ran = repl(&target, &[], lines);
        let expected = "/usr\n1  2|x\ny|[]\n/usr/bin\n";
        assert_eq!(
            (ran.code, stdout(&ran)),
            (0, expected),
            "{target}: {}",
            ran.stderr
        );
        assert_eq!(ran.stderr, "");
    }
}

#[test]
fn what_the_server_sets_can_be_unset_and_changed() {
    let lines = "unset HOME; PATH=/nowhere\necho \"[$HOME] $PATH\"\nexport HOME=/x\necho $HOME\n";
    let ran = repl("local:", &[], lines);
    assert_eq!(stdout(&ran), "[] /nowhere\n/x\n", "{}", ran.stderr);
}

#[test]
fn empty_lines_are_not_sent() {
    let ran = repl("local:", &[], "(exit 3)\n\n   \n\t\n");
    assert_eq!((ran.code, stdout(&ran)), (3, ""));
    assert_eq!(ran.stderr, "redial: exit code 3\n");
}

#[test]
fn an_exit_code_that_is_not_0_is_shown_and_the_last_is_ours() {
    let ran = repl("local:", &[], "exit 7\ntrue\nfalse\n");
    assert_eq!(ran.stderr, "redial: exit code 7\nredial: exit code 1\n");
    assert_eq!(ran.code, 1);
    let ran = repl("local:", &[], "exit 7\ntrue");
    assert_eq!(ran.code, 0);
}

#[test]
fn a_line_may_end_its_shell_in_any_way() {
    for (line, directory) in [
        ("cd /usr; exit 3", "/usr"),
        ("cd /usr; set -e; false; cd /", "/usr"),
        ("cd /usr; set -u; echo $nope", "/usr"),
        ("cd /usr; trap 'echo bye >&2' EXIT", "/usr"),
        ("cd /usr; kill -9 $$", "/"),
        ("cd /usr; exec true", "/"),
        ("cd /usr; exec >/dev/null", "/"),
        ("if", "/"),
        ("echo 'open", "/"),
        ("(cd /usr)", "/"),
        ("cd /usr # a comment", "/usr"),
        ("cd /usr; sleep 0 &", "/usr"),
    ] {
        let ran = repl("local:", &["--cwd", "/"], &format!("{line}\npwd\n"));
        let expected = format!("{directory}\n");
        assert_eq!(
            (ran.code, stdout(&ran)),
            (0, &*expected),
            "{line}: {}",
            ran.stderr
        );
    }
}

#[test]
fn output_is_exact_and_the_state_is_no_part_of_it() {
    let lines = "head -c 300000 /dev/zero; echo err >&2\nprintf '\\036\\036\\377'\nset -x\n";
    let ran = repl("local:", &[], lines);
    let expected = [&[0; 300_000][..], b"\x1e\x1e\xff"].concat();
    assert!(ran.stdout == expected, "{} bytes", ran.stdout.len());
    assert_eq!(ran.stderr, "err\n");
}

#[test]
fn even_ps_in_a_line_does_not_show_the_marker() {
    let text = "tr '\\0' ' ' </proc/$$/cmdline >/dev/null; cat /proc/$$/cmdline; set\npwd\n";
    let ran = repl("local:", &["--cwd", "/usr"], text);
    assert!(stdout(&ran).ends_with("/usr\n"), "{}", ran.stderr);
    assert!(stdout(&ran).contains("_redial_a="), "it was all passed on");
    assert_eq!(ran.stderr, "");
}

#[test]
fn commands_have_no_stdin_so_lines_are_lost_to_none_of_them() {
    let ran = repl("local:", &[], "cat\necho next\n");
    assert_eq!((ran.code, stdout(&ran)), (0, "next\n"));
}

#[test]
fn a_directory_that_is_gone_runs_nothing_and_says_where_the_next_line_begins() {
    let dir = tempfile::tempdir().unwrap();
    let gone = dir.path().join("gone");
    std::fs::create_dir(&gone).unwrap();
    let lines = format!("cd {0}; rmdir {0}\necho ran\npwd\n", gone.display());
    let ran = repl("local:", &[], &lines);
    assert!(!stdout(&ran).contains("ran") && !stdout(&ran).contains("gone"));
    assert!(ran.stderr.contains("nothing ran"), "{}", ran.stderr);
    assert_eq!(ran.code, 0);
}

#[test]
fn a_state_that_a_background_process_wrote_into_is_refused_not_believed() {
    let mark = mark();
    let lines = format!("(while :; do echo x; done) & : {mark}; cd /usr\npwd\n");
    let ran = repl("local:", &["--cwd", "/"], &lines);
    let believed = stdout(&ran).ends_with("/usr\n");
    let refused = ran
        .stderr
        .contains("stay as they were before the line: a background process");
    assert!(believed != refused, "{}", ran.stderr);
    assert!(none_left(&mark), "{:?}", marked(&mark));
}

#[test]
fn lines_and_states_have_limits_that_are_said() {
    let long = "x".repeat(128 * 1024);
    let ran = repl("local:", &[], &format!("{long}\necho next\n"));
    assert_eq!((ran.code, stdout(&ran)), (0, "next\n"));
    assert!(
        ran.stderr.contains("longer than 131071 bytes"),
        "{}",
        ran.stderr
    );
    let big = "export A=$(head -c 100000 /dev/zero | tr '\\0' x)\n\
               for i in 1 2 3 4 5 6 7 8 9 10 11; do export B$i=$A; done; cd /usr\n\
               echo ${#A} ${#B1}; pwd\n";
    let ran = repl("local:", &["--cwd", "/"], big);
    assert_eq!(stdout(&ran), "100000 0\n/\n");
    assert!(ran.stderr.contains("longer than 1 MiB"), "{}", ran.stderr);
}

#[test]
fn settings_are_as_for_run() {
    let args = ["--cwd", "/usr", "--env", "A=1", "--env", "B=2"];
    let ran = repl("local:", &args, "pwd; echo $A$B\nunset A\necho $A$B\n");
    assert_eq!(stdout(&ran), "/usr\n12\n2\n");
    let ran = repl(
        "local:",
        &["--charset", "gbk"],
        "printf '电话' | od -An -tx1; echo 电话\n",
    );
    assert_eq!(stdout(&ran), " b5 e7 bb b0\n电话\n");
    let ran = repl("local:", &["--charset", "gbk"], "echo ran é 한\n");
    assert_eq!((ran.code, stdout(&ran)), (125, ""));
    assert!(
        ran.stderr.contains("cannot be written in GBK; nothing ran"),
        "{}",
        ran.stderr
    );
    for (target, args, needle) in [
        (
            "local:",
            &["--cwd", "/nonexistent"][..],
            "/nonexistent: No such file",
        ),
        (
            "unix:/nonexistent/r.sock",
            &[],
            "is 'redial serve' running there?",
        ),
        ("local:", &["--charset", "gkb"], "did you mean gbk?"),
    ] {
        let ran = repl(target, args, "echo ran\n");
        assert_eq!((ran.code, stdout(&ran)), (125, ""), "{needle}");
        assert!(ran.stderr.contains(needle), "{}", ran.stderr);
    }
}

#[test]
fn a_connection_that_is_killed_is_said_and_is_125() {
    let mut server = TestServer::start();
    let mut child = Redial::bare(["repl", &server.target()]).spawn();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"echo up\n").unwrap();
    let mut up = [0; 3];
    child.stdout.as_mut().unwrap().read_exact(&mut up).unwrap();
    server.stop();
    stdin.write_all(b"echo never\n").unwrap();
    let ran = finish(child, Instant::now());
    assert_eq!((ran.code, stdout(&ran)), (125, ""));
    assert!(
        ran.stderr.contains("redial: unix:") && ran.stderr.contains("nothing ran"),
        "{}",
        ran.stderr
    );
}

#[test]
fn an_interrupt_cancels_the_command_and_term_leaves_too() {
    let mark = mark();
    let mut child = Redial::bare(["repl", "local:"]).in_own_group().spawn();
    let mut stdin = child.stdin.take().unwrap();
    let text = format!("echo up; sleep {mark}; echo never\n");
    let mut up = [0; 3];
    for end in [rustix::process::Signal::INT, rustix::process::Signal::TERM] {
        stdin.write_all(text.as_bytes()).unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut up).unwrap();
        assert_eq!(&up, b"up\n");
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, end).unwrap();
    }
    stdin.write_all(b"echo never\n").ok();
    let ran = finish(child, Instant::now());
    assert_eq!((ran.code, stdout(&ran)), (143, ""));
    let said = "redial: cancelled, exit code 130\nredial: cancelled, exit code 143\n";
    assert_eq!(ran.stderr, said);
    assert!(none_left(&mark), "{:?}", marked(&mark));
}

#[test]
fn a_reader_that_goes_ends_the_lines() {
    let mut child = Redial::bare(["repl", "local:"]).spawn();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"yes\necho never >&2\n").unwrap();
    let mut line = [0; 2];
    let mut from = child.stdout.take().unwrap();
    from.read_exact(&mut line).unwrap();
    drop(from);
    assert_eq!(crate::support::wait(&mut child), 141);
    let said = crate::support::said(&mut child);
    assert!(!said.contains("never"), "{said}");
}

#[test]
fn a_background_process_is_named_and_the_next_line_runs() {
    let server = TestServer::start();
    let mark = mark();
    let ran = repl(
        &server.target(),
        &[],
        &format!("sleep {mark} & cd /usr\npwd\n"),
    );
    assert_eq!(stdout(&ran), "/usr\n");
    assert!(
        ran.stderr.contains("(sleep) still holds the output open"),
        "{}",
        ran.stderr
    );
    marked(&mark)
        .iter()
        .for_each(|process| terminate(process.pid));
}
