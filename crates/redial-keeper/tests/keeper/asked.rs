//! What is asked about jobs by who does not hold them.

use redial_keeper::wire::{Ask, Capability, JobId, Reply, ToFront, ToKeeper};

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
