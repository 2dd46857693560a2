//! A passphrase is asked for on the terminal, and stays there.

use std::fs::File;
use std::io::{Read, Write};
use std::process::Command;
use std::sync::mpsc::channel;
use std::time::Instant;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::keys::keygen;
use crate::lab::{Lab, Setup, has};
use crate::support::network::write_private;
use crate::support::{PATIENCE, binary, eventually, wait};

const PASSPHRASE: &str = "canary of a passphrase";

/// Runs a command on a terminal of its own, and types this when something is asked that
/// ends in `prompt`; exit code, and all that was shown.
fn on_terminal(command: &mut Command, prompt: &str, typed: &str) -> (i32, String) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let open = || {
        let mut options = File::options();
        let options = options.read(true).write(true);
        options.open(name.to_str().unwrap()).unwrap()
    };
    command.stdin(open()).stdout(open()).stderr(open());
    let mut child = command.spawn().expect("setsid of util-linux");
    command.stdin(std::process::Stdio::null());
    command.stdout(std::process::Stdio::null());
    command.stderr(std::process::Stdio::null());
    let mut keys = File::from(master);
    let mut screen = keys.try_clone().unwrap();
    let (send, shown) = channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        // The last process that goes takes the terminal along: an error, or the end.
        while let Ok(length @ 1..) = screen.read(&mut buffer) {
            if send.send(buffer[..length].to_vec()).is_err() {
                return;
            }
        }
    });
    let (deadline, mut seen, mut is_typed) = (Instant::now() + PATIENCE, Vec::new(), false);
    loop {
        let text = String::from_utf8_lossy(&seen).into_owned();
        if !is_typed && text.trim_end().ends_with(prompt) {
            // It may be shown before the terminal is told to keep to itself what is typed.
            let is_hidden = eventually(|| (!echoes(&keys)).then_some(()));
            assert!(is_hidden.is_some(), "what is typed is shown");
            keys.write_all(format!("{typed}\r").as_bytes()).unwrap();
            is_typed = true;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        match shown.recv_timeout(left) {
            Ok(more) => seen.extend(more),
            Err(_) => return (wait(&mut child), text),
        }
    }
}

fn echoes(terminal: &File) -> bool {
    let modes = rustix::termios::tcgetattr(terminal).unwrap().local_modes;
    modes.contains(rustix::termios::LocalModes::ECHO)
}

#[test]
fn an_encrypted_key_lets_in_who_types_its_passphrase_which_is_in_no_log() {
    let name = "an_encrypted_key_lets_in_who_types_its_passphrase_which_is_in_no_log";
    if !has(&["ssh-keygen", "setsid"], name) {
        return;
    }
    let server = Lab::start(&Setup {
        env: &[("REDIAL_LOG", "trace")],
        ..Setup::default()
    });
    let file = server.home.path().join(".ssh/locked");
    let line = keygen(&file, &["ed25519"], PASSPHRASE);
    write_private(&server.authorized_keys(), &line);
    let target = format!("127.0.0.1:{}", server.port);
    let run = |typed: &str| {
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait"]).arg(binary());
        command.args(["run", &target, "--host-key", &server.host_key, "-i"]);
        command.arg(&file).args(["-n", "--", "echo", "let", "in"]);
        command
            .env("HOME", server.home.path())
            .env("REDIAL_LOG", "trace");
        command.env_remove("XDG_CONFIG_HOME");
        // It logs that there is none.
        command.env("SSH_AUTH_SOCK", server.dir().join("no-agent"));
        on_terminal(&mut command, "locked:", typed)
    };
    let (code, shown) = run(PASSPHRASE);
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("let in\r\n"), "{shown}");
    assert!(!shown.contains(PASSPHRASE), "{shown}");
    assert!(shown.contains("DEBUG"), "{shown}");
    let log = server.log();
    assert!(log.contains("login") && !log.contains(PASSPHRASE), "{log}");
    // Nothing is typed: nobody is let in, and nothing is run.
    let (code, shown) = run("");
    assert_eq!(code, 125, "{shown}");
    assert!(!shown.contains("let in\r\n"), "{shown}");
}
