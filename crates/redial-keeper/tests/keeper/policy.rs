//! A front that was taken over cannot step round what a key's line allows.

use redial_keeper::outcome::{ControlKind, RefusedCode};
use redial_keeper::wire::{Ask, Command, ToFront, ToKeeper};

use crate::harness::{Keeper, wait_until};
use crate::login::{come_in, line};
use crate::seen::{self, code, shell};

/// In the user's home.
fn command(argv: &[&str]) -> Command {
    Command {
        cwd: None,
        ..seen::command(argv)
    }
}

#[test]
fn only_what_allow_argv_has_is_started_however_it_is_asked_for() {
    let options = "allow-argv=\"echo ?*,/bin/false\"";
    let (keeper, mut front) = Keeper::start_on_network("", &line(1, options));
    let caller = come_in(&keeper, &mut front, 1);
    let id = front.start(caller.who, command(&["echo", "a b"]));
    front.outcome(caller.who, id);
    assert_eq!(front.seen(&id).bytes[0], b"a b\n");
    for mut refused in [
        shell("echo hi"),
        command(&["echo"]),
        command(&["echo", "a", "b"]),
        command(&["/bin/../bin/false"]),
        command(&["false"]),
    ] {
        refused.job = front.new_id().into();
        let started = front.start_as(caller.who, &refused);
        assert_eq!(started.unwrap_err(), RefusedCode::NotAllowed);
    }
    let mut elsewhere = command(&["echo", "hi"]);
    elsewhere.cwd = Some(b"/tmp".to_vec().into());
    elsewhere.job = front.new_id().into();
    let started = front.start_as(caller.who, &elsewhere);
    assert_eq!(started.unwrap_err(), RefusedCode::NotAllowed);
    // One that a shell would look for elsewhere.
    let mut elsewhere = command(&["echo", "hi"]);
    elsewhere.env = vec![(b"PATH".to_vec().into(), b"/tmp".to_vec().into())];
    elsewhere.job = front.new_id().into();
    let started = front.start_as(caller.who, &elsewhere);
    assert_eq!(started.unwrap_err(), RefusedCode::NotAllowed);
}

#[test]
fn a_number_of_jobs_holds_however_many_starts_come_at_once() {
    let (keeper, mut front) = Keeper::start_on_network("", &line(1, "max-jobs=\"3\""));
    let callers = [(); 4].map(|()| come_in(&keeper, &mut front, 1));
    for at in 0..20 {
        let mut sleeps = command(&["sleep", "1000"]);
        sleeps.job = front.new_id().into();
        front.send_start(callers[at % 4].who, &sleeps);
    }
    front.flush();
    let (mut started, mut refused) = (0, 0);
    while started + refused < 20 {
        let is_started = front.hear(|message| match message {
            ToFront::Attached(..) => Some(true),
            ToFront::Refused(_, RefusedCode::NotAllowed, _) => Some(false),
            ToFront::Refused(_, code, text) => panic!("{code:?}: {text}"),
            _ => None,
        });
        match is_started {
            true => started += 1,
            false => refused += 1,
        }
    }
    assert_eq!((started, refused), (3, 17));
}

#[test]
fn who_may_only_look_has_no_hand_in_a_job_whatever_the_front_says_of_it() {
    let lines = line(1, "") + &line(2, "read-only");
    let (keeper, mut front) = Keeper::start_on_network("", &lines);
    let [owner, looks] = [1, 2].map(|seed| come_in(&keeper, &mut front, seed));
    let mut reads = shell("read line; echo $line; exit 3");
    reads.stdin = true;
    let job = front.start(owner.who, reads);
    let mut own = command(&["true"]);
    own.job = front.new_id().into();
    let started = front.start_as(looks.who, &own);
    assert_eq!(started.unwrap_err(), RefusedCode::NotAllowed);
    let taken = front.attach(looks.who, job, true);
    assert_eq!(taken.unwrap_err(), RefusedCode::NotAllowed);
    front.attach(looks.who, job, false).unwrap();
    front.control(looks.who, job, 1, ControlKind::Cancel(0));
    front.say(&ToKeeper::StdinEnd(looks.who, job.into(), 0));
    front.say(&ToKeeper::Leave(looks.who, job.into(), true, true));
    for ask in [
        Ask::Signal(job.into(), [1; 16].into(), 9),
        Ask::Cancel(job.into(), [2; 16].into(), 0),
        Ask::Remove(job.into()),
        Ask::Upgrade([3; 16].into()),
    ] {
        front.say(&ToKeeper::Query(looks.who, 7_000, Box::new(ask)));
        let code = front.hear(|message| match message {
            ToFront::Refused(7_000, code, _) => Some(*code),
            ToFront::Answer(7_000, _) => panic!("it was done"),
            _ => None,
        });
        assert_eq!(code, RefusedCode::NotAllowed);
    }
    front.write_stdin(owner.who, job, b"still here\n");
    let outcome = front.outcome(owner.who, job);
    assert_eq!(code(&outcome), Some(3));
    assert_eq!(front.seen(&job).bytes[0], b"still here\n");
}

