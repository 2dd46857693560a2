//! A user who means others harm, with what any user has: signals, odd files, many connections.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::support::{eventually, skip};
use crate::town::{ADA, BOB, SERVICE, Town};

fn output(town: &Town, user: &str, script: &str) -> (i32, String, String) {
    let ran = town
        .over_network("run", user)
        .args(["-n", "-c", script])
        .ran();
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    (ran.code, text, ran.stderr)
}

/// What one user's session keyring holds no other has, nor what root's holds (session-keyring(7)).
#[test]
fn no_two_users_share_a_keyring() {
    if Command::new("/usr/bin/python3")
        .arg("--version")
        .output()
        .is_err()
    {
        return skip("keyrings: no python3");
    }
    let Some(town) = Town::start("keyrings", &[]) else {
        return;
    };
    // keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0), as syscall(2).
    let look = r#"/usr/bin/python3 -c 'import ctypes, platform
number = {"x86_64": 250, "aarch64": 219}[platform.machine()]
print(ctypes.CDLL(None).syscall(number, 0, -3, 0))'"#;
    let (adas, bobs) = (output(&town, ADA.name, look), output(&town, BOB.name, look));
    let own = Command::new("sh").args(["-c", look]).output().unwrap();
    let roots = String::from_utf8_lossy(&own.stdout).into_owned();
    if adas.1.trim() == "-1" {
        return skip("keyrings: this kernel has none");
    }
    assert_ne!(adas.1, bobs.1, "{} {}", adas.2, bobs.2);
    assert!(adas.1 != roots && bobs.1 != roots);
}

#[test]
fn whose_programs_hang_holds_up_nobody_else() {
    let Some(town) = Town::start("starts that hang", &[]) else {
        return;
    };
    // Who executes a file that is open for a lease waits until that is given back, up to 45 s.
    let home = town.home(&ADA);
    for name in ["p1", "p2", "p3"] {
        let program = home.join(name);
        fs::copy("/bin/true", &program).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::chown(&program, Some(ADA.uid), Some(ADA.uid)).unwrap();
    }
    let hold = "import fcntl, signal, sys, time
signal.signal(signal.SIGIO, signal.SIG_IGN)
held = [open(name, 'r+b') for name in sys.argv[1:]]
[fcntl.fcntl(it, fcntl.F_SETLEASE, fcntl.F_WRLCK) for it in held]
print('held', flush=True)
time.sleep(1000)";
    let holder = town.over_network("run", ADA.name).args([
        "-n",
        "--",
        "/usr/bin/python3",
        "-c",
        hold,
        "p1",
        "p2",
        "p3",
    ]);
    let mut holder = holder.spawn();
    let mut held = [0; 4];
    if holder
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut held)
        .is_err()
    {
        holder.wait().unwrap();
        return skip("starts that hang: no python3, or no leases here");
    }
    let hang = |name: &str| {
        let program = home.join(name);
        town.over_network("run", ADA.name)
            .args(["-n", "--"])
            .args([program])
            .spawn()
    };
    let mut hanging = ["p1", "p2", "p3"].map(hang);
    let began = Instant::now();
    for _ in 0..5 {
        let (code, text, error) = output(&town, BOB.name, "echo here");
        assert_eq!((code, text.as_str()), (0, "here\n"), "{error}");
    }
    let took = began.elapsed();
    assert!(
        hanging[0].try_wait().unwrap().is_none(),
        "it hung all the while: {took:?}"
    );
    for child in &mut hanging {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    holder.kill().unwrap();
    holder.wait().unwrap();
}

#[test]
fn a_path_of_a_users_is_not_looked_at_as_root() {
    let Some(town) = Town::start("paths that only root could see", &[]) else {
        return;
    };
    let secret = town.dir().join("state/program");
    fs::copy("/bin/true", &secret).unwrap();
    let other = town.dir().join("state/other");
    let told = [secret, other].map(|path| {
        let path = format!("cwd{}", path.display());
        let run = town.over_network("run", ADA.name);
        let ran = run.args(["-n", "--cwd", "/proc/self", "--", &path]).ran();
        (ran.code, ran.stderr.replace("program", "other"))
    });
    assert_eq!(told[0], told[1]);
}

#[test]
fn a_signal_reaches_what_the_user_could_signal() {
    let Some(town) = Town::start("signals to what sudo starts", &[]) else {
        return;
    };
    if Command::new("/usr/bin/python3")
        .arg("--version")
        .output()
        .is_err()
    {
        return skip("signals to what sudo starts: no python3");
    }
    // A program that is root, as sudo's are, in the user's job.
    let become_root = town.dir().join("run/root");
    let python = fs::canonicalize("/usr/bin/python3").unwrap();
    fs::copy(python, &become_root).unwrap();
    fs::set_permissions(&become_root, fs::Permissions::from_mode(0o4755)).unwrap();
    let script = format!(
        "exec {} -c 'import os, time
os.setresuid(0, 0, 0)
print(\"root\", flush=True)
time.sleep(1000)'",
        become_root.display()
    );
    let run = town.over_network("run", ADA.name);
    let mut child = run.args(["--detach", "-n", "-c", &script]).spawn();
    let mut name = String::new();
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_to_string(&mut name)
        .unwrap();
    child.wait().unwrap();
    let job = name.trim().to_owned();
    let is_root = eventually(|| {
        let logs = town.named("logs", ADA.name, &job).ran();
        (logs.stdout == b"root\n" || !logs.stderr.is_empty()).then_some(logs)
    });
    let logs = is_root.unwrap();
    if logs.stdout != b"root\n" {
        return skip("signals to what sudo starts: no set-user-id here");
    }
    for signal in ["USR1", "KILL"] {
        town.named("kill", ADA.name, &job)
            .args(["-s", signal])
            .ran();
    }
    let ps = town.over_network("ps", ADA.name).ran();
    assert!(
        String::from_utf8_lossy(&ps.stdout).contains("running"),
        "{ps:?}"
    );
    // Its end is another matter.
    let ended = town.named("rm", ADA.name, &job).args(["--force"]).ran();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
}

#[test]
fn who_may_not_come_in_and_keeps_trying_fills_no_log() {
    let Some(town) = Town::start("a flood of refused connections", &[]) else {
        return;
    };
    let socket = town.dir().join("run/s");
    let flood = format!(
        "import socket\nfor _ in range(400):\n  s = socket.socket(socket.AF_UNIX); s.connect('{}')",
        socket.display()
    );
    let id = SERVICE.uid.to_string();
    let flooded = Command::new("setpriv")
        .args([
            "--reuid",
            &id,
            "--regid",
            &id,
            "--clear-groups",
            "/usr/bin/python3",
            "-c",
            &flood,
        ])
        .stdin(Stdio::null())
        .status();
    if !flooded.is_ok_and(|status| status.success()) {
        return skip("a flood of refused connections: no python3");
    }
    let (code, text, error) = output(&town, ADA.name, "echo here");
    assert_eq!((code, text.as_str()), (0, "here\n"), "{error}");
    let log = town.log();
    let lines = log
        .lines()
        .filter(|line| line.contains("not for logging in"))
        .count();
    assert!((1..10).contains(&lines), "{lines} lines");
}
