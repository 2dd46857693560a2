//! Output, stdin, backpressure, readers.

use redial_keeper::outcome::{ControlKind, Exit, RefusedCode, Status};
use redial_keeper::wire::ToKeeper;

use crate::harness::Keeper;
use crate::seen::{code, command, shell};

/// What the log of one stream takes, by default.
const LOG_BYTES: usize = 2 * 1024 * 1024;
/// More than that, but not more than a pipe takes besides.
const BESIDES: usize = 51_424;

#[test]
fn true_ends_well_without_a_byte() {
    let (keeper, mut front) = Keeper::start("");
    let _line = keeper.dial();
    let who = front.connection();
    let (stdout, stderr, outcome) = front.run(who, command(&["true"]));
    assert_eq!((stdout.len(), stderr.len()), (0, 0));
    assert_eq!(outcome.status, Status::Ended(Exit::Code(0)));
    assert!(outcome.stdout.complete && outcome.stderr.complete && outcome.stdin.complete);
    assert_eq!(*outcome.stdout.checksum, [0; 16]);
    assert_eq!(outcome.lingering, 0);
}

#[test]
fn both_outputs_are_exact_and_keep_their_order() {
    let (keeper, mut front) = Keeper::start("");
    let _line = keeper.dial();
    let who = front.connection();
    // Each write waits until the one before has been seen, so that the order is certain.
    let text = "for i in 1 2 3 4 5; do echo out$i; read x; echo err$i >&2; read x; done; exit 3";
    let mut job = shell(text);
    job.stdin = true;
    let id = front.start(who, job);
    for number in 1..=10 {
        front.until("the next is there", |front| {
            let bytes = &front.jobs[&id].bytes;
            bytes[0].len() + bytes[1].len() == 5 * number
        });
        front.write_stdin(who, id, b"\n");
    }
    let outcome = front.outcome(who, id);
    let seen = front.seen(&id);
    assert_eq!(seen.bytes[0], b"out1\nout2\nout3\nout4\nout5\n");
    assert_eq!(seen.bytes[1], b"err1\nerr2\nerr3\nerr4\nerr5\n");
    assert_eq!(seen.order, [(1, 5), (2, 5)].repeat(5));
    assert_eq!(seen.ends, [Some(25), Some(25)]);
    assert_eq!(code(&outcome), Some(3));
    assert_eq!(outcome.stdout.bytes, 25);
}

#[test]
fn large_output_is_exact_and_its_checksum_true() {
    let (keeper, mut front) = Keeper::start("");
    let _line = keeper.dial();
    let who = front.connection();
    let (stdout, stderr, outcome) =
        front.run(who, shell("seq 1 2000000; head -c 3000000 /dev/zero >&2"));
    let expected: String = (1..=2_000_000)
        .map(|number| format!("{number}\n"))
        .collect();
    assert!(stdout == expected.as_bytes());
    assert!(stderr == vec![0; 3_000_000]);
    let checksum = stdout
        .chunks(65_536)
        .fold([0; 16], |value: [u8; 16], block| {
            xxhash_rust::xxh3::xxh3_128(&[&value[..], block].concat()).to_be_bytes()
        });
    assert_eq!(*outcome.stdout.checksum, checksum);
    assert!(outcome.stdout.complete);
}

#[test]
fn a_reader_that_does_not_acknowledge_stops_the_child_and_goes_on_where_it_was() {
    let (keeper, mut front) = Keeper::start("");
    let _line = keeper.dial();
    let who = front.connection();
    let id = front.start(who, command(&["head", "-c", "10000000", "/dev/zero"]));
    front.listen_for(300);
    let logged = front.seen(&id).bytes[0].len();
    assert!(
        logged > LOG_BYTES / 2 && logged <= LOG_BYTES,
        "{logged} bytes in the log"
    );
    assert!(front.seen(&id).exit.is_none());
    // A neighbour does not notice.
    let (stdout, _, _) = front.run(who, command(&["echo", "hello"]));
    assert_eq!(stdout, b"hello\n");
    front.acknowledge(who, id);
    assert_eq!(code(&front.outcome(who, id)), Some(0));
    assert_eq!(front.seen(&id).bytes[0].len(), 10_000_000);
}

