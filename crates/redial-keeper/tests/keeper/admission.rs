//! Who gets in from the network, whatever the front says: a front that was taken over has what
//! the keys of those who log in let it have, and nothing else.

use std::time::Instant;

use redial_keeper::outcome::{Cause, ControlKind, RefusedCode};
use redial_keeper::signer::SignerLink;
use redial_keeper::wire::{Dismissal, DropPolicy, Program, ToFront, ToKeeper, Verdict};

use crate::harness::{Keeper, is_alive, wait_until};
use crate::login::{Wrong, come_in, dial, host_key, line, log_in, private, proof, question};
use crate::seen::{code, command, shell};

#[test]
fn a_key_that_is_listed_comes_in_and_runs_commands() {
    let (keeper, mut front) = Keeper::start_on_network("", &line(1, ""));
    let caller = come_in(&keeper, &mut front, 1);
    let id = front.start(caller.who, shell("echo hi; exit 7"));
    assert_eq!(code(&front.outcome(caller.who, id)), Some(7));
    assert_eq!(front.seen(&id).bytes[0], b"hi\n");
}

#[test]
fn nobody_does_anything_before_a_login() {
    let (keeper, mut front) = Keeper::start_on_network("", &line(1, ""));
    let owner = come_in(&keeper, &mut front, 1);
    let job = front.start(owner.who, shell("exec sleep 1000"));
    let stranger = dial(&keeper, &mut front);
    front.say(&ToKeeper::Secured(stranger.who));
    // Its own capability, one that nobody has, and the next one.
    for who in [stranger.who, 12_345, stranger.who + 1] {
        let started = front.start_as(who, &command(&["/bin/true"]));
        assert_eq!(started.unwrap_err(), RefusedCode::NotAllowed);
        let attached = front.attach(who, job, true);
        assert_eq!(attached.unwrap_err(), RefusedCode::NotAllowed);
        front.control(who, job, 1, ControlKind::Cancel(0));
        front.say(&ToKeeper::Leave(who, job.into(), true, true));
    }
    front.listen_for(100);
    assert!(front.seen(&job).outcome.is_none());
    assert_eq!(log_in(&mut front, &stranger, question(&[2])), Verdict::Out);
    let started = front.start_as(stranger.who, &command(&["/bin/true"]));
    assert_eq!(started.unwrap_err(), RefusedCode::NotAllowed);
}

#[test]
fn a_proof_of_anything_else_is_none() {
    let other_host = private(7).public_key().clone();
    let wrongs = [
        Wrong {
            user: Some("nobody-else".to_owned()),
            ..Wrong::default()
        },
        Wrong {
            host_key: Some(other_host),
            ..Wrong::default()
        },
        Wrong {
            nonce: Some([3; 32]),
            ..Wrong::default()
        },
        Wrong {
            exporter: Some([3; 32]),
            ..Wrong::default()
        },
    ];
    // A keeper for each: failed logins are held against their source.
    for wrong in wrongs {
        let (keeper, mut front) = Keeper::start_on_network("", &line(1, ""));
        let caller = dial(&keeper, &mut front);
        let login = proof(&caller, 1, &wrong);
        assert_eq!(log_in(&mut front, &caller, login), Verdict::Out);
    }
}

#[test]
fn a_login_is_good_on_its_own_connection_only() {
    let (keeper, mut front) = Keeper::start_on_network("", &line(1, ""));
    let first = dial(&keeper, &mut front);
    let login = proof(&first, 1, &Wrong::default());
    let second = dial(&keeper, &mut front);
    assert_eq!(log_in(&mut front, &second, login.clone()), Verdict::Out);
    assert_eq!(log_in(&mut front, &first, login.clone()), Verdict::In);
    // Once more, it is no stranger's any more: nothing is said to it.
    front.say(&ToKeeper::Login(first.who, Box::new(login)));
    let id = front.start(first.who, shell("exit 3"));
    assert_eq!(code(&front.outcome(first.who, id)), Some(3));
}

#[test]
fn a_key_that_another_signs_for_is_not_proved() {
    let (keeper, mut front) = Keeper::start_on_network("", &line(1, ""));
    let caller = dial(&keeper, &mut front);
    let wrong = Wrong {
        key: Some(private(1).public_key().clone()),
        ..Wrong::default()
    };
    let login = proof(&caller, 2, &wrong);
    assert_eq!(log_in(&mut front, &caller, login), Verdict::Out);
}

