//! What a command sees of its terminal, and what of it is typed.

use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::LocalModes;

use crate::support::Redial;
use crate::support::processes::{mark, marked, none_left};
use crate::{SIZES, on_terminal, piped, stdout};

#[test]
fn a_command_has_a_terminal_of_our_kind_and_size_and_follows_it() {
    let text = "tty; echo $TERM; stty size; stty -a | grep -ow iutf8; \
                [ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo all >/dev/tty; ";
    let text = format!("{text}{SIZES} read x; echo got $x; exit 3");
    let mut terminal = on_terminal("local:", &[], &text);
    let shown = terminal.sees("all\r\n");
    assert!(shown.starts_with("/dev/pts/"), "{shown}");
    // Ours does not know how large it is.
    let told = "xterm-256color\r\n24 80\r\niutf8\r\nall\r\n";
    assert!(shown.ends_with(told), "{shown}");
    terminal.is_raw();
    terminal.resizes(50, 132);
    terminal.sees("50 132\r\n");
    terminal.types("here");
    // Echoed once, by the host: ours is silent.
    assert_eq!(terminal.sees("got here\r\n"), "here\r\ngot here\r\n");
    assert_eq!(terminal.ends(), (3, String::new()));
}

#[test]
fn keys_reach_the_command_as_they_are() {
    let text = "trap 'echo caught' INT; echo up; sleep 100; cat -v; echo over";
    let mut terminal = on_terminal("local:", &[], text);
    terminal.sees("up\r\n");
    terminal.is_raw();
    terminal.presses(b"\x03");
    terminal.sees("caught\r\n");
    // Of the line's own keys, what the host's terminal makes of them: ^V quotes, ^D is the end.
    terminal.presses(b"\x16\x1ba\xc3\xa9x\x7f\r");
    terminal.sees("^[aM-CM-)\r\n");
    terminal.presses(b"\x04");
    assert_eq!(terminal.ends(), (0, "over\r\n".to_owned()));
}

#[test]
fn a_shell_is_a_login_shell_on_a_terminal_or_reads_what_is_no_terminal() {
    let shell = Redial::bare(["shell", "local:", "--env", "A=1"]).env("TERM", "xterm");
    let mut terminal = shell.on_terminal();
    terminal.is_raw();
    terminal.types("echo \"$0 $A $((1 + 1))\"; tty");
    let shown = terminal.sees(" 1 2\r\n");
    let name = shown.trim_end().strip_suffix(" 1 2").unwrap();
    let name = name.rsplit('-').next().unwrap();
    assert!(
        !name.is_empty() && name.chars().all(char::is_alphanumeric),
        "{shown}"
    );
    terminal.sees("/dev/pts/");
    terminal.types("exit 7");
    assert_eq!(terminal.ends().0, 7);

    let ran = Redial::bare(["shell", "local:"])
        .input("echo $0; tty; exit 5")
        .ran();
    assert_eq!(ran.code, 5);
    assert!(stdout(&ran).starts_with('-'), "{ran:?}");
    assert!(stdout(&ran).ends_with("not a tty\n"), "{ran:?}");
}

#[test]
fn without_a_terminal_of_ours_stdin_is_typed_and_so_is_its_end() {
    let text = "tty; stty size; echo $TERM; cat; echo end >&2; exit 6";
    for input in ["", "a\nb\n", "a\nb"] {
        let ran = piped(&["-c", text], input);
        assert_eq!((ran.code, &*ran.stderr), (6, ""), "{input:?}");
        let shown = stdout(&ran);
        let is_ours = shown.contains("24 80\r\n") && shown.contains("vt100\r\n");
        assert!(is_ours, "{shown:?}");
        // Both outputs are one, and what is typed is echoed there.
        assert!(shown.ends_with("end\r\n"), "{input:?}: {shown:?}");
        assert_eq!(shown.matches('b').count(), 2 * input.matches('b').count());
    }
}

#[test]
fn more_than_a_terminal_takes_at_once_is_typed_to_the_end() {
    // Far more than a terminal's buffers; its lines are shorter than the longest (termios(3)).
    let input = format!("{}\n", "x".repeat(1_000)).repeat(1_000);
    let ran = piped(&["-c", "stty -echo; wc -c"], &input);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(stdout(&ran).ends_with("1001000\r\n"), "{}", ran.stderr);
}

#[test]
fn without_stdin_nothing_is_typed() {
    let mut terminal = on_terminal(
        "local:",
        &["-n"],
        "tty; read -t 1 x || echo nothing; sleep 0",
    );
    terminal.sees("/dev/pts/");
    terminal.types("word");
    terminal.sees("nothing");
    assert_eq!(terminal.ends().0, 0);
    // Then Ctrl-C is ours to hear, as ever.
    let mut terminal = on_terminal("local:", &["-n"], "echo up; exec sleep 1000");
    terminal.sees("up");
    terminal.presses(b"\x03");
    assert_eq!(terminal.ends().0, 130);
}

