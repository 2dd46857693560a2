//! Over the network: whose key, what its line forbids, and what is kept out.

use std::fs;

use serde_json::Value;

use crate::support::eventually;
use crate::support::network::{Home, NetworkServer, write_private};
use crate::support::server::front;
use crate::{events, lines};

#[test]
fn logins_over_the_network_are_there_with_their_keys_and_so_is_what_a_line_forbids() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("audit");
    let settings = format!("[serve]\naudit = {file:?}\n");
    let server = NetworkServer::with_settings("command=\"exit 6\"", &settings);
    assert_eq!(server.run().args(["-n", "--", "echo", "hi"]).ran().code, 6);
    let login = &events(&file, "login", 1)[0];
    let key = login["key"].as_str().unwrap().to_owned();
    assert!(
        key.starts_with("SHA256:") && login["source"] == "127.0.0.1",
        "{login}"
    );
    let start = &events(&file, "start", 1)[0];
    assert_eq!(
        (&start["key"], &start["shell"]),
        (&key.into(), &"exit 6".into())
    );
    assert_eq!(start["asked"]["argv"], serde_json::json!(["echo", "hi"]));

    let line = format!("allow-argv=\"true\" {}", server.public_key());
    write_private(&server.authorized_keys(), &line);
    let refused = eventually(|| {
        let ran = server.run().args(["-n", "--", "false"]).ran();
        (ran.code == 125).then_some(ran)
    });
    assert!(refused.unwrap().stderr.contains("allow-argv"));
    let line = &events(&file, "refused", 1)[0];
    assert_eq!(line["argv"], serde_json::json!(["false"]));
    assert!(
        line["reason"].as_str().unwrap().contains("allow-argv"),
        "{line}"
    );
}

#[test]
fn what_is_refused_is_there_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("audit");
    let settings = format!("[serve]\naudit = {file:?}\n");
    let server = NetworkServer::with_settings("restrict", &settings);
    let target = server.target();
    let upgrade = server.redial(["upgrade", &target, "--host-key", server.host_key()]);
    assert_eq!(upgrade.ran().code, 125);
    let act = &events(&file, "act", 1)[0];
    assert_eq!(
        (&act["action"], &act["result"]),
        (&"upgrade".into(), &"refused".into())
    );
    assert!(
        act["reason"].as_str().unwrap().contains("may not replace"),
        "{act}"
    );

    // What is wrong with a line is said, but to who logs in.
    let line = format!("max-jobs=\"0\" {}", server.public_key());
    write_private(&server.authorized_keys(), &line);
    let source = ["--bind", "127.0.0.9"];
    assert_eq!(
        server
            .run()
            .args(source)
            .args(["-n", "--", "true"])
            .ran()
            .code,
        125
    );
    let logins = lines(&file);
    let last = logins
        .iter()
        .rfind(|line| line["event"] == "login")
        .unwrap();
    let reason = last["reason"].as_str().unwrap();
    assert!(
        reason.contains("line 1") && reason.contains("a number from 1"),
        "{reason}"
    );

    let stranger = Home::with_key();
    let args = [
        "run",
        &target,
        "--host-key",
        server.host_key(),
        "-n",
        "--",
        "true",
    ];
    assert_eq!(stranger.redial(args).ran().code, 125);
    let logins = lines(&file);
    let of_strangers = |line: &&Value| line["event"] == "login" && line["source"] == "127.0.0.1";
    let refused: Vec<&Value> = logins
        .iter()
        .filter(of_strangers)
        .filter(|line| line["result"] == "refused")
        .collect();
    assert_eq!(refused.len(), 1, "{logins:?}");
    assert!(
        refused[0]["reason"]
            .as_str()
            .unwrap()
            .contains("authorised"),
        "{:?}",
        refused[0]
    );
}

#[test]
fn a_secret_in_environment_stdin_or_hashed_arguments_is_in_nothing_that_we_write() {
    const CANARY: &str = "canary-7f3a9c";
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("audit");
    let settings = format!("[serve]\naudit = {file:?}\naudit-argv = \"hash\"\n");
    let server = NetworkServer::with_settings("", &settings);
    let ours = || {
        let keeper = server.pid();
        [keeper, front(keeper)].map(|pid| {
            ["cmdline", "environ"].map(|name| fs::read(format!("/proc/{pid}/{name}")).unwrap())
        })
    };
    let text = format!("cat; echo {CANARY} >&2");
    let env = format!("SECRET={CANARY}");
    for command in [&["-c", &text][..], &["--", "sh", "-c", &text, CANARY]] {
        let redial = server.run().args(["--env", &env]).args(command);
        let ran = redial.input(CANARY).ran();
        assert_eq!(
            (ran.code, &*ran.stdout),
            (0, CANARY.as_bytes()),
            "{}",
            ran.stderr
        );
    }
    events(&file, "end", 2);
    let found = |bytes: &[u8]| {
        bytes
            .windows(CANARY.len())
            .any(|it| it == CANARY.as_bytes())
    };
    assert!(!found(&fs::read(&file).unwrap()), "in the audit");
    assert!(!found(server.log().as_bytes()), "in the log");
    assert!(
        !ours().iter().flatten().any(|bytes| found(bytes)),
        "in /proc"
    );
    let start = &events(&file, "start", 2)[1];
    assert_eq!(start["program"], "sh");
    assert!(
        start["argv_sha256"].is_string() && start.get("argv").is_none(),
        "{start}"
    );
}