#[test]
fn of_several_keys_the_ones_that_would_do_are_named_and_then_proved() {
    let (keeper, mut front) = Keeper::start_on_network("", &(line(2, "") + &line(4, "")));
    let caller = dial(&keeper, &mut front);
    let asked = log_in(&mut front, &caller, question(&[1, 2, 3, 4]));
    assert_eq!(asked, Verdict::Prove(vec![1, 3]));
    let login = proof(&caller, 4, &Wrong::default());
    assert_eq!(log_in(&mut front, &caller, login), Verdict::In);
}

#[test]
fn after_three_answers_that_are_no_the_connection_is_void() {
    let (keeper, mut front) = Keeper::start_on_network("", &line(1, ""));
    let caller = dial(&keeper, &mut front);
    for _ in 0..3 {
        assert_eq!(log_in(&mut front, &caller, question(&[2])), Verdict::Out);
    }
    let login = proof(&caller, 1, &Wrong::default());
    front.say(&ToKeeper::Login(caller.who, Box::new(login)));
    let started = front.start_as(caller.who, &command(&["/bin/true"]));
    assert_eq!(started.unwrap_err(), RefusedCode::NotAllowed);
}

#[test]
fn a_front_that_sends_a_login_on_top_of_another_is_replaced() {
    let (keeper, mut front) = Keeper::start_on_network("", &line(1, ""));
    let caller = dial(&keeper, &mut front);
    let login = ToKeeper::Login(caller.who, Box::new(question(&[1])));
    front.say(&login);
    front.say(&login);
    front.until_gone();
}

#[test]
fn a_forced_command_is_run_whatever_is_asked_for() {
    let forced = line(
        1,
        "command=\"echo $REDIAL_ORIGINAL_COMMAND; echo $V; pwd\",environment=\"V=x y\"",
    );
    let (keeper, mut front) = Keeper::start_on_network("", &forced);
    let caller = come_in(&keeper, &mut front, 1);
    let id = front.start(caller.who, command(&["rm", "-rf", "a b"]));
    assert_eq!(code(&front.outcome(caller.who, id)), Some(0));
    let home = redial_keeper::account::Account::own().unwrap().home;
    let home = String::from_utf8(home).unwrap();
    let said = String::from_utf8_lossy(&front.seen(&id).bytes[0]).into_owned();
    assert_eq!(said, format!("rm -rf 'a b'\nx y\n{home}\n"));
}

#[test]
fn jobs_of_a_restricted_key_are_its_own() {
    let lines = line(1, "") + &line(2, "restrict") + &line(3, "restrict");
    let (keeper, mut front) = Keeper::start_on_network("", &lines);
    let [own, two, three] = [1, 2, 3].map(|seed| come_in(&keeper, &mut front, seed));
    let job = front.start(two.who, shell("exec sleep 1000"));
    let others = front.attach(three.who, job, true);
    assert_eq!(others.unwrap_err(), RefusedCode::NoSuchJob);
    let owners = front.start(own.who, shell("exec sleep 1000"));
    let others = front.attach(two.who, owners, true);
    assert_eq!(others.unwrap_err(), RefusedCode::NoSuchJob);
    front.attach(own.who, job, true).unwrap();
}

#[test]
fn a_removed_key_ends_its_connections_and_its_jobs_and_no_others() {
    let (keeper, mut front) = Keeper::start_on_network("", &(line(1, "") + &line(2, "")));
    let stays = come_in(&keeper, &mut front, 1);
    let goes = come_in(&keeper, &mut front, 2);
    let kept = front.start(stays.who, shell("exec sleep 1000"));
    // Deaf to TERM, and it would be kept if only its line had dropped.
    let mut deaf = shell("trap '' TERM; while :; do sleep 1; done");
    deaf.on_drop = DropPolicy::KeepFor(300_000);
    deaf.job = front.new_id().into();
    let pid = front.start_as(goes.who, &deaf).unwrap().1.pid as i32;
    let began = Instant::now();
    keeper.authorize(&line(1, ""));
    front.hear(|message| {
        (*message == ToFront::Dismissed(goes.who, Dismissal::Revoked)).then_some(())
    });
    wait_until("the job has ended", || !is_alive(pid));
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    let started = front.start_as(goes.who, &command(&["/bin/true"]));
    assert_eq!(started.unwrap_err(), RefusedCode::NotAllowed);
    assert!(front.seen(&kept).outcome.is_none());
    front.control(stays.who, kept, 1, ControlKind::Cancel(0));
    let outcome = front.outcome(stays.who, kept);
    assert!(matches!(outcome.cause, Cause::Cancelled(by) if by.contains("SHA256:")));
}

