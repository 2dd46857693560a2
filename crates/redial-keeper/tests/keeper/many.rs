//! Many jobs, and nothing left of them.

use redial_keeper::outcome::RefusedCode;
use redial_keeper::wire::ToKeeper;

use crate::harness::{Keeper, wait_until};
use crate::seen::{code, command};

#[test]
fn thousands_of_jobs_leave_no_zombie_no_descriptor_and_no_memory() {
    const JOBS: usize = 5_000;
    const IN_FLIGHT: usize = 32;
    let (keeper, mut front) = Keeper::start("ended_records=500");
    let _line = keeper.dial();
    let who = front.connection();
    let mut flying = std::collections::VecDeque::new();
    let mut before = (0, 0);
    for number in 0..JOBS {
        if number == JOBS / 5 {
            flying.drain(..).for_each(|id| finish(&mut front, who, id));
            before = (keeper.descriptors(), keeper.memory_kib());
        }
        let mut job = command(&["true"]);
        let id = front.new_id();
        job.job = id.into();
        front.send_start(who, &job);
        flying.push_back(id);
        if flying.len() >= IN_FLIGHT {
            let id = flying.pop_front().unwrap();
            finish(&mut front, who, id);
        }
    }
    flying.drain(..).for_each(|id| finish(&mut front, who, id));
    wait_until("all children are reaped", || keeper.children().is_empty());
    let after = (keeper.descriptors(), keeper.memory_kib());
    // Cgroups are kept for the next job, two descriptors each: as many as were ever in
    // use at once, which on a busy machine may be some more than before.
    assert!(
        after.0 <= before.0 + 2 * IN_FLIGHT,
        "descriptors: {}, then {}",
        before.0,
        after.0
    );
    assert!(
        after.1 < before.1 + 1_024,
        "memory: {} KiB, then {} KiB",
        before.1,
        after.1
    );
}

fn finish(front: &mut crate::front::Front, who: u32, id: [u8; 16]) {
    front.until("it has ended", |front| {
        front.jobs.get(&id).is_some_and(|job| job.outcome.is_some())
    });
    assert_eq!(code(front.jobs[&id].outcome.as_ref().unwrap()), Some(0));
    front.say(&ToKeeper::Leave(who, id.into(), true, true));
    front.jobs.remove(&id);
}

#[test]
fn the_limit_on_jobs_and_the_pool_refuse_in_words_and_room_comes_back() {
    for (limits, refused) in [
        ("jobs=3", RefusedCode::Jobs),
        ("output_pool_bytes=393216", RefusedCode::LogPool),
        ("stdin_pool_bytes=196608", RefusedCode::LogPool),
    ] {
        let (keeper, mut front) = Keeper::start(limits);
        let _line = keeper.dial();
        let who = front.connection();
        let mut cat = command(&["cat"]);
        cat.stdin = true;
        let ids: Vec<_> = (0..3).map(|_| front.start(who, cat.clone())).collect();
        cat.job = front.new_id().into();
        assert_eq!(front.start_as(who, &cat).unwrap_err(), refused, "{limits}");
        front.end_stdin(who, ids[0]);
        front.outcome(who, ids[0]);
        front.say(&ToKeeper::Leave(who, ids[0].into(), true, true));
        assert!(front.start_as(who, &cat).unwrap().0, "{limits}");
    }
}

#[test]
fn an_idle_keeper_gives_the_memory_of_its_logs_back() {
    let (keeper, mut front) = Keeper::start("");
    let _line = keeper.dial();
    let who = front.connection();
    let size = front
        .run(who, command(&["head", "-c", "20000000", "/dev/zero"]))
        .0
        .len();
    assert_eq!(size, 20_000_000);
    // The blocks of a memfd are its touched pages.
    let blocks = || -> u64 {
        let fds = std::fs::read_dir(format!("/proc/{}/fd", keeper.pid())).unwrap();
        fds.filter_map(|fd| {
            let path = fd.ok()?.path();
            let target = std::fs::read_link(&path).ok()?;
            let is_pool = target.to_string_lossy().contains("redial-");
            let blocks = || {
                Some(std::os::unix::fs::MetadataExt::blocks(
                    &std::fs::metadata(path).ok()?,
                ))
            };
            if is_pool { blocks() } else { None }
        })
        .sum()
    };
    assert!(blocks() > 0);
    wait_until("the pools are cold", || blocks() == 0);
}
