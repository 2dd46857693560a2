//! Lines that nobody comes back over: what is said, and what is never done again.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;

use crate::support::cutting::Cutting;
use crate::support::network::NetworkServer;
use crate::support::{eventually, said, wait};
use crate::{address, sees, through};

#[test]
fn without_dialling_again_a_dropped_line_is_the_end() {
    let server = NetworkServer::start();
    let (line, port) = Cutting::whole(address(&server));
    for arguments in [&["--no-redial"][..], &["--redial", "0"]] {
        let run = through(&server, port, "run").args(arguments);
        let mut child = run.args(["-n", "-c", "echo up; sleep 60"]).spawn();
        let rest = sees(&mut child, "up\n");
        line.down();
        assert_eq!(wait(&mut child), 125);
        line.up();
        drop(rest);
    }
}

#[test]
fn after_the_time_for_dialling_again_the_job_is_given_up_with_both_reasons() {
    let server = NetworkServer::start();
    let (line, port) = Cutting::whole(address(&server));
    let run = through(&server, port, "run").args(["--redial", "300ms"]);
    let mut child = run.args(["-n", "-c", "echo up; sleep 60"]).spawn();
    drop(sees(&mut child, "up\n"));
    line.down();
    let said = said(&mut child);
    assert_eq!(wait(&mut child), 125);
    let told = [
        "lost before its outcome was known",
        "dialled again in vain for 0.3 s",
    ];
    assert!(told.iter().all(|it| said.contains(it)), "{said}");
}

#[test]
fn a_job_whose_keeper_is_another_is_lost_and_never_run_again() {
    let server = NetworkServer::start();
    let (line, port) = Cutting::whole(address(&server));
    let dir = tempfile::tempdir().unwrap();
    let runs = dir.path().join("runs");
    let text = format!("echo ran >> {}; echo up; sleep 60", runs.display());
    let mut child = through(&server, port, "run")
        .args(["-n", "-c", &text])
        .spawn();
    drop(sees(&mut child, "up\n"));
    line.down();
    let server = server.again();
    line.up();
    let said = said(&mut child);
    assert_eq!(wait(&mut child), 125);
    assert!(said.contains("the server has it no more"), "{said}");
    assert_eq!(fs::read_to_string(&runs).unwrap(), "ran\n");
    drop(server);
}

#[test]
fn output_that_went_while_nobody_came_back_is_named_byte_by_byte() {
    let server = NetworkServer::start();
    let (line, port) = Cutting::whole(address(&server));
    let dir = tempfile::tempdir().unwrap();
    let go = dir.path().join("go");
    let text = format!(
        "echo $$; while ! [ -e {} ]; do sleep 0.01; done; head -c 5000 /dev/zero; sleep 600",
        go.display()
    );
    let run = through(&server, port, "run").args(["--on-drop", "keep:200ms"]);
    let mut child = run.args(["-n", "-c", &text]).spawn();
    let mut rest = BufReader::new(child.stdout.take().unwrap());
    let mut pid = String::new();
    rest.read_line(&mut pid).unwrap();
    line.down();
    fs::write(&go, "").unwrap();
    let process = Path::new("/proc").join(pid.trim());
    let gone = eventually(|| (!process.exists()).then_some(()));
    assert!(gone.is_some(), "ended by its policy");
    line.up();
    let said = said(&mut child);
    assert_eq!(wait(&mut child), 125, "{said}");
    let (arrived, all) = (pid.len(), pid.len() + 5_000);
    // Whether the job is still there without its output, or only its outcome.
    for told in [
        format!("note: bytes {arrived} to {all} of stdout are gone\n"),
        format!("stdout is not what the command wrote: bytes {arrived} to {all} did not arrive"),
    ] {
        assert!(said.contains(&told), "{said}");
    }
    drop(rest);
}

#[test]
fn an_output_that_is_closed_while_the_line_is_down_is_closed_for_the_command_too() {
    let server = NetworkServer::start();
    let (line, port) = Cutting::whole(address(&server));
    let mut child = through(&server, port, "run").args(["-n", "yes"]).spawn();
    let rest = sees(&mut child, "y\n");
    line.down();
    drop(rest);
    line.up();
    assert_eq!(wait(&mut child), 141, "{}", said(&mut child));
}
