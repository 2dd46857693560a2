//! What needs no cgroup to be tested.

use super::*;

#[test]
fn a_directory_that_cannot_be_used_is_removed_and_does_not_count() {
    // No cgroup file system, so there is no cgroup.events in it.
    let directory = tempfile::tempdir().unwrap();
    let mut root = std::mem::ManuallyDrop::new(CgroupRoot {
        path: directory.path().to_owned(),
        lock: std::fs::File::open(directory.path()).unwrap().into(),
        made: 0,
        present: 0,
        free: Vec::new(),
        populated: VecDeque::new(),
        handed: None,
    });
    for _ in 0..3 {
        assert_eq!(root.acquire().unwrap_err().kind(), io::ErrorKind::NotFound);
    }
    assert_eq!(root.present, 0);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}
