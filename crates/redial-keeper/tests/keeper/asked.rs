//! What is asked about jobs by who does not hold them.

use redial_keeper::outcome::{ControlKind, RefusedCode};
use redial_keeper::wire::{Ask, Capability, DropPolicy, JobId, Reply, ToFront, ToKeeper};

use crate::front::Front;
use crate::harness::Keeper;
use crate::seen::shell;

/// SIGUSR1, SIGKILL (signal(7)).
const USR1: u8 = 10;
const KILL: u8 = 9;

fn ask(front: &mut Front, who: Capability, ask: Ask) -> Option<Reply> {
    front.say(&ToKeeper::Query(who, 0, Box::new(ask)));
    front.hear(|message| match message {
        ToFront::Answer(_, reply) => Some(Some((**reply).clone())),
        ToFront::Refused(..) => Some(None),
        _ => None,
    })
}

fn signal(front: &mut Front, who: Capability, id: JobId, request: u8, signal: u8) -> Option<Reply> {
    let request = [request; 16].into();
    ask(front, who, Ask::Signal(id.into(), request, signal))
}

#[test]
fn a_request_is_done_once_however_often_it_is_sent() {
    let (keeper, mut front) = Keeper::start("");
    let _lines = [keeper.dial(), keeper.dial()];
    let [who, other] = [front.connection(), front.connection()];
    let text = "trap 'echo got' USR1; echo up; while :; do sleep 0.01; done";
    let id = front.start(who, shell(text));
    front.until("it is up", |front| front.jobs[&id].bytes[0] == b"up\n");
    for (request, expected) in [(1, &b"up\ngot\n"[..]), (2, b"up\ngot\ngot\n")] {
        for _ in 0..3 {
            let reply = signal(&mut front, other, id, request, USR1);
            assert_eq!(reply, Some(Reply::Done));
        }
        front.until("it has come", |front| front.jobs[&id].bytes[0] == expected);
    }
    assert_eq!(signal(&mut front, other, id, 3, KILL), Some(Reply::Done));
    front.until("it has ended", |front| front.jobs[&id].outcome.is_some());
    assert_eq!(front.seen(&id).bytes[0], b"up\ngot\ngot\n");
    assert_eq!(signal(&mut front, other, id, 4, KILL), None, "it is over");
}

#[test]
fn jobs_are_listed_in_pages_each_once_and_by_how_their_names_begin() {
    let (keeper, mut front) = Keeper::start("jobs=400");
    let _line = keeper.dial();
    let who = front.connection();
    let long = "x".repeat(300);
    let mut started: Vec<JobId> = (0..300)
        .map(|_| front.start(who, shell(&format!("sleep 60 # {long}"))))
        .collect();
    started.sort_unstable();
    let (mut listed, mut after, mut pages) = (Vec::new(), Vec::new(), 0);
    loop {
        let list = Ask::List(String::new(), after.into());
        let Some(Reply::Jobs(jobs, more)) = ask(&mut front, who, list) else {
            panic!("no list");
        };
        pages += 1;
        listed.extend(jobs.iter().map(|job| JobId::from(job.job)));
        after = listed.last().unwrap().to_vec();
        if !more {
            break;
        }
    }
    assert!(pages > 1, "{pages}");
    assert_eq!(listed, started);
    let none = ask(
        &mut front,
        who,
        Ask::List("no".to_owned(), Vec::new().into()),
    );
    assert_eq!(none, Some(Reply::Jobs(Vec::new(), false)));
}

#[test]
fn a_job_that_its_holder_still_reads_is_not_removed_under_it() {
    let (keeper, mut front) = Keeper::start("");
    let _lines = [keeper.dial(), keeper.dial()];
    let [who, other] = [front.connection(), front.connection()];
    let mut job = shell("echo hello");
    job.on_drop = DropPolicy::KeepFor(60_000);
    let id = front.start(who, job);
    front.until("it has ended", |front| front.jobs[&id].outcome.is_some());
    assert_eq!(ask(&mut front, other, Ask::Remove(id.into())), None);
    assert!(front.attach(other, id, false).is_ok(), "it is still there");
    front.say(&ToKeeper::Leave(who, id.into(), false, true));
    let removed = ask(&mut front, other, Ask::Remove(id.into()));
    assert_eq!(removed, Some(Reply::Done));
}

#[test]
fn output_that_is_given_up_is_no_other_jobs_before_the_front_has_read_on() {
    let (keeper, mut front) = Keeper::start("output_pool_bytes=524288");
    let _lines = [keeper.dial(), keeper.dial()];
    let [who, other] = [front.connection(), front.connection()];
    let id = front.start(who, shell("printf AAAAAAAA; exec sleep 60"));
    front.until("it is there", |front| front.jobs[&id].bytes[0].len() == 8);
    front.attach(other, id, false).unwrap();
    let slot = front.jobs[&id].chunks[&(1, 0)];
    front.answers_echoes = false;
    front.control(who, id, 1, ControlKind::Stop(1));
    front.until("the echo is asked for", |front| !front.echoes.is_empty());
    let bytes = |front: &Front| {
        let output = front.output.as_ref().unwrap();
        output.slice(slot, 0..8).unwrap().to_vec()
    };
    let start = |front: &mut Front| {
        let mut command = shell("printf BBBBBBBB; printf BBBBBBBB >&2; exec sleep 60");
        command.job = front.new_id().into();
        let started = front.start_as(who, &command);
        started.map(|_| *command.job)
    };
    let written = |front: &mut Front, id| {
        front.until("it has written", |front| {
            front.jobs[&id].bytes.iter().all(|bytes| bytes.len() == 8)
        });
    };
    let refused = loop {
        match start(&mut front) {
            Ok(id) => written(&mut front, id),
            Err(code) => break code,
        }
    };
    assert_eq!(refused, RefusedCode::LogPool, "every chunk is in use");
    assert_eq!(bytes(&front), b"AAAAAAAA");
    let echo = front.echoes.pop().unwrap();
    front.say(&ToKeeper::Echo(echo));
    // Its other output has a chunk still, and a job needs two.
    front.control(who, id, 2, ControlKind::Stop(2));
    front.until("the next echo is asked for", |front| {
        !front.echoes.is_empty()
    });
    front.say(&ToKeeper::Echo(echo + 1));
    front.until("both are free", |front| front.jobs[&id].applied == 2);
    let next = start(&mut front).unwrap();
    written(&mut front, next);
    assert_eq!(bytes(&front), b"BBBBBBBB");
}