#[test]
fn keys_for_us_are_heard_though_the_command_reads_no_more() {
    let mark = mark();
    // It gives its terminal up, and runs on.
    let text = format!("trap '' HUP; echo up; exec sleep {mark} <&- >&- 2>&-");
    let mut terminal = on_terminal("local:", &[], &text);
    terminal.sees("up\r\n");
    terminal.is_raw();
    terminal.types("word");
    terminal.types("word");
    terminal.presses(b"~.");
    assert_eq!(terminal.ends().0, 129);
    assert!(none_left(&mark));
}

#[test]
fn a_name_of_a_terminal_that_is_none_is_refused() {
    for wrong in ["a b", "../x", "x\n", &"x".repeat(65)] {
        let run = Redial::bare(["run", "-tn", "local:", "--", "true"]).env("TERM", wrong);
        let ran = run.ran();
        assert_eq!(ran.code, 125, "{wrong:?}");
        assert!(ran.stderr.contains("TERM"), "{}", ran.stderr);
    }
    let run = Redial::bare(["run", "-tn", "local:", "--", "printenv", "TERM"]);
    assert_eq!(stdout(&run.without("TERM").ran()), "dumb\r\n");
}

#[test]
fn our_terminal_is_as_it_was_when_the_command_has_ended_or_is_left() {
    let mark = mark();
    let usual = LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
    for (keys, code) in [(&b"\x04"[..], 0), (b"\r~.", 129)] {
        let text = format!("echo up; : {mark}; cat >/dev/null");
        let mut terminal = on_terminal("local:", &[], &text);
        terminal.sees("up\r\n");
        terminal.is_raw();
        terminal.presses(keys);
        terminal.is_usual(usual);
        assert_eq!(terminal.ends().0, code);
        assert!(none_left(&mark));
    }
    assert!(marked(&mark).is_empty());
}

#[test]
fn keys_for_us_are_told_and_may_begin_with_another_character() {
    let mut terminal = on_terminal("local:", &["--escape", "%"], "echo up; cat");
    terminal.sees("up\r\n");
    terminal.is_raw();
    terminal.presses(b"%?~.\r");
    terminal.sees("%. leaves, %^Z stops redial");
    terminal.sees("~.\r\n~.\r\n");
    terminal.presses(b"%%.\r");
    terminal.sees("%.\r\n%.\r\n");
    terminal.presses(b"%.");
    let (code, told) = terminal.ends();
    assert_eq!(code, 129);
    assert!(told.contains("left job "), "{told}");
    let wrong = Redial::bare(["run", "-t", "--escape", "ab", "local:", "true"]).ran();
    assert_eq!(wrong.code, 125);
    assert!(
        wrong.stderr.contains("no escape character"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn keys_for_us_are_heard_behind_more_than_the_command_takes() {
    let mut terminal = on_terminal("local:", &[], "stty raw -echo; echo up; exec sleep 1000");
    terminal.sees("up");
    terminal.is_raw();
    let block = vec![b'x'; 64 * 1024];
    // Far more than waits anywhere between here and there.
    for _ in 0..48 {
        terminal.presses(&block);
    }
    terminal.presses(b"\r~.");
    assert_eq!(terminal.ends().0, 129);
}

#[test]
fn our_terminal_is_as_it_was_if_we_are_told_to_quit() {
    let usual = LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
    let mut terminal = on_terminal("local:", &[], "echo up; exec cat");
    terminal.sees("up\r\n");
    terminal.is_raw();
    let pid = Pid::from_raw(terminal.pid().cast_signed()).unwrap();
    kill_process(pid, Signal::QUIT).unwrap();
    terminal.is_usual(usual);
    assert_eq!(terminal.ends().0, 129);
}

#[test]
fn whoever_was_stopped_goes_on_with_a_raw_terminal() {
    let mut terminal = on_terminal("local:", &[], "echo up; exec cat");
    terminal.sees("up\r\n");
    terminal.is_raw();
    let pid = Pid::from_raw(terminal.pid().cast_signed()).unwrap();
    // By somebody who sets the terminal up as a shell does.
    kill_process(pid, Signal::STOP).unwrap();
    terminal.becomes_usual();
    kill_process(pid, Signal::CONT).unwrap();
    terminal.is_raw();
    terminal.types("on");
    terminal.sees("on\r\non\r\n");
    terminal.presses(b"\x04");
    assert_eq!(terminal.ends().0, 0);
}
