//! Strangers have no slot that they could keep from others.

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use redial_keeper::wire::{Capability, Dismissal, ToFront, ToKeeper, Verdict};

use crate::front::Front;
use crate::harness::Keeper;
use crate::login::{Caller, come_in, dial, line, log_in, question};
use crate::seen::{code, shell};

/// From one source, before the oldest goes.
const PER_SOURCE: usize = 100;

fn dismissed(front: &mut Front) -> Capability {
    front.hear(|message| match message {
        ToFront::Dismissed(who, Dismissal::Stranger) => Some(*who),
        _ => None,
    })
}

#[test]
fn when_a_source_is_full_its_oldest_goes_and_who_has_finished_tls_goes_last() {
    let (keeper, mut front) = Keeper::start_on_network("", &line(1, ""));
    let callers: Vec<Caller> = (0..PER_SOURCE).map(|_| dial(&keeper, &mut front)).collect();
    front.say(&ToKeeper::Secured(callers[0].who));
    // Taken in before the next one comes.
    assert_eq!(
        log_in(&mut front, &callers[50], question(&[1])),
        Verdict::Prove(vec![0])
    );
    let _next = dial(&keeper, &mut front);
    assert_eq!(dismissed(&mut front), callers[1].who);
    let _more = dial(&keeper, &mut front);
    assert_eq!(dismissed(&mut front), callers[2].who);
}

#[test]
fn who_has_come_in_is_no_stranger_and_stays() {
    let (keeper, mut front) = Keeper::start_on_network("", &line(1, ""));
    let inside = come_in(&keeper, &mut front, 1);
    let _callers: Vec<Caller> = (0..PER_SOURCE + 1)
        .map(|_| dial(&keeper, &mut front))
        .collect();
    assert_ne!(dismissed(&mut front), inside.who);
    let id = front.start(inside.who, shell("exit 4"));
    assert_eq!(code(&front.outcome(inside.who, id)), Some(4));
}

#[test]
fn strangers_go_when_their_time_is_over_though_the_front_does_nothing() {
    let (keeper, mut front) = Keeper::start_on_network("handshake_ms=200", &line(1, ""));
    let caller = dial(&keeper, &mut front);
    assert_eq!(dismissed(&mut front), caller.who);
}

#[test]
fn a_source_whose_logins_fail_is_not_heard_for_a_while_and_connections_alone_cost_nothing() {
    let (keeper, mut front) = Keeper::start_on_network("", &line(1, ""));
    for _ in 0..20 {
        let caller = dial(&keeper, &mut front);
        front.say(&ToKeeper::Closed(caller.who));
    }
    // Three times 5 s, of which a moment is over when the third is added, and one more.
    for _ in 0..4 {
        let caller = dial(&keeper, &mut front);
        assert_eq!(log_in(&mut front, &caller, question(&[2])), Verdict::Out);
        // It leaves without having come in: then it counts.
        front.say(&ToKeeper::Closed(caller.who));
    }
    let mut refused = TcpStream::connect(keeper.address()).unwrap();
    refused
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    assert!(matches!(refused.read(&mut [0]), Ok(0) | Err(_)));
    // On the Unix socket nobody has to suffer for it.
    let _socket = keeper.dial();
    let who = front.connection();
    let id = front.start(who, shell("exit 5"));
    assert_eq!(code(&front.outcome(who, id)), Some(5));
}

#[test]
fn who_comes_in_after_all_pays_for_nothing() {
    let (keeper, mut front) = Keeper::start_on_network("", &line(1, ""));
    for _ in 0..6 {
        let caller = dial(&keeper, &mut front);
        assert_eq!(log_in(&mut front, &caller, question(&[2])), Verdict::Out);
        let login = crate::login::proof(&caller, 1, &crate::login::Wrong::default());
        assert_eq!(log_in(&mut front, &caller, login), Verdict::In);
        front.say(&ToKeeper::Closed(caller.who));
    }
}

#[test]
fn at_most_so_many_connections_come_in() {
    let (keeper, mut front) = Keeper::start_on_network("connections=1", &line(1, ""));
    let _inside = come_in(&keeper, &mut front, 1);
    let second = dial(&keeper, &mut front);
    let login = crate::login::proof(&second, 1, &crate::login::Wrong::default());
    front.say(&ToKeeper::Login(second.who, Box::new(login)));
    front.hear(|message| {
        (*message == ToFront::Dismissed(second.who, Dismissal::Full)).then_some(())
    });
}
