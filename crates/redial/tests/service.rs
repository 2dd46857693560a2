//! Under a service manager: it is told when clients are served, when the program is replaced, that the
//! loop turns, and the end.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

#[path = "support/mod.rs"]
mod support;

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use support::server::{dir_for_socket, front, socket_in, terminate};
use support::{PATIENCE, Redial, binary, skip, wait};

const UNIT: &str = include_str!("../../../dist/systemd/user/redial.service");

/// What the manager hears, for as long as there is patience.
struct Manager(UnixDatagram);

impl Manager {
    fn at(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Manager(socket)
    }

    fn next(&self) -> String {
        let mut buffer = [0; 1024];
        let len = self.0.recv(&mut buffer).expect("a message");
        String::from_utf8(buffer[..len].to_vec()).unwrap()
    }

    /// The next that is no sign of life.
    fn news(&self) -> String {
        std::iter::repeat_with(|| self.next())
            .find(|message| !message.starts_with("WATCHDOG"))
            .unwrap()
    }
}

#[test]
fn the_service_manager_is_told_how_the_server_is() {
    let dir = dir_for_socket();
    let notify = dir.path().join("notify");
    let manager = Manager::at(&notify);
    let target = format!("unix:{}", socket_in(dir.path()).display());
    let mut server = Command::new(binary())
        .args(["serve", "--listen", &target])
        .env("REDIAL_STATE_DIR", dir.path())
        .env("NOTIFY_SOCKET", &notify)
        .env("WATCHDOG_USEC", "200000")
        .env_remove("WATCHDOG_PID")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    assert!(manager.news().starts_with("READY=1\n"));
    // It says so when it can be dialled, not before; and no job can speak in its name.
    let ran = Redial::run(&target).args(["-n", "-c", "env"]).ran();
    let env = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.code == 0 && !env.contains("NOTIFY_SOCKET"), "{env}");
    let began = Instant::now();
    for _ in 0..5 {
        assert!(manager.next().starts_with("WATCHDOG=1\n"));
    }
    assert!(
        began.elapsed() > Duration::from_millis(300),
        "{:?}",
        began.elapsed()
    );
    let before = front(server.id());
    kill_process(Pid::from_child(&server), Signal::HUP).unwrap();
    assert!(manager.news().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert!(manager.news().starts_with("READY=1\n"));
    assert_ne!(front(server.id()), before);
    assert!(
        manager.next().starts_with("WATCHDOG=1\n"),
        "the new program tells it too"
    );
    terminate(server.id());
    assert!(manager.news().starts_with("STOPPING=1\n"));
    assert_eq!(wait(&mut server), 0);
}

#[test]
fn our_units_are_what_systemd_understands() {
    let dir = tempfile::tempdir().unwrap();
    // The program need not be installed for that.
    assert!(UNIT.contains("ExecStart=/usr/bin/redial serve\n"));
    let there = UNIT.replace("/usr/bin/redial", binary().to_str().unwrap());
    let copy = dir.path().join("redial.service");
    std::fs::write(&copy, there).unwrap();
    let verify = Command::new("systemd-analyze")
        .args(["--user", "--man=no", "verify"])
        .arg(&copy)
        .env("XDG_RUNTIME_DIR", dir.path())
        .stdin(Stdio::null())
        .output();
    let Ok(verify) = verify else {
        return skip("our_units_are_what_systemd_understands: no systemd-analyze");
    };
    let said = String::from_utf8_lossy(&verify.stderr);
    assert!(
        verify.status.success() && said.trim().is_empty(),
        "{}: {said}",
        verify.status
    );
}