#[test]
fn a_line_that_changes_is_obeyed_at_the_next_start() {
    let (keeper, mut front) = Keeper::start_on_network("", &line(1, ""));
    let caller = come_in(&keeper, &mut front, 1);
    keeper.authorize(&line(1, "command=\"exit 9\""));
    wait_until("the new line counts", || {
        let id = front.start(caller.who, shell("exit 1"));
        code(&front.outcome(caller.who, id)) == Some(9)
    });
}

#[test]
fn an_expired_key_starts_nothing_more_and_what_runs_runs() {
    let (keeper, mut front) = Keeper::start_on_network("", &line(1, ""));
    let caller = come_in(&keeper, &mut front, 1);
    let runs = front.start(caller.who, shell("exec sleep 1000"));
    keeper.authorize(&line(1, "expiry-time=\"20200101\""));
    let late = dial(&keeper, &mut front);
    let login = proof(&late, 1, &Wrong::default());
    assert_eq!(log_in(&mut front, &late, login), Verdict::Out);
    wait_until("the connection that is there starts nothing either", || {
        let mut new = shell("exit 0");
        new.job = front.new_id().into();
        front.start_as(caller.who, &new).err() == Some(RefusedCode::NotAllowed)
    });
    assert!(front.seen(&runs).outcome.is_none());
    assert!(front.attach(caller.who, runs, true).is_err());
}

#[test]
fn a_file_that_is_written_anew_while_it_is_looked_at_takes_nothing_from_anybody() {
    let (keeper, mut front) = Keeper::start_on_network("", &line(1, ""));
    let caller = come_in(&keeper, &mut front, 1);
    let runs = front.start(caller.who, shell("exec sleep 1000"));
    // Long enough for a look, not for two.
    let began = Instant::now();
    let mut empty = true;
    while began.elapsed().as_millis() < 3_500 {
        keeper.authorize(if empty { "" } else { "# half of a file" });
        front.listen_for(100);
        keeper.authorize(&line(1, ""));
        front.listen_for(400);
        empty = !empty;
    }
    assert!(front.seen(&runs).outcome.is_none());
    let id = front.start(caller.who, shell("exit 6"));
    assert_eq!(code(&front.outcome(caller.who, id)), Some(6));
}

#[test]
fn the_front_has_the_host_key_sign_handshakes_and_nothing_else() {
    let (_keeper, mut front) = Keeper::start_on_network("", &line(1, ""));
    let link = SignerLink::from_fd(front.signer.take().unwrap()).unwrap();
    let text = b"TLS 1.3, server CertificateVerify\0";
    let input = [&[b' '; 64][..], text, &[7; 32]].concat();
    let signature = host_key().sign_certificate_verify(&input).unwrap();
    assert_eq!(link.sign(&input).unwrap(), signature);
    for other in [&input[1..], b"SSHSIG\0\0\0\x0dredial-auth@1", &[0; 32]] {
        link.sign(other).unwrap_err();
    }
}

#[test]
fn commands_are_what_they_were_where_no_key_says_otherwise() {
    let (keeper, mut front) = Keeper::start_on_network("", &line(1, ""));
    let _socket = keeper.dial();
    let who = front.connection();
    let mut asked = command(&["/bin/sh", "-c", "echo $PYTHONPATH"]);
    asked.env = vec![(b"PYTHONPATH".to_vec().into(), b"/x".to_vec().into())];
    assert!(matches!(asked.program, Program::Argv(_)));
    let id = front.start(who, asked);
    front.outcome(who, id);
    assert_eq!(front.seen(&id).bytes[0], b"/x\n");
}
