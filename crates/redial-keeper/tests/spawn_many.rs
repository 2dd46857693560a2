//! Nothing is left behind. Alone in its process, so that it can count.

mod child;

use child::{Job, argv, request};
use redial_keeper::spawn::{SpawnRequest, Spawner};
use rustix::process::{WaitId, WaitIdOptions, waitid};

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("our own").count()
}

#[test]
fn two_thousand_processes_leave_no_zombie_and_no_descriptor() {
    let before = open_descriptors();
    let mut spawner = Spawner::new().expect("descriptors and memory");
    let good = request(argv(&["/bin/true"]));
    let no_program = request(argv(&["/nonexistent"]));
    let no_directory = SpawnRequest {
        cwd: Some(b"/nonexistent".to_vec()),
        ..good.clone()
    };
    for _ in 0..1_000 {
        let mut job = Job::start(&mut spawner, &good);
        assert_eq!(job.wait(), (Some(0), None));
    }
    for _ in 0..500 {
        spawner.spawn(&no_program).expect_err("no such program");
        spawner.spawn(&no_directory).expect_err("no such directory");
    }
    let children = waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
    assert_eq!(
        children.err(),
        Some(rustix::io::Errno::CHILD),
        "a child is left"
    );
    drop(spawner);
    assert_eq!(open_descriptors(), before);
}
