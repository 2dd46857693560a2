//! `exec:ssh`: the line is ssh's, and the job is the server's.

use std::fs;

use crate::keys::keygen;
use crate::sshd::{Sshd, user};
use crate::support::server::{TestServer, bridge};
use crate::support::{Redial, binary, eventually, skip};

#[test]
fn a_job_started_over_ssh_outlives_the_ssh_and_is_found_again_over_another() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("id");
    keygen(&key, &["ed25519"], "");
    let authorized = dir.path().join("authorized_keys");
    fs::copy(key.with_extension("pub"), &authorized).unwrap();
    let sshd = match Sshd::start(dir.path(), &authorized, false) {
        Ok(sshd) => sshd,
        Err(reason) => return skip(&format!("a job over ssh: {reason}")),
    };
    let server = TestServer::start();
    let options = "-o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
                   -o LogLevel=ERROR -o IdentitiesOnly=yes -F none";
    let remote = bridge(&server.socket());
    let remote = remote.strip_prefix("exec:").unwrap();
    let target = format!(
        "exec:ssh {options} -i {} -p {} {}@127.0.0.1 '{remote}'",
        key.display(),
        sshd.port(),
        user()
    );
    let go = dir.path().join("go");
    let text = format!(
        "echo up; while ! [ -e {} ]; do sleep 0.01; done; echo late; exit 7",
        go.display()
    );
    let started = Redial::run(&target).args(["--detach", "-c", &text]).ran();
    assert_eq!(
        (started.code, &*started.stderr),
        (0, ""),
        "{}",
        binary().display()
    );
    let job = String::from_utf8(started.stdout).unwrap();
    let job = job.trim_end();
    // The ssh that has started it is gone with its client.
    let bridges = || {
        let all = crate::support::processes::all();
        let is_bridge = |it: &crate::support::processes::Process| {
            it.arguments.contains("serve --stdio") && it.arguments.contains("redial.sock")
        };
        let socket = server.socket().display().to_string();
        all.iter()
            .any(|it| is_bridge(it) && it.arguments.contains(&socket))
    };
    assert!(eventually(|| (!bridges()).then_some(())).is_some());
    fs::write(&go, "").unwrap();
    let attached = Redial::bare(["attach", "--from", "start", job]).ran();
    assert_eq!((attached.code, &*attached.stdout), (7, &b"up\nlate\n"[..]));
    assert_eq!(Redial::bare(["wait", job]).ran().code, 7);
}
