//! What a started process is, has and has not.

mod common;

use common::{Job, account, argv, request};
use redial_keeper::spawn::{SpawnStage, Spawner};

fn spawner() -> Spawner {
    Spawner::new().expect("descriptors and memory")
}

#[test]
fn a_program_runs_and_its_exit_and_streams_are_ours() {
    let mut spawner = spawner();
    let job = Job::start(
        &mut spawner,
        &request(argv(&["sh", "-c", "cat; echo err >&2; exit 3"])),
    );
    let ended = job.finish(b"hello\n");
    assert_eq!(ended.code, Some(3));
    assert_eq!(ended.stdout, b"hello\n");
    assert_eq!(ended.stderr, b"err\n");
}

#[test]
fn what_is_not_there_or_not_to_be_run_says_so() {
    let mut spawner = spawner();
    for (program, errno) in [
        ("/nonexistent", libc::ENOENT),
        ("no-such-program", libc::ENOENT),
        ("", libc::ENOENT),
        ("/etc/passwd", libc::EACCES),
        ("/etc/passwd/x", libc::ENOENT),
        ("/", libc::EACCES),
    ] {
        let error = spawner
            .spawn(&request(argv(&[program])))
            .expect_err("cannot run");
        assert_eq!(
            (error.stage, error.errno),
            (SpawnStage::Exec, errno),
            "{program}: {error}"
        );
        assert_eq!(error.path, program.as_bytes());
    }
    let _ = account();
}
