//! A front that was taken over, on a machine of many users: it gets nothing for who has not proved who
//! they are, and one user's connection is no way to another's jobs.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use minicbor::Encoder;
use redial_keeper::outcome::{ControlKind, RefusedCode};
use redial_keeper::wire::{Ask, Capability, ConnectionKind, Reply, ToFront, ToKeeper, Verdict};

use crate::front::Front;
use crate::harness::{FRONT, Keeper, wait_until};
use crate::login::{Caller, Wrong, dial, line, log_in, proof};
use crate::seen::{command, shell};

/// Somebody the system knows.
pub(crate) struct User {
    name: &'static str,
    uid: u32,
    groups: Vec<u32>,
    /// Seeds of the keys that let in.
    keys: &'static [u8],
}

impl User {
    /// What the child that reads says of this user (the shape is redial-keeper's own, see
    /// `login::Report`).
    pub(crate) fn write(&self, directory: &Path) {
        let keys: String = self.keys.iter().map(|seed| line(*seed, "")).collect();
        for whose in [format!("user:{}", self.name), format!("uid:{}", self.uid)] {
            let mut report = Encoder::new(Vec::new());
            report.map(2).unwrap().u8(0).unwrap();
            report.array(2).unwrap().u8(3).unwrap();
            report.array(1).unwrap().map(6).unwrap();
            report.u8(0).unwrap().bytes(self.name.as_bytes()).unwrap();
            report.u8(1).unwrap().u32(self.uid).unwrap();
            report.u8(2).unwrap().u32(self.uid).unwrap();
            report.u8(3).unwrap().encode(&self.groups).unwrap();
            report.u8(4).unwrap().bytes(b"/").unwrap();
            report.u8(5).unwrap().bytes(b"/bin/sh").unwrap();
            report.u8(1).unwrap().array(1).unwrap();
            report.array(2).unwrap().bytes(b"/keys").unwrap();
            report.array(2).unwrap().u8(0).unwrap();
            report.array(1).unwrap().bytes(keys.as_bytes()).unwrap();
            let new = directory.join("new");
            std::fs::write(&new, report.into_writer()).unwrap();
            std::fs::rename(new, directory.join(whose + ".cbor")).unwrap();
        }
    }
}

fn user(name: &'static str, uid: u32, keys: &'static [u8]) -> User {
    User {
        name,
        uid,
        groups: vec![uid],
        keys,
    }
}

fn users() -> [User; 4] {
    let mut eve = user("eve", 61_003, &[3]);
    eve.groups.extend(61_100..61_140);
    [
        user("ada", 61_001, &[1]),
        user("bob", 61_002, &[2]),
        eve,
        user("root", 0, &[4]),
    ]
}

/// A keeper for them, or none where it cannot be: only root has other users.
fn start(limits: &str) -> Option<(Keeper, Front)> {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root runs commands of many users");
        return None;
    }
    Some(Keeper::start_for_many(limits, &users()))
}

fn as_user(name: &str) -> Wrong {
    Wrong {
        user: Some(name.to_owned()),
        ..Wrong::default()
    }
}

fn come_in(keeper: &Keeper, front: &mut Front, name: &str, seed: u8) -> Caller {
    let caller = dial(keeper, front);
    let login = proof(&caller, seed, &as_user(name));
    assert_eq!(log_in(front, &caller, login), Verdict::In);
    caller
}

fn refused(
    front: &mut Front,
    who: Capability,
    mut asked: redial_keeper::wire::Command,
) -> RefusedCode {
    asked.job = front.new_id().into();
    front.start_as(who, &asked).unwrap_err()
}

/// One line of /proc/PID/status.
fn field(status: &[u8], name: &str) -> String {
    let text = String::from_utf8_lossy(status);
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let words: Vec<&str> = line.unwrap().split_whitespace().collect();
    words.join(" ")
}

#[test]
fn each_user_runs_as_who_they_are_and_root_not_at_all() {
    let Some((keeper, mut front)) = start("") else {
        return;
    };
    for (at, user) in (1..).zip(&users()[..3]) {
        let caller = come_in(&keeper, &mut front, user.name, at);
        let (status, ..) = front.run(caller.who, command(&["cat", "/proc/self/status"]));
        let ids = [user.uid; 4].map(|id| id.to_string()).join(" ");
        assert_eq!(
            (field(&status, "Uid:"), field(&status, "Gid:")),
            (ids.clone(), ids)
        );
        let groups: Vec<String> = user.groups.iter().map(u32::to_string).collect();
        assert_eq!(field(&status, "Groups:"), groups.join(" "));
    }
    let caller = dial(&keeper, &mut front);
    let login = proof(&caller, 4, &as_user("root"));
    assert_eq!(log_in(&mut front, &caller, login), Verdict::Out);
    assert_eq!(
        refused(&mut front, caller.who, command(&["true"])),
        RefusedCode::NotAllowed
    );
}

