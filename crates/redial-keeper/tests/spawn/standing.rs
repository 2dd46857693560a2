//! As whom a process runs, within which limits, on which terminal, in which cgroup.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Arc;

use redial_keeper::spawn::{Identity, PtySize, SpawnRequest, SpawnStage};

use crate::child::{Job, argv, is_root, read_all, request};
use crate::{fails, run, spawner, status_of};

#[test]
fn umask_niceness_and_limits_are_set() {
    let script = "umask; ulimit -n; ulimit -c; cut -d' ' -f19 /proc/self/stat";
    let request = SpawnRequest {
        umask: Some(0o27),
        nice: Some(7),
        limits: vec![(libc::RLIMIT_NOFILE, 77, 99), (libc::RLIMIT_CORE, 0, 0)],
        ..request(argv(&["sh", "-c", script]))
    };
    assert_eq!(run(&request).text(), "0027\n77\n0\n7\n");
    let soft_above_hard = SpawnRequest {
        limits: vec![(libc::RLIMIT_NOFILE, 9, 8)],
        ..request.clone()
    };
    assert_eq!(fails(&soft_above_hard).stage, SpawnStage::Limits);
}

#[test]
fn a_terminal_controls_its_session_and_has_its_size() {
    let script =
        "tty; stty size; echo there >/dev/tty; ps -o sid= -p $$ | grep -qw $$ && echo leader";
    let pty = Some(PtySize {
        columns: 123,
        rows: 45,
        x_pixels: 1_230,
        y_pixels: 900,
    });
    let mut job = Job::start(
        &mut spawner(),
        &SpawnRequest {
            pty,
            ..request(argv(&["sh", "-c", script]))
        },
    );
    assert!(job.spawned.stderr.is_none());
    let text = String::from_utf8(read_all(job.spawned.stdout.take().expect("a terminal")));
    let text = text.expect("text").replace('\r', "");
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("/dev/pts/"), "{text}");
    assert_eq!(lines[1..], ["45 123", "there", "leader"]);
    assert_eq!(job.wait().0, Some(0));
}

#[test]
fn an_identity_is_exact_and_final() {
    if !is_root() {
        println!("skipped: only root can take another identity");
        return;
    }
    for (uid, gid, groups) in [
        (65_534, 65_534, vec![]),
        (1, 1, vec![1, 4]),
        (4_000_000_000, 4_000_000_001, vec![7]),
    ] {
        let shown = groups
            .iter()
            .map(u32::to_string)
            .collect::<Vec<_>>()
            .join(" ");
        let identity = Some(Identity { uid, gid, groups });
        let field = status_of(&SpawnRequest {
            identity,
            ..request(argv(&["cat", "/proc/self/status"]))
        });
        assert_eq!(field("Uid:"), [uid; 4].map(|id| id.to_string()).join(" "));
        assert_eq!(field("Gid:"), [gid; 4].map(|id| id.to_string()).join(" "));
        assert_eq!(field("Groups:"), shown);
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
            assert_eq!(field(set), "0000000000000000", "{set}");
        }
    }
}

#[test]
fn the_users_own_permissions_decide_where_it_may_go() {
    if !is_root() {
        println!("skipped: only root can take another identity");
        return;
    }
    let closed = tempfile::tempdir().expect("a directory");
    let only_root = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(closed.path(), only_root).expect("mode");
    let cwd = closed.path().to_str().expect("text").as_bytes().to_vec();
    let identity = Some(Identity {
        uid: 65_534,
        gid: 65_534,
        groups: Vec::new(),
    });
    let error = fails(&SpawnRequest {
        identity,
        cwd: Some(cwd),
        ..request(argv(&["true"]))
    });
    assert_eq!((error.stage, error.errno), (SpawnStage::Cwd, libc::EACCES));
}

#[test]
fn an_identity_that_cannot_be_had_starts_nothing() {
    // -1 means "leave as it is" to the kernel, so it would stay root.
    let nobody = Identity {
        uid: u32::MAX,
        gid: 65_534,
        groups: Vec::new(),
    };
    let no_group = Identity {
        uid: 65_534,
        gid: u32::MAX,
        groups: Vec::new(),
    };
    let many = Identity {
        uid: 65_534,
        gid: 65_534,
        groups: vec![1; 65_537],
    };
    for identity in [nobody, no_group, many] {
        let error = fails(&SpawnRequest {
            identity: Some(identity),
            ..request(argv(&["true"]))
        });
        assert_eq!(error.stage, SpawnStage::Identity);
    }
    if !is_root() {
        let root = Identity {
            uid: 0,
            gid: 0,
            groups: Vec::new(),
        };
        let error = fails(&SpawnRequest {
            identity: Some(root),
            ..request(argv(&["true"]))
        });
        assert_eq!(
            (error.stage, error.errno),
            (SpawnStage::Identity, libc::EPERM)
        );
    }
}

#[test]
fn a_cgroup_that_is_none_is_a_refusal_of_its_own() {
    let directory = File::open("/").expect("a directory");
    let cgroup = Some(Arc::new(OwnedFd::from(directory)));
    let error = fails(&SpawnRequest {
        cgroup,
        ..request(argv(&["true"]))
    });
    assert_eq!(error.stage, SpawnStage::Cgroup);
}

#[test]
fn the_raised_limit_on_descriptors_is_ours_alone() {
    // In a process of its own: the limit is everybody's in this one.
    if std::env::var_os("RAISE_LIMIT").is_none() {
        let own = std::env::current_exe().expect("a path");
        let mut command = Command::new("sh");
        command
            .args(["-c", "ulimit -Sn 512 && exec \"$0\" the_raised_limit"])
            .arg(own);
        let output = command.env("RAISE_LIMIT", "1").output().expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains("1 passed"),
            "{text}"
        );
        return;
    }
    let raised = redial_keeper::spawn::raise_descriptor_limit().expect("up to the hard limit");
    assert!(raised > 512);
    assert_eq!(
        run(&request(argv(&["sh", "-c", "ulimit -n"]))).text(),
        "512\n"
    );
}