#[test]
fn a_line_that_becomes_read_only_takes_the_hand_off_what_is_held() {
    let (keeper, mut front) = Keeper::start_on_network("", &line(1, ""));
    let caller = come_in(&keeper, &mut front, 1);
    let mut reads = shell("read line; echo $line; exit 3");
    reads.stdin = true;
    let job = front.start(caller.who, reads);
    let starts = |front: &mut crate::front::Front| {
        let mut new = command(&["true"]);
        new.job = front.new_id().into();
        front.start_as(caller.who, &new).is_ok()
    };
    keeper.authorize(&line(1, "read-only"));
    wait_until("the new line counts", || !starts(&mut front));
    front.say(&ToKeeper::StdinEnd(caller.who, job.into(), 0));
    front.control(caller.who, job, 1, ControlKind::Cancel(0));
    front.listen_for(200);
    assert!(front.seen(&job).outcome.is_none());
    keeper.authorize(&line(1, ""));
    wait_until("the old line counts again", || starts(&mut front));
    front.write_stdin(caller.who, job, b"typed\n");
    assert_eq!(code(&front.outcome(caller.who, job)), Some(3));
    assert_eq!(front.seen(&job).bytes[0], b"typed\n");
}

#[test]
fn no_command_of_any_front_runs_without_its_line_in_the_audit() {
    let (keeper, mut front) = Keeper::start_on_network("", &line(1, ""));
    let caller = come_in(&keeper, &mut front, 1);
    let file = keeper.directory.path().join("ran");
    // The line is there when the command runs.
    let look = format!(
        "grep -c '\"event\":\"start\"' {} > {}; exit 4",
        keeper.directory.path().join("audit").display(),
        file.display()
    );
    let job = front.start(caller.who, shell(&look));
    front.outcome(caller.who, job);
    assert_eq!(std::fs::read(&file).unwrap(), b"1\n");
    wait_until("its end is there", || keeper.audit().len() == 3);
    let lines = keeper.audit();
    let events: Vec<&str> = lines
        .iter()
        .map(|it| it["event"].as_str().unwrap())
        .collect();
    assert_eq!(events, ["login", "start", "end"]);
    assert_eq!(
        (&lines[1]["argv"][2], &lines[2]["code"]),
        (&look.as_str().into(), &4.into())
    );
    let key = lines[0]["key"].as_str().unwrap();
    assert!(key.starts_with("SHA256:"));
    assert!(
        lines
            .iter()
            .all(|it| it["key"] == key && it["source"] == "127.0.0.1")
    );
    assert_eq!(lines[1]["job"], lines[2]["job"]);

    // From here on it cannot be written.
    let (audit, away) = (
        keeper.directory.path().join("audit"),
        keeper.directory.path().join("away"),
    );
    std::fs::rename(&audit, &away).unwrap();
    std::fs::create_dir(&audit).unwrap();
    std::fs::remove_file(&file).unwrap();
    let mut ran = shell(&look);
    ran.job = front.new_id().into();
    let started = front.start_as(caller.who, &ran);
    assert_eq!(started.unwrap_err(), RefusedCode::Failure);
    assert!(!file.exists());
}