#[test]
fn nothing_is_started_for_who_has_not_proved_to_be_a_user() {
    let Some((keeper, mut front)) = start("") else {
        return;
    };
    let ran = keeper.directory.path().join("ran");
    let runs = || shell(&format!("touch {}", ran.display()));
    let ada = come_in(&keeper, &mut front, "ada", 1);
    // A stranger, a number that nobody has, and one that has failed.
    let stranger = dial(&keeper, &mut front);
    for who in [stranger.who, 0, 77_777, u32::MAX] {
        assert_eq!(refused(&mut front, who, runs()), RefusedCode::NotAllowed);
    }
    // A good proof of ada's key, in bob's name; and bob's own, but of a key that is only ada's.
    for (name, seed) in [("bob", 1), ("ada", 2), ("nobody", 1)] {
        let caller = dial(&keeper, &mut front);
        let login = proof(&caller, seed, &as_user(name));
        assert_eq!(log_in(&mut front, &caller, login), Verdict::Out, "{name:?}");
        assert_eq!(
            refused(&mut front, caller.who, runs()),
            RefusedCode::NotAllowed
        );
        // One user's proof, said again for another.
        let mut login = proof(&caller, 1, &as_user("ada"));
        login.user = "bob".to_owned();
        assert_ne!(log_in(&mut front, &caller, login), Verdict::In);
    }
    assert!(!ran.exists());
    front.run(ada.who, command(&["true"]));
}

#[test]
fn one_users_connection_is_no_way_to_anothers_jobs() {
    let Some((keeper, mut front)) = start("") else {
        return;
    };
    let ada = come_in(&keeper, &mut front, "ada", 1);
    let bob = come_in(&keeper, &mut front, "bob", 2);
    let mut reads = shell("read line; echo $line; exit 3");
    reads.stdin = true;
    let job = front.start(ada.who, reads);
    for take in [false, true] {
        assert_eq!(
            front.attach(bob.who, job, take).unwrap_err(),
            RefusedCode::NoSuchJob
        );
    }
    // The same id with another command, or the same.
    for mut again in [shell("true"), shell("read line; echo $line; exit 3")] {
        again.job = job.into();
        assert!(front.start_as(bob.who, &again).is_err());
    }
    front.control(bob.who, job, 1, ControlKind::Cancel(0));
    front.say(&ToKeeper::StdinEnd(bob.who, job.into(), 0));
    front.say(&ToKeeper::Acknowledge(
        bob.who,
        job.into(),
        u64::MAX,
        u64::MAX,
    ));
    front.say(&ToKeeper::Leave(bob.who, job.into(), true, true));
    for ask in [
        Ask::Signal(job.into(), [1; 16].into(), 9),
        Ask::Cancel(job.into(), [2; 16].into(), 0),
        Ask::Remove(job.into()),
        Ask::Upgrade([3; 16].into()),
    ] {
        front.say(&ToKeeper::Query(bob.who, 7_000, Box::new(ask)));
        let code = front.hear(|message| match message {
            ToFront::Refused(7_000, code, _) => Some(*code),
            ToFront::Answer(7_000, _) => panic!("it was done"),
            _ => None,
        });
        assert!(matches!(
            code,
            RefusedCode::NoSuchJob | RefusedCode::NotAllowed
        ));
    }
    let list = Ask::List(String::new(), Vec::new().into());
    front.say(&ToKeeper::Query(bob.who, 7_001, Box::new(list)));
    let listed = front.hear(|message| match message {
        ToFront::Answer(7_001, reply) => match &**reply {
            Reply::Jobs(jobs, _) => Some(jobs.len()),
            other => panic!("{other:?}"),
        },
        _ => None,
    });
    assert_eq!(listed, 0);
    front.write_stdin(ada.who, job, b"mine\n");
    let outcome = front.outcome(ada.who, job);
    assert_eq!(crate::seen::code(&outcome), Some(3));
    assert_eq!(front.seen(&job).bytes[0], b"mine\n");
}

#[test]
fn output_that_one_user_leaves_unread_keeps_room_for_others() {
    // 32 chunks, of which no user has more than half and then starts another job.
    let Some((keeper, mut front)) = start("output_pool_bytes=2097152") else {
        return;
    };
    let ada = come_in(&keeper, &mut front, "ada", 1);
    let bob = come_in(&keeper, &mut front, "bob", 2);
    front.start(ada.who, shell("head -c 1000000 /dev/zero; sleep 1000"));
    wait_until("ada's share is taken", || {
        let mut sleeps = command(&["sleep", "1000"]);
        sleeps.job = front.new_id().into();
        front.start_as(ada.who, &sleeps) == Err(RefusedCode::LogPool)
    });
    for _ in 0..3 {
        front.run(bob.who, command(&["true"]));
    }
}

