//! Whatever a front says, the keeper lives on.

use minicbor::bytes::{ByteArray, ByteVec};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use redial_keeper::outcome::ControlKind;
use redial_keeper::wire::{Ask, ToKeeper};

use crate::front::Front;
use crate::harness::Keeper;
use crate::seen::{code, command, shell};

const MESSAGES: usize = 10_000;

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        Just(u64::MAX),
        Just(u64::MAX - 65_535),
        0..200_000_u64,
        any::<u64>(),
    ]
}

fn control() -> impl Strategy<Value = ControlKind> {
    prop_oneof![
        // Not KILL too often: the jobs are to live a while.
        (0..=255_u8).prop_map(ControlKind::Signal),
        any::<(u16, u16, u16, u16)>().prop_map(|(a, b, c, d)| ControlKind::Resize(a, b, c, d)),
        any::<u8>().prop_map(ControlKind::Stop),
        prop_oneof![Just(0), Just(u32::MAX), Just(30)].prop_map(ControlKind::Cancel),
    ]
}

fn ask(job: impl Strategy<Value = ByteArray<16>> + Clone + 'static) -> impl Strategy<Value = Ask> {
    let request = any::<[u8; 16]>();
    prop_oneof![
        (".{0,8}", proptest::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(prefix, after)| Ask::List(prefix, after.into())),
        (job.clone(), request, any::<u8>()).prop_map(|(job, request, signal)| Ask::Signal(
            job,
            request.into(),
            signal
        )),
        (job.clone(), request, 0..50_u32).prop_map(|(job, request, grace)| Ask::Cancel(
            job,
            request.into(),
            grace
        )),
        job.prop_map(Ask::Remove),
    ]
}

/// Messages about these jobs and capabilities, and others.
fn message(who: u32, jobs: Vec<[u8; 16]>) -> impl Strategy<Value = ToKeeper> {
    let job = prop_oneof![
        8 => proptest::sample::select(jobs).prop_map(Into::into),
        1 => any::<[u8; 16]>().prop_map(Into::into),
    ]
    .boxed();
    let who = prop_oneof![8 => Just(who), 1 => any::<u32>()].boxed();
    let bytes = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        Just(minicbor::to_vec(shell("exit 0")).unwrap()),
        Just(vec![0x9F; 1_000]),
    ]
    .prop_map(ByteVec::from);
    let (w, j) = (move || who.clone(), move || job.clone());
    prop_oneof![
        (w(), bytes.clone()).prop_map(|(w, bytes)| ToKeeper::Start(w, 0, bytes)),
        (w(), j(), any::<bool>()).prop_map(|(w, j, take)| ToKeeper::Attach(w, 0, j, take)),
        (w(), j(), number(), number()).prop_map(|(w, j, a, b)| ToKeeper::Acknowledge(w, j, a, b)),
        (w(), j(), number()).prop_map(|(w, j, at)| ToKeeper::Stdin(w, j, at)),
        (w(), j(), number()).prop_map(|(w, j, at)| ToKeeper::StdinEnd(w, j, at)),
        (w(), j(), number(), control()).prop_map(|(w, j, n, it)| ToKeeper::Control(w, j, n, it)),
        (w(), j(), any::<(bool, bool)>())
            .prop_map(|(w, j, (seen, held))| ToKeeper::Leave(w, j, seen, held)),
        (w(), ask(j())).prop_map(|(w, ask)| ToKeeper::Query(w, 0, Box::new(ask))),
        // The own connection stays, for else all that follows would be refused.
        any::<u32>()
            .prop_filter("not ours", |w| *w > 100)
            .prop_map(ToKeeper::Closed),
    ]
}

fn some_jobs(front: &mut Front, who: u32) -> Vec<[u8; 16]> {
    let texts = [
        "cat",
        "yes",
        "sleep 60",
        "echo out; echo err >&2; cat",
        "yes >&2 & yes & wait",
    ];
    texts
        .map(|text| {
            let mut command = shell(text);
            command.stdin = true;
            front.start(who, command)
        })
        .to_vec()
}

#[test]
fn ten_thousand_messages_of_nonsense_change_nothing() {
    let (keeper, mut front) = Keeper::start("");
    let _line = keeper.dial();
    let who = front.connection();
    // The pools and the allocator have been in use before it is measured.
    front.run(who, command(&["head", "-c", "3000000", "/dev/zero"]));
    let before = keeper.memory_kib();
    let seed = seed();
    println!("seed {seed:?}");
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut jobs = some_jobs(&mut front, who);
    for count in 0..MESSAGES {
        if count % 1_000 == 999 {
            jobs.iter()
                .for_each(|id| front.control(who, *id, u64::MAX, ControlKind::Cancel(0)));
            jobs.iter()
                .for_each(|id| front.say(&ToKeeper::Leave(who, (*id).into(), false, true)));
            jobs = some_jobs(&mut front, who);
        }
        let message = message(who, jobs.clone())
            .new_tree(&mut runner)
            .unwrap()
            .current();
        // One at a time could not be mixed with the pieces of another.
        front.say(&message);
        if count % 50 == 0 {
            front.listen_for(0);
        }
    }
    let (stdout, _, outcome) = front.run(who, command(&["echo", "still there"]));
    assert_eq!(
        (stdout.as_slice(), code(&outcome)),
        (&b"still there\n"[..], Some(0))
    );
    let after = keeper.memory_kib();
    assert!(
        after < before + 10 * 1_024,
        "memory: {before} KiB, then {after} KiB"
    );
}

fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::empty()).unwrap();
    seed
}

#[test]
fn pieces_without_end_are_bounded() {
    let (keeper, mut front) = Keeper::start("");
    let _line = keeper.dial();
    let who = front.connection();
    let mut next = keeper.supply_front();
    for _ in 0..200 {
        if front.is_gone {
            break;
        }
        let piece = ToKeeper::StartPiece(who, ByteVec::from(vec![0; 60_000]));
        front.say(&piece);
        front.listen_for(0);
    }
    front.until_gone();
    next.begin();
}

#[test]
fn a_front_that_does_not_listen_costs_no_memory() {
    let (keeper, mut front) = Keeper::start("");
    let _line = keeper.dial();
    let who = front.connection();
    let mut cat = command(&["cat"]);
    cat.stdin = true;
    let id = front.start(who, cat);
    let before = keeper.memory_kib();
    let mut packet = Vec::new();
    for number in 1_000_000..1_001_000 {
        minicbor::encode(ToKeeper::Attach(who, number, id.into(), false), &mut packet).unwrap();
    }
    // More answers than any socket holds; at some point it takes no more requests.
    for _ in 0..500 {
        front.say_raw(&packet);
    }
    let after = keeper.memory_kib();
    assert!(
        after < before + 4 * 1_024,
        "memory: {before} KiB, then {after} KiB"
    );
    front.listen_for(50);
    assert_eq!(code(&front.run(who, command(&["true"])).2), Some(0));
}
