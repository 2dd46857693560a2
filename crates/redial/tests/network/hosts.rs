//! Hosts with addresses of their own, and lines that are slow, cut, or silent.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use crate::lab::{Lab, Setup, has};
use crate::proxy::{Line, proxy};
use crate::support::cable::Cable;
use crate::support::network::{NetworkServer, write_private};
use crate::support::processes::{mark, none_left};
use crate::support::{Ran, Redial, binary, noise, skip};

fn through(server: &NetworkServer, line: Line) -> Redial {
    let port = proxy(SocketAddr::from(([127, 0, 0, 1], server.port())), line);
    let target = format!("127.0.0.1:{port}");
    server.redial(["run", &target, "--host-key", server.host_key()])
}

#[test]
fn what_comes_in_small_pieces_and_late_is_exact() {
    let server = NetworkServer::start();
    let (piece, pause) = (1_399, Duration::from_micros(200));
    let sent = noise(11, 1_000_000);
    let run = through(&server, Line::Slow { piece, pause });
    let ran = run.args(["--", "cat"]).input(sent.clone()).ran();
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert!(ran.stdout == sent, "other bytes");
    let (piece, pause) = (1, Duration::from_micros(50));
    let run = through(&server, Line::Slow { piece, pause });
    let ran = run
        .args(["-n", "--", "sh", "-c", "echo out; echo err >&2; exit 3"])
        .ran();
    assert_eq!(
        (ran.code, &ran.stdout[..], ran.stderr.as_str()),
        (3, &b"out\n"[..], "err\n")
    );
}

#[test]
fn a_cut_line_is_125_with_the_reason_wherever_it_is_cut() {
    let server = NetworkServer::start();
    for after in [1, 100, 1_000, 1_300, 100_000, 3_000_000] {
        let run = through(&server, Line::Cut { after });
        let ran = run
            .args([
                "--no-redial",
                "-n",
                "--",
                "head",
                "-c",
                "9000000",
                "/dev/zero",
            ])
            .ran();
        assert_eq!(ran.code, 125, "{after}: {}", ran.stderr);
        assert!(
            ran.stdout.len() < after + 1,
            "{after}: {}",
            ran.stdout.len()
        );
        assert_eq!(ran.stderr.lines().count(), 1, "{after}: {}", ran.stderr);
        let told = ["dropped", "ended", "hung up", "cut"];
        assert!(
            told.iter().any(|it| ran.stderr.contains(it)),
            "{after}: {}",
            ran.stderr
        );
        assert!(ran.took < Duration::from_secs(5), "{after}: {:?}", ran.took);
    }
}

#[test]
fn a_command_whose_line_was_cut_is_ended_if_that_is_its_policy() {
    let server = NetworkServer::start();
    let mark = mark();
    let text = format!("head -c 300000 /dev/zero; exec sleep {mark}");
    let run = through(&server, Line::Cut { after: 100_000 });
    let ran = run.args(["-n", "--on-drop", "kill", "-c", &text]).ran();
    assert_eq!(ran.code, 125, "{}", ran.stderr);
    assert!(none_left(&mark));
}

/// A line that falls silent later is noticed after three keepalive intervals of 15 s;
/// there is no setting that would let a test see it sooner.
#[test]
fn a_line_that_is_silent_from_the_start_is_left_in_the_time_given() {
    let server = NetworkServer::start();
    for after in [0, 500, 1_500] {
        let run = through(&server, Line::Silent { after });
        let args = ["--connect-timeout", "700ms", "-n", "--", "true"];
        let ran = run.args(args).ran();
        assert_eq!(ran.code, 125, "{after}: {}", ran.stderr);
        let told = ["longer than", "no answer within"];
        let told = told.iter().any(|it| ran.stderr.contains(it));
        assert!(told, "{after}: {}", ran.stderr);
        assert!(ran.took < Duration::from_secs(3), "{after}: {:?}", ran.took);
    }
}

/// `redial run` on the client's host, whose /etc/hosts says this.
fn on_client(cable: &Cable, server: &Lab, hosts: &str, args: &[&str]) -> Ran {
    let file = server.dir().join("hosts");
    std::fs::write(&file, hosts).unwrap();
    let script = "mount --bind \"$1\" /etc/hosts && shift && exec \"$@\"";
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &cable.client]);
    command.args(["unshare", "-m", "sh", "-c", script, "sh"]);
    command.arg(&file).arg(binary()).arg("run").args(args);
    command.args(["--host-key", &server.host_key]);
    command.args(["-n", "--", "echo", "there"]);
    command.env("HOME", server.home.path());
    for name in ["SSH_AUTH_SOCK", "XDG_CONFIG_HOME", "REDIAL_LOG"] {
        command.env_remove(name);
    }
    let began = std::time::Instant::now();
    let output = command.output().unwrap();
    Ran {
        code: output.status.code().unwrap(),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        took: began.elapsed(),
    }
}

fn is_there(ran: &Ran) -> bool {
    (ran.code, &ran.stdout[..]) == (0, &b"there\n"[..])
}

#[test]
fn hosts_are_told_by_their_addresses_and_a_dead_one_of_several_costs_little() {
    let name = "hosts_are_told_by_their_addresses_and_a_dead_one_of_several_costs_little";
    if !rustix::process::geteuid().is_root() {
        return skip(&format!("{name}: network namespaces need root"));
    }
    if !has(&["ip", "unshare", "mount"], name) {
        return;
    }
    let cable = match Cable::lay() {
        Ok(cable) => cable,
        Err(reason) => return skip(&format!("{name}: {reason}")),
    };
    let server = Lab::start(&Setup {
        by: &["ip", "netns", "exec", &cable.server],
        listen: &["10.99.0.1:7334", "10.99.0.9:7334", "[fd99::1]:7334"],
        ..Setup::default()
    });
    for address in ["10.99.0.1", "10.99.0.9", "[fd99::1]"] {
        let ran = on_client(&cable, &server, "", &[address]);
        assert!(is_there(&ran), "{address}: {}", ran.stderr);
    }
    let line = server.home.public_key();
    write_private(
        &server.authorized_keys(),
        &format!("from=\"10.99.0.3\" {line}"),
    );
    let from = |address: &str| on_client(&cable, &server, "", &["10.99.0.1", "--bind", address]);
    assert!(is_there(&from("10.99.0.3")));
    assert_eq!(from("10.99.0.2").code, 125);
    let of_nobody = from("10.99.0.77");
    assert_eq!(of_nobody.code, 125);
    let told = of_nobody.stderr.contains("Cannot assign requested address");
    assert!(told, "{}", of_nobody.stderr);
    write_private(
        &server.authorized_keys(),
        &format!("from=\"fd99::/64\" {line}"),
    );
    assert!(is_there(&on_client(&cable, &server, "", &["[fd99::1]"])));
    write_private(&server.authorized_keys(), &line);
    // Nobody has the first address, and nothing says so.
    let hosts = "fd99::dead web1\n10.99.0.1 web1\n";
    let ran = on_client(&cable, &server, hosts, &["web1"]);
    assert!(is_there(&ran), "{}", ran.stderr);
    assert!(ran.took < Duration::from_secs(2), "{:?}", ran.took);
}