/// A connection to the socket by a process of that user's.
fn connect_as(keeper: &Keeper, uid: u32) -> Option<UnixStream> {
    let socket = keeper.socket();
    wait_until("the keeper listens", || {
        std::fs::metadata(&socket).is_ok_and(|about| about.permissions().mode() & 0o777 == 0o666)
    });
    let id = rustix::process::Uid::from_raw(uid);
    let connect = move || {
        rustix::thread::set_thread_res_uid(None, id, None).unwrap();
        UnixStream::connect(socket).ok()
    };
    std::thread::spawn(connect).join().unwrap()
}

/// The connection that the front is given of this user.
fn given(front: &mut Front, uid: u32) -> Capability {
    front.hear(|message| match message {
        ToFront::Connection(who, ConnectionKind::Unix(peer, ..)) if *peer == uid => Some(*who),
        _ => None,
    })
}

#[test]
fn on_the_socket_the_front_is_nobody_and_no_message_makes_it_root() {
    let Some((keeper, mut front)) = start("") else {
        return;
    };
    let _bob = connect_as(&keeper, 61_002).unwrap();
    let bob = given(&mut front, 61_002);
    let (out, ..) = front.run(bob, command(&["id", "-u"]));
    assert_eq!(out, b"61002\n");
    // The front itself: closed before anybody is told of it.
    let itself = connect_as(&keeper, FRONT).unwrap();
    assert_eq!(std::io::Read::read(&mut (&itself), &mut [0]).unwrap(), 0);
    // Root is told of, and runs nothing.
    let _root = connect_as(&keeper, 0).unwrap();
    let root = given(&mut front, 0);
    assert_eq!(
        refused(&mut front, root, command(&["id"])),
        RefusedCode::NotAllowed
    );
    // Who has come in over the socket logs in as nobody else: there is no such step there.
    let caller = dial(&keeper, &mut front);
    let login = proof(&caller, 1, &as_user("ada"));
    front.say(&ToKeeper::Login(root, Box::new(login.clone())));
    front.say(&ToKeeper::Login(bob, Box::new(login)));
    assert_eq!(
        refused(&mut front, root, command(&["id"])),
        RefusedCode::NotAllowed
    );
    let (out, ..) = front.run(bob, command(&["id", "-u"]));
    assert_eq!(out, b"61002\n");
}

#[test]
fn a_home_directory_that_hangs_holds_up_its_own_user_and_nobody_else() {
    let Some((keeper, mut front)) = start("") else {
        return;
    };
    // Whoever reads this waits for somebody who writes.
    let hangs = keeper.directory.path().join("user:hangs.cbor");
    assert!(
        Command::new("mkfifo")
            .arg(&hangs)
            .status()
            .unwrap()
            .success()
    );
    let stuck: Vec<Caller> = (0..4).map(|_| dial(&keeper, &mut front)).collect();
    for caller in &stuck {
        let login = proof(caller, 1, &as_user("hangs"));
        front.say(&ToKeeper::Login(caller.who, Box::new(login)));
    }
    front.flush();
    // All that come after it are through before it is given up.
    for _ in 0..5 {
        let caller = dial(&keeper, &mut front);
        front.say(&ToKeeper::Login(
            caller.who,
            Box::new(proof(&caller, 1, &as_user("ada"))),
        ));
        front.flush();
        let verdict = front.hear(|message| match message {
            ToFront::Verdict(who, verdict) => {
                assert_eq!(*who, caller.who, "the one that hangs was first");
                Some(verdict.clone())
            }
            _ => None,
        });
        assert_eq!(verdict, Verdict::In);
    }
    for _ in &stuck {
        let verdict = front.hear(|message| match message {
            ToFront::Verdict(_, verdict) => Some(verdict.clone()),
            _ => None,
        });
        assert_eq!(verdict, Verdict::Failed);
    }
}

#[test]
fn one_user_leaves_room_for_others() {
    let Some((keeper, mut front)) = start("jobs=8 connections=8") else {
        return;
    };
    let ada = come_in(&keeper, &mut front, "ada", 1);
    let bob = come_in(&keeper, &mut front, "bob", 2);
    let sleeps = || command(&["sleep", "1000"]);
    for _ in 0..4 {
        front.start(ada.who, sleeps());
    }
    assert_eq!(refused(&mut front, ada.who, sleeps()), RefusedCode::Jobs);
    front.run(bob.who, command(&["true"]));
    for _ in 0..3 {
        come_in(&keeper, &mut front, "ada", 1);
    }
    let caller = dial(&keeper, &mut front);
    let login = proof(&caller, 1, &as_user("ada"));
    front.say(&ToKeeper::Login(caller.who, Box::new(login)));
    front.flush();
    let is_dismissed = front.hear(|message| match message {
        ToFront::Dismissed(who, _) if *who == caller.who => Some(true),
        ToFront::Verdict(who, _) if *who == caller.who => Some(false),
        _ => None,
    });
    assert!(is_dismissed);
    come_in(&keeper, &mut front, "bob", 2);
}
