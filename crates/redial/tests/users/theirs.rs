//! What is one user's is no other's: jobs, their output, and what ends them.

use std::fs;
use std::io::Read;

use crate::support::eventually;
use crate::town::{ADA, BOB, Town};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_users_jobs_are_not_there_for_another() {
    let Some(town) = Town::start("whose jobs", &[]) else {
        return;
    };
    let secret = ["--detach", "-c", "echo secret; exec sleep 1000"];
    let ran = town.over_network("run", ADA.name).args(secret).ran();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let job = text(&ran.stdout)
        .trim()
        .rsplit('/')
        .next()
        .unwrap()
        .to_owned();
    let list = |who: &str| text(&town.over_network("ps", who).args(["--quiet"]).ran().stdout);
    assert!(list(ADA.name).contains(&job));
    assert!(!list(BOB.name).contains(&job));
    let there = format!("{}@127.0.0.1:{}/{job}", BOB.name, town.port);
    for command in ["logs", "attach", "kill", "wait", "rm"] {
        // The host is named with the job, so in place of the one that is given already.
        let ran = town.named(command, BOB.name, &there).ran();
        assert_eq!(ran.code, 125, "{command}");
        assert!(
            ran.stderr.contains("has no job") || ran.stderr.contains("no such job"),
            "{command}: {}",
            ran.stderr
        );
        assert!(!text(&ran.stdout).contains("secret"));
    }
    // Nor over the socket.
    let (code, out, error) = town.by_uid("ps", BOB.uid, &["--quiet"]);
    assert_eq!(code, 0, "{error}");
    assert!(!out.contains(&job), "{out}");
    let (_, out, _) = town.by_uid("ps", ADA.uid, &["--quiet"]);
    assert!(
        out.contains(&job),
        "over the socket it is the same user: {out}"
    );
    // What it has written is root's to keep.
    let kept = town.dir().join("state/jobs");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(kept).unwrap().permissions());
    assert_eq!(mode & 0o077, 0);
    let own = format!("{}@127.0.0.1:{}/{job}", ADA.name, town.port);
    let ran = town.named("rm", ADA.name, &own).args(["--force"]).ran();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

#[test]
fn a_key_that_is_removed_ends_its_own_users_jobs_alone() {
    let Some(town) = Town::start("revocation", &[]) else {
        return;
    };
    let start = |who: &str| {
        let run = town.over_network("run", who);
        let mut child = run.args(["-n", "-c", "echo on; exec sleep 1000"]).spawn();
        let mut on = [0; 3];
        child.stdout.as_mut().unwrap().read_exact(&mut on).unwrap();
        child
    };
    let (mut adas, mut bobs) = (start(ADA.name), start(BOB.name));
    fs::write(town.authorized_keys(&BOB), "# gone\n").unwrap();
    let ended = eventually(|| bobs.try_wait().unwrap());
    assert!(ended.is_some(), "{}", town.log());
    assert!(adas.try_wait().unwrap().is_none());
    adas.kill().unwrap();
    adas.wait().unwrap();
}

#[test]
fn an_upgrade_leaves_each_job_with_its_user() {
    let Some(town) = Town::start("an upgrade with many users", &[]) else {
        return;
    };
    let start = |who: &str| {
        let run = town.over_network("run", who);
        let mut child = run
            .args(["--", "sh", "-c", "echo on; read x; id -u; echo $x"])
            .spawn();
        let mut on = [0; 3];
        child.stdout.as_mut().unwrap().read_exact(&mut on).unwrap();
        child
    };
    let mut children = [(&ADA, start(ADA.name)), (&BOB, start(BOB.name))];
    let ran = crate::support::Redial::bare(["upgrade", &town.socket()]).ran();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    // Nobody but root does that.
    let (code, _, error) = town.by_uid("upgrade", ADA.uid, &[]);
    assert_eq!(code, 125, "{error}");
    for (who, child) in &mut children {
        let mut stdin = child.stdin.take().unwrap();
        std::io::Write::write_all(&mut stdin, who.name.as_bytes()).unwrap();
        std::io::Write::write_all(&mut stdin, b"\n").unwrap();
        drop(stdin);
        let mut rest = String::new();
        child
            .stdout
            .as_mut()
            .unwrap()
            .read_to_string(&mut rest)
            .unwrap();
        assert_eq!(rest, format!("{}\n{}\n", who.uid, who.name));
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn the_audit_says_who_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let audit = dir.path().join("audit");
    let Some(town) = Town::start("the audit", &["--audit", audit.to_str().unwrap()]) else {
        return;
    };
    let ran = town
        .over_network("run", BOB.name)
        .args(["--", "true"])
        .ran();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let (code, ..) = town.by_uid("run", ADA.uid, &["--", "false"]);
    assert_eq!(code, 1);
    let lines = eventually(|| {
        let lines = fs::read_to_string(&audit).unwrap();
        (lines.matches("\"end\"").count() == 2).then_some(lines)
    });
    let lines = lines.expect("two ends");
    for uid in [ADA.uid, BOB.uid] {
        for event in ["start", "end"] {
            let has = |line: &str| {
                line.contains(&format!("\"uid\":{uid}"))
                    && line.contains(&format!("\"event\":\"{event}\""))
            };
            assert_eq!(lines.lines().filter(|line| has(line)).count(), 1, "{lines}");
        }
    }
}

#[test]
fn one_users_kept_output_leaves_room_for_anothers() {
    let Some(town) = Town::start("quotas", &["--keep-quota", "2MiB"]) else {
        return;
    };
    let run = |who: &str, text: &str| {
        let ran = town.over_network("run", who).args(["--detach", "-c", text]);
        let ran = ran.ran();
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    };
    run(ADA.name, "exec yes");
    let waits = || {
        let ran = town.over_network("ps", ADA.name).args(["--json"]).ran();
        let listed = text(&ran.stdout);
        listed
            .contains("its user's half of the quota")
            .then_some(())
    };
    assert!(eventually(waits).is_some());
    // Then another's is whole, in memory and in its file.
    run(BOB.name, "seq 1 100000");
    let whole = || {
        let logs = town.over_network("ps", BOB.name).args(["--json"]).ran();
        text(&logs.stdout)
            .contains("\"stdout\":588895")
            .then_some(())
    };
    assert!(eventually(whole).is_some());
    let ran = town.over_network("ps", BOB.name).args(["--quiet"]).ran();
    let job = text(&ran.stdout).trim().to_owned();
    let wait = town.named("wait", BOB.name, &job).ran();
    assert_eq!(wait.code, 0, "{}", wait.stderr);
    let logs = town.named("logs", BOB.name, &job).ran();
    let lines: String = (1..=100_000).map(|line| format!("{line}\n")).collect();
    assert!(text(&logs.stdout) == lines, "{}", logs.stderr);
}
