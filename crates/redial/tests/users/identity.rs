//! As whom commands run, to the last group; and who the process is that talks to the network.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::support::eventually;
use crate::support::nats::Broker;
use crate::support::processes::descendants;
use crate::support::server::front;
use crate::town::{ADA, BOB, Citizen, EVE, FIRST_GROUP, FRONT, Town};

/// Lines of /proc/PID/status (proc_pid_status(5)).
fn status(text: &str) -> HashMap<&str, String> {
    let words = |rest: &str| rest.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.map(|(name, rest)| (name, words(rest))).collect()
}

fn groups(of: &Citizen) -> String {
    let more = (0..of.groups).map(|at| FIRST_GROUP + at);
    let mut all: Vec<u32> = more.chain([of.uid]).collect();
    all.sort_unstable();
    let all: Vec<String> = all.iter().map(u32::to_string).collect();
    all.join(" ")
}

fn is_exactly(text: &str, who: &Citizen) {
    let status = status(text);
    let ids = [who.uid; 4].map(|id| id.to_string()).join(" ");
    assert_eq!(
        (&status["Uid"], &status["Gid"]),
        (&ids, &ids),
        "{}",
        who.name
    );
    assert_eq!(status["Groups"], groups(who), "{}", who.name);
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(status[set], "0000000000000000", "{set}");
    }
}

#[test]
fn three_users_run_commands_as_who_they_are_and_nothing_else() {
    let Some(town) = Town::start("users over the network and the socket", &[]) else {
        return;
    };
    let look = "cat /proc/self/status; echo; pwd; umask; env; touch made; ulimit -c >/dev/null";
    for who in [&ADA, &BOB, &EVE] {
        let ran = town.over_network("run", who.name);
        let ran = ran.args(["--", "sh", "-c", look]).ran();
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let text = String::from_utf8(ran.stdout).unwrap();
        is_exactly(&text, who);
        let home = town.home(who);
        let environment = text.split("\n\n").nth(1).unwrap();
        let lines: Vec<&str> = environment.lines().collect();
        assert_eq!(lines[..2], [home.to_str().unwrap(), "0022"]);
        for expected in [
            format!("HOME={}", home.display()),
            format!("USER={}", who.name),
            format!("LOGNAME={}", who.name),
            "SHELL=/bin/sh".to_owned(),
            "PATH=/usr/local/bin:/usr/bin:/bin".to_owned(),
        ] {
            assert!(lines.contains(&expected.as_str()), "{expected}: {text}");
        }
        assert!(!text.contains("canary-of-root"), "{text}");
        // Their terminal is theirs, and nobody else's to read.
        let ran = town.over_network("run", who.name);
        let ran = ran
            .args(["-tn", "--", "sh", "-c", "stat -c '%u %a' $(tty)"])
            .ran();
        let theirs = format!("{} 620\r\n", who.uid);
        assert_eq!(
            String::from_utf8(ran.stdout).unwrap(),
            theirs,
            "{}",
            ran.stderr
        );
        let made = fs::metadata(home.join("made")).unwrap();
        assert_eq!((made.uid(), made.gid()), (who.uid, who.uid));
        assert_eq!(made.mode() & 0o777, 0o644);
    }
}

#[test]
fn on_the_socket_the_kernel_says_who_it_is() {
    let Some(town) = Town::start("users on the socket", &[]) else {
        return;
    };
    // A process in none of its user's groups gets all of them, as with a login.
    for who in [&EVE, &ADA] {
        let (code, text, error) = town.by_uid("run", who.uid, &["--", "cat", "/proc/self/status"]);
        assert_eq!(code, 0, "{error}");
        is_exactly(&text, who);
    }
    let (code, _, error) = town.by_uid("run", FRONT, &["--", "true"]);
    assert_eq!(code, 125, "{error}");
    // Somebody without an account is nobody.
    let (code, _, error) = town.by_uid("run", 61_999, &["--", "true"]);
    assert_eq!(code, 125, "{error}");
    for uid in [FRONT, 61_999] {
        assert!(town.log().contains(&format!("uid={uid}")), "{}", town.log());
    }
}

#[test]
fn the_front_is_a_user_without_power_and_without_roots_secrets() {
    let Some(town) = Town::start("the front's own user", &[]) else {
        return;
    };
    let front = front(town.pid());
    let about = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", front)).unwrap();
    let text = about("status");
    let status = status(&text);
    let ids = [FRONT; 4].map(|id| id.to_string()).join(" ");
    assert_eq!((&status["Uid"], &status["Gid"]), (&ids, &ids));
    assert_eq!(status["Groups"], FRONT.to_string());
    assert_eq!(status["NoNewPrivs"], "1");
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(status[set], "0000000000000000", "{set}");
    }
    assert!(!about("environ").contains("canary-of-root"));
    // What another process of that user could look into it by is root's (proc_pid_mem(5)).
    let memory = fs::metadata(format!("/proc/{}/mem", front)).unwrap();
    assert_eq!(memory.uid(), 0);
    // How far it is shut in is said.
    let is_said = || town.log().contains("the front is kept from new privileges");
    eventually(|| is_said().then_some(())).unwrap_or_else(|| panic!("{}", town.log()));
    // Another one is the same.
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(front.cast_signed()).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    // A line that was with the front that died may have ended before it was one.
    let ran = eventually(|| {
        let run = town.over_network("run", ADA.name);
        let ran = run.args(["--", "id", "-u"]).ran();
        (ran.code == 0).then_some(ran)
    });
    assert_eq!(ran.unwrap().stdout, format!("{}\n", ADA.uid).into_bytes());
    let next = self::front(town.pid());
    assert_ne!(next, front);
    let text = fs::read_to_string(format!("/proc/{}/status", next)).unwrap();
    assert_eq!(self::status(&text)["Uid"], ids);
}

#[test]
fn through_nats_users_are_who_they_are_and_who_speaks_with_the_broker_is_nobody() {
    let broker = Broker::start();
    let args = ["--nats", &broker.url(), "--name", "town"];
    let Some(town) = Town::start("users through a NATS broker", &args) else {
        return;
    };
    let there = eventually(|| {
        town.log()
            .contains("called through NATS by this name")
            .then_some(())
    });
    there.unwrap_or_else(|| panic!("{}", town.log()));
    for who in [&ADA, &BOB] {
        let run = town.named("run", who.name, &format!("{}@nats:town", who.name));
        let ran = run.args(["--nats", &broker.url(), "--", "cat", "/proc/self/status"]);
        let ran = ran.ran();
        assert_eq!(ran.code, 0, "{}\n{}", ran.stderr, town.log());
        is_exactly(&String::from_utf8(ran.stdout).unwrap(), who);
    }
    let mut all = descendants(town.pid()).into_iter();
    let agent = all.find(|it| it.arguments.contains("--nats-agent"));
    let pid = agent.expect("an agent").pid;
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let status = status(&text);
    let ids = [FRONT; 4].map(|id| id.to_string()).join(" ");
    assert_eq!((&status["Uid"], &status["Gid"]), (&ids, &ids));
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(status[set], "0000000000000000", "{set}");
    }
    assert_eq!(status["NoNewPrivs"], "1");
    // The door is for nobody else.
    let door = format!("{}.nats", town.socket());
    let (code, _, words) = town.by_uid_at("run", BOB.uid, &door, &["--", "true"]);
    assert_eq!(code, 125, "{words}");
}
