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
use support::{PATIENCE, Redial, binary, eventually, skip, wait};

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
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist/systemd");
    for manager in ["user", "system"] {
        let dir = tempfile::tempdir().unwrap();
        for unit in ["redial.service", "redial.socket"] {
            let text = std::fs::read_to_string(units.join(manager).join(unit)).unwrap();
            // The program need not be installed for that.
            assert_eq!(
                text.contains("=/usr/bin/redial serve"),
                unit.ends_with("service")
            );
            let there = text.replace("/usr/bin/redial", binary().to_str().unwrap());
            std::fs::write(dir.path().join(unit), there).unwrap();
        }
        let verify = Command::new("systemd-analyze")
            .args([&format!("--{manager}"), "--man=no", "verify"])
            .args(["redial.service", "redial.socket"].map(|unit| dir.path().join(unit)))
            .env("XDG_RUNTIME_DIR", dir.path())
            .stdin(Stdio::null())
            .output();
        let Ok(verify) = verify else {
            return skip("our_units_are_what_systemd_understands: no systemd-analyze");
        };
        let said = String::from_utf8_lossy(&verify.stderr);
        assert!(
            verify.status.success() && said.trim().is_empty(),
            "{manager}: {}: {said}",
            verify.status
        );
    }
}

/// systemd-socket-activate(1) listens, and starts us when somebody comes.
#[test]
fn a_socket_that_was_opened_for_us_is_served_also_after_an_upgrade() {
    let dir = dir_for_socket();
    let socket = socket_in(dir.path());
    let target = format!("unix:{}", socket.display());
    let server = Command::new("systemd-socket-activate")
        .arg("--listen")
        .arg(&socket)
        .args([
            "--setenv",
            &format!("REDIAL_STATE_DIR={}", dir.path().display()),
        ])
        .arg(binary())
        .args(["serve", "--listen", &target])
        .stdin(Stdio::null())
        .spawn();
    let Ok(mut server) = server else {
        return skip("a socket that was opened for us: no systemd-socket-activate");
    };
    let listens = eventually(|| socket.exists().then_some(()));
    assert!(listens.is_some());
    let inode =
        |path: &Path| std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(path).unwrap());
    let before = inode(&socket);
    // Of the program in its place it knows nothing: its process id, and its descriptors, stay.
    for again in [false, true] {
        let ran = Redial::run(&target)
            .args(["-n", "-c", "env; ls /proc/$PPID/fd"])
            .ran();
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let text = String::from_utf8(ran.stdout).unwrap();
        assert!(!text.contains("LISTEN_"), "{text}");
        if !again {
            let ran = Redial::bare(["upgrade", &target]).ran();
            assert_eq!(ran.code, 0, "{}", ran.stderr);
        }
    }
    terminate(server.id());
    assert_eq!(wait(&mut server), 0);
    assert_eq!(
        inode(&socket),
        before,
        "the socket is the manager's, and stays"
    );
}

#[test]
fn a_socket_that_nobody_has_asked_for_is_a_mistake_that_is_told() {
    let dir = dir_for_socket();
    let (passed, asked) = (dir.path().join("run/passed"), socket_in(dir.path()));
    let server = Command::new("systemd-socket-activate")
        .arg("--listen")
        .arg(&passed)
        .args([
            "--setenv",
            &format!("REDIAL_STATE_DIR={}", dir.path().display()),
        ])
        .arg(binary())
        .args(["serve", "--listen", &format!("unix:{}", asked.display())])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut server) = server else {
        return skip("a socket that nobody has asked for: no systemd-socket-activate");
    };
    let dialled = eventually(|| std::os::unix::net::UnixStream::connect(&passed).ok());
    assert!(dialled.is_some());
    assert_eq!(wait(&mut server), 125);
    let said = support::said(&mut server);
    assert!(said.contains("passed, which is not among"), "{said}");
}
