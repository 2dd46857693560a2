//! The line drops under a terminal: what is typed meanwhile arrives, and nothing is lost.

use crate::stdout;
use crate::support::Redial;
use crate::support::cutting::Cutting;
use crate::support::network::NetworkServer;

fn through(server: &NetworkServer, port: u16, command: &str) -> Redial {
    let redial = server.redial([command, "--host-key", server.host_key()]);
    redial.args([format!("127.0.0.1:{port}")])
}

fn line(server: &NetworkServer, cuts: u32) -> (Cutting, u16) {
    let to = ([127, 0, 0, 1], server.port()).into();
    match cuts {
        0 => Cutting::whole(to),
        cuts => Cutting::tcp(to, cuts, 20_000, 7),
    }
}

#[test]
fn what_is_typed_without_a_line_arrives_once_there_is_one() {
    let server = NetworkServer::start();
    let (line, port) = line(&server, 0);
    let shell = through(&server, port, "shell").env("TERM", "xterm");
    let mut terminal = shell.on_terminal();
    terminal.is_raw();
    terminal.types("echo one$((1 + 1))");
    terminal.sees("one2\r\n");
    line.down();
    let told = terminal.sees("dialling again");
    assert!(told.contains("\r\nredial: line to "), "{told:?}");
    terminal.sees("(Enter ~. leaves)");
    terminal.types("echo two$((1 + 1))");
    terminal.resizes(41, 97);
    terminal.types("stty size");
    line.up();
    terminal.sees("nothing lost");
    terminal.sees("two2\r\n");
    terminal.sees("41 97\r\n");
    terminal.types("exit 9");
    assert_eq!(terminal.ends().0, 9);
}

#[test]
fn who_types_leaves_though_there_is_no_line() {
    let server = NetworkServer::start();
    let (line, port) = line(&server, 0);
    let run = through(&server, port, "run").args(["-t", "-c", "echo up; exec cat"]);
    let mut terminal = run.on_terminal();
    terminal.sees("up\r\n");
    terminal.is_raw();
    line.down();
    terminal.sees("(Enter ~. leaves)");
    terminal.presses(b"\r~.");
    let (code, told) = terminal.ends();
    assert_eq!(code, 129);
    assert!(told.contains("left job "), "{told}");
}

#[test]
fn a_line_that_is_cut_again_and_again_loses_nothing_of_what_is_shown() {
    let server = NetworkServer::start();
    let (cutting, port) = line(&server, 20);
    let run = through(&server, port, "run").args(["-t", "-n", "--", "seq", "1", "100000"]);
    let ran = run.ran();
    let lines: String = (1..=100_000).map(|line| format!("{line}\r\n")).collect();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(stdout(&ran) == lines, "{} bytes", ran.stdout.len());
    assert!(cutting.made() > 5, "{}", cutting.made());
}