#[test]
fn what_a_job_wrote_before_its_exit_is_kept_for_a_slow_reader() {
    let (keeper, mut front) = Keeper::start("");
    let _line = keeper.dial();
    let who = front.connection();
    let mut command = shell("(sleep 60 &) ; head -c 2148576 /dev/zero; exit 4");
    command.drain_ms = 50;
    let id = front.start(who, command);
    // The log is full, a pipe's worth waits, and the drain time is long over.
    front.until("it has exited", |front| front.jobs[&id].exit.is_some());
    front.listen_for(200);
    assert!(front.seen(&id).outcome.is_none());
    let outcome = front.outcome(who, id);
    assert_eq!(front.seen(&id).bytes[0].len(), LOG_BYTES + BESIDES);
    assert!(!outcome.stdout.complete);
    let mut sleepers = outcome.holders.iter().filter(|(_, name)| name == "sleep");
    let (holder, _) = sleepers.next().expect("the holder is named");
    assert!(sleepers.next().is_none(), "once");
    let holder = rustix::process::Pid::from_raw(holder.cast_signed()).unwrap();
    rustix::process::kill_process(holder, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn a_reader_slower_than_the_drain_loses_nothing_and_is_told_so() {
    let (keeper, mut front) = Keeper::start("");
    let _line = keeper.dial();
    let who = front.connection();
    // More than the log takes, but not more than a pipe does besides, so that the rest
    // waits there; just as much, so that only the end does.
    for (bytes, drain_ms) in [
        (LOG_BYTES + BESIDES, 0),
        (LOG_BYTES + BESIDES, 100),
        (LOG_BYTES, 0),
    ] {
        let mut command = command(&["head", "-c", &bytes.to_string(), "/dev/zero"]);
        command.drain_ms = drain_ms;
        let id = front.start(who, command);
        front.until("it has exited", |front| front.jobs[&id].exit.is_some());
        front.listen_for(200 + u64::from(drain_ms));
        assert!(front.seen(&id).outcome.is_none());
        let outcome = front.outcome(who, id);
        assert_eq!(front.seen(&id).bytes[0].len(), bytes);
        assert!(outcome.stdout.complete, "{bytes} bytes, drain {drain_ms}");
        assert!(outcome.holders.is_empty());
    }
}

#[test]
fn stdin_goes_through_cat_and_back() {
    let (keeper, mut front) = Keeper::start("");
    let _line = keeper.dial();
    let who = front.connection();
    let mut cat = command(&["cat"]);
    cat.stdin = true;
    let id = front.start(who, cat);
    let bytes: Vec<u8> = (0_u32..1_000_000).flat_map(u32::to_le_bytes).collect();
    let (mut sent, mut taken) = (0, 0);
    while sent < bytes.len() {
        sent += front.write_stdin(who, id, &bytes[sent..]);
        let seen = front.seen(&id).bytes[0].len();
        if sent < bytes.len() {
            // Output too: what is not acknowledged would stop `cat`, and that the room.
            front.until("there is room for stdin, or output", |front| {
                let now = &front.jobs[&id];
                now.has_stdin_room() || now.bytes[0].len() > seen
            });
        }
        let before = std::mem::replace(&mut taken, front.seen(&id).stdin_taken);
        assert!(before <= taken && taken <= sent as u64);
        front.acknowledge(who, id);
    }
    assert!(taken > 0);
    front.end_stdin(who, id);
    let outcome = front.outcome(who, id);
    assert!(front.seen(&id).bytes[0] == bytes);
    assert_eq!(outcome.stdin.bytes, bytes.len() as u64);
    assert_eq!(outcome.stdin.checksum, outcome.stdout.checksum);
    assert!(outcome.stdin.complete);
}

#[test]
fn jobs_that_were_given_a_little_stdin_leave_the_pool_to_others() {
    let (keeper, mut front) = Keeper::start(&format!("stdin_pool_bytes={}", 16 * 65_536));
    let _line = keeper.dial();
    let who = front.connection();
    let mut cat = command(&["cat"]);
    cat.stdin = true;
    let mut start_one = |front: &mut crate::front::Front| {
        let id = front.new_id();
        cat.job = id.into();
        front.start_as(who, &cat).map(|_| id)
    };
    for number in 0..16 {
        let id = start_one(&mut front).unwrap_or_else(|code| panic!("job {number}: {code:?}"));
        assert_eq!(front.write_stdin(who, id, b"x"), 1);
        front.until("it comes back", |front| front.jobs[&id].bytes[0] == b"x");
    }
    assert_eq!(start_one(&mut front), Err(RefusedCode::LogPool));
}

#[test]
fn a_child_that_closes_its_stdin_is_told_of() {
    let (keeper, mut front) = Keeper::start("");
    let _line = keeper.dial();
    let who = front.connection();
    let mut command = shell("exec <&-; sleep 0.3; echo still here");
    command.stdin = true;
    let id = front.start(who, command);
    front.until("stdin is closed", |front| front.jobs[&id].stdin_closed);
    front.write_stdin(who, id, b"too late");
    let outcome = front.outcome(who, id);
    assert_eq!(front.seen(&id).bytes[0], b"still here\n");
    assert_eq!(outcome.stdin.bytes, 0);
}

#[test]
fn a_stopped_output_ends_the_writer_and_is_not_complete() {
    let (keeper, mut front) = Keeper::start("");
    let _line = keeper.dial();
    let who = front.connection();
    let id = front.start(who, command(&["yes"]));
    front.until("there is output", |front| {
        !front.jobs[&id].bytes[0].is_empty()
    });
    front.control(who, id, 1, ControlKind::Stop(1));
    let outcome = front.outcome(who, id);
    assert_eq!(outcome.status, Status::Ended(Exit::Signal(13, false)));
    assert!(!outcome.stdout.complete && outcome.stderr.complete);
    assert_eq!(front.seen(&id).applied, 1);
}

#[test]
fn only_the_holder_writes_acknowledges_and_controls() {
    let (keeper, mut front) = Keeper::start("");
    let (_line, _other_line) = (keeper.dial(), keeper.dial());
    let (who, other) = (front.connection(), front.connection());
    let mut cat = command(&["cat"]);
    cat.stdin = true;
    let id = front.start(who, cat);
    let (_, snapshot) = front.attach(other, id, false).unwrap();
    assert!(!snapshot.holder);
    front.control(other, id, 7, ControlKind::Cancel(0));
    front.say(&ToKeeper::Stdin(other, id.into(), 5));
    front.say(&ToKeeper::StdinEnd(other, id.into(), 0));
    assert_eq!(front.write_stdin(who, id, b"mine"), 4);
    front.until("cat answers", |front| front.jobs[&id].bytes[0] == b"mine");
    assert!(front.attach(other, id, true).unwrap().1.holder);
    front.until("the hold is lost", |front| front.lost == [(who, id)]);
    front.control(who, id, 8, ControlKind::Cancel(0));
    front.end_stdin(other, id);
    let outcome = front.outcome(other, id);
    assert_eq!(code(&outcome), Some(0));
    assert_eq!(front.seen(&id).applied, 0);
}
