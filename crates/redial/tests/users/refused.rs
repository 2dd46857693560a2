//! Who does not get in, and what root cannot do.

use std::fs;

use crate::support::eventually;
use crate::town::{ADA, EXPIRED, KEPT_SHORT, SERVICE, Town};

/// Commands that ran leave this behind.
fn touch(town: &Town, name: &str) -> String {
    format!("touch {}", town.dir().join("run").join(name).display())
}

#[test]
fn accounts_that_the_system_lets_nobody_use_are_not_let_in() {
    let Some(town) = Town::start("accounts that may not log in", &[]) else {
        return;
    };
    refused(
        &town,
        &[
            (SERVICE.name, "/usr/sbin/nologin is not for logging in"),
            (KEPT_SHORT.name, "/bin/rbash is not for logging in"),
            (EXPIRED.name, "the account has expired"),
        ],
    );
    for uid in [SERVICE.uid, EXPIRED.uid, KEPT_SHORT.uid] {
        let (code, ..) = town.by_uid("run", uid, &["--", "true"]);
        assert_eq!(code, 125);
    }
    let ran = town
        .over_network("run", ADA.name)
        .args(["--", "true"])
        .ran();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

#[test]
fn nobody_is_let_in_as_root_as_the_front_or_as_who_is_not_there() {
    let Some(town) = Town::start("users that are none", &[]) else {
        return;
    };
    refused(
        &town,
        &[
            ("rd-front", "not for logging in"),
            ("rd-nobody", "no such user"),
            ("root", "nothing as root"),
        ],
    );
}

/// All of them over the network, for these reasons. Not more than a few: the source would pay for it.
fn refused(town: &Town, users: &[(&str, &str)]) {
    for (user, why) in users {
        let ran = town.over_network("run", user).args(["-c", "id"]).ran();
        assert_eq!((ran.code, &ran.stdout[..]), (125, &b""[..]), "{user}");
        // The client is told the same in every case.
        let told = "no such user here, or none of these keys may log in";
        assert!(ran.stderr.contains(told), "{}", ran.stderr);
        let log = town.log();
        let line = log
            .lines()
            .find(|line| line.contains(&format!("user={user}")));
        assert!(line.is_some_and(|line| line.contains(why)), "{user}: {log}");
    }
}

#[test]
fn while_nologin_is_there_nobody_new_comes_and_who_is_in_goes_on() {
    let Some(town) = Town::start("nologin(5)", &[]) else {
        return;
    };
    let sleeps = town.over_network("run", ADA.name);
    let sleeps = sleeps.args(["-n", "-c", "echo in; exec sleep 1000"]);
    let mut child = sleeps.spawn();
    let mut first = [0; 3];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
    let nologin = format!("/proc/{}/root/etc/nologin", town.pid());
    fs::write(&nologin, "down for repair\n").unwrap();
    let ran = town
        .over_network("run", ADA.name)
        .args(["--", "true"])
        .ran();
    assert_eq!(ran.code, 125);
    // Longer than it takes to look twice whether keys still stand.
    let looks = town.log().matches("cannot look").count();
    let (wait, began) = (std::time::Duration::from_secs(4), std::time::Instant::now());
    while began.elapsed() < wait {
        assert!(child.try_wait().unwrap().is_none(), "{}", town.log());
        let pause = rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: 50_000_000,
        };
        let _ = rustix::event::poll(&mut [], Some(&pause));
    }
    assert_eq!(looks, 0);
    fs::remove_file(&nologin).unwrap();
    let let_in = eventually(|| {
        let ran = town
            .over_network("run", ADA.name)
            .args(["--", "true"])
            .ran();
        (ran.code == 0).then_some(())
    });
    assert!(let_in.is_some());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn root_runs_nothing_unless_that_was_allowed_and_may_be_others() {
    let Some(town) = Town::start("root on the socket", &[]) else {
        return;
    };
    let touched = touch(&town, "root");
    let ran = crate::support::Redial::run(town.socket())
        .args(["-c", &touched])
        .ran();
    assert_eq!(ran.code, 125);
    assert!(ran.stderr.contains("--allow-root"), "{}", ran.stderr);
    assert!(!town.dir().join("run/root").exists());
    // Those that are in /etc of the machine: daemon(1) and the like have no login either.
    let ran = town.as_user("run", "daemon").args(["--", "id", "-u"]).ran();
    assert_eq!(ran.code, 125, "{}", ran.stderr);
    let ran = town.as_user("run", "no-such-user").args(["--", "id"]).ran();
    assert!(ran.stderr.contains("no such user"), "{}", ran.stderr);
    // One of its own town's, whom the kernel then takes it for.
    let own = std::process::Command::new("nsenter")
        .args(["--mount", "--target", &town.pid().to_string(), "--"])
        .arg(crate::support::binary())
        .args(["run", "-l", ADA.name, &town.socket(), "--", "id", "-un"])
        .env("HOME", "/dev/null")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&own.stderr);
    assert_eq!(own.stdout, format!("{}\n", ADA.name).into_bytes(), "{said}");
    drop(town);

    let allowed = Town::start("root allowed", &["--allow-root"]).unwrap();
    let ran = crate::support::Redial::run(allowed.socket());
    let ran = ran.args(["-c", "id -u; id -G"]).ran();
    assert!(ran.stdout.starts_with(b"0\n0"), "{}", ran.stderr);
}

#[test]
fn users_of_one_server_are_never_let_in_by_a_file_of_everybodys_keys() {
    for (args, says) in [
        (&["--authorized-keys", "/etc/keys"][..], "%u"),
        (&["--front-user", "no-such-user"], "useradd"),
        (&["--front-user", "root"], "without power"),
        (&["--front-user", "nobody"], "only its own"),
    ] {
        let ran =
            crate::support::Redial::bare(["serve", "--multi-user", "--listen", "127.0.0.1:0"]);
        let ran = ran.args(args).ran();
        assert_eq!(ran.code, 125, "{args:?}");
        let is_root = rustix::process::geteuid().is_root();
        let says = if is_root { says } else { "only root" };
        assert!(ran.stderr.contains(says), "{}", ran.stderr);
    }
    let alone = crate::support::Redial::bare(["serve", "--allow-root"]).ran();
    assert!(alone.stderr.contains("--multi-user"), "{}", alone.stderr);
}

/// Where capabilities survive setresuid(2) the proof that there is no way back fails: nothing runs,
/// not even a front.
#[test]
fn where_an_identity_could_be_undone_nothing_is_started() {
    if !rustix::process::geteuid().is_root() {
        return crate::support::skip("secure bits: only root can set them");
    }
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let mut server = std::process::Command::new("setpriv")
        .args(["--securebits", "+no_setuid_fixup"])
        .arg(crate::support::binary())
        .args([
            "serve",
            "--multi-user",
            "--front-user",
            "daemon",
            "--listen",
        ])
        .arg(format!("unix:{}", dir.path().join("s").display()))
        .arg("--state-dir")
        .arg(dir.path())
        .stderr(fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let said = eventually(|| {
        let log = fs::read_to_string(&log).unwrap();
        log.contains("cannot start a front").then_some(log)
    });
    let log = said.expect("that no front starts");
    assert!(!log.contains("listening"), "{log}");
    crate::support::server::terminate(server.id());
    server.wait().unwrap();
}
