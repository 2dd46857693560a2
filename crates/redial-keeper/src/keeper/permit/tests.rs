//! What each option of a key's line makes of a command.

use super::super::grant::tests::client;
use super::*;
use crate::wire::{DropPolicy, PtyRequest};

fn command(argv: &[&str], env: &[&str]) -> Command {
    let bytes = |text: &str| ByteVec::from(text.as_bytes().to_vec());
    Command {
        job: [0; 16].into(),
        program: Program::Argv(argv.iter().map(|it| bytes(it)).collect()),
        cwd: Some(bytes("/tmp")),
        env: env.iter().map(|name| (bytes(name), bytes("v"))).collect(),
        stdin: false,
        pty: None,
        deadline_ms: None,
        drain_ms: 0,
        on_drop: DropPolicy::Kill,
        reap: false,
        detach: false,
        resent: None,
        keep: None,
        resources: None,
    }
}

fn value<'a>(command: &'a Command, name: &str) -> Option<&'a [u8]> {
    let mut found = command.env.iter().rev();
    let found = found.find(|(known, _)| &known[..] == name.as_bytes());
    found.map(|(_, value)| &value[..])
}

#[test]
fn a_forced_command_takes_the_place_of_what_was_asked_which_it_is_told() {
    let mut asked = command(&["ls", "-l", "two words", "it's", ""], &[]);
    apply(&client(1, "command=\"echo hi\""), &mut asked).unwrap();
    assert_eq!(asked.program, Program::Shell(b"echo hi".to_vec().into()));
    assert_eq!(asked.cwd, None);
    let original = value(&asked, "REDIAL_ORIGINAL_COMMAND").unwrap();
    assert_eq!(original, br"ls -l 'two words' 'it'\''s' ''");
}

#[test]
fn variables_of_the_line_are_set_and_win() {
    let mut asked = command(&["x"], &["LANG"]);
    let client = client(1, "restrict,environment=\"LANG=C\",environment=\"A=b c\"");
    apply(&client, &mut asked).unwrap();
    assert_eq!(value(&asked, "LANG"), Some(&b"C"[..]));
    assert_eq!(value(&asked, "A"), Some(&b"b c"[..]));
}

#[test]
fn a_restricted_key_sets_nothing_but_how_output_looks() {
    for options in ["restrict", "command=\"x\""] {
        for name in ["PATH", "HOME", "X", "REDIAL_ORIGINAL_COMMAND"] {
            let mut asked = command(&["x"], &[name]);
            let refused = apply(&client(1, options), &mut asked).unwrap_err();
            assert_eq!(refused.code, RefusedCode::NotAllowed);
            assert!(refused.text.contains(name), "{}", refused.text);
        }
        apply(&client(1, options), &mut command(&["x"], &["LC_ALL", "TZ"])).unwrap();
    }
}

#[test]
fn a_key_with_allow_argv_runs_those_and_no_shell() {
    let client = client(1, "allow-argv=\"git-* ?*,uptime\"");
    let command = |argv: &[&str], env: &[&str]| Command {
        cwd: None,
        ..command(argv, env)
    };
    for argv in [&["uptime"][..], &["git-upload-pack", "x; sh"]] {
        apply(&client, &mut command(argv, &[])).unwrap();
    }
    for argv in [
        &["uptime", "-p"][..],
        &["sh", "-c", "uptime"],
        &["/bin/uptime"],
    ] {
        let refused = apply(&client, &mut command(argv, &[])).unwrap_err();
        assert!(refused.text.contains(argv[0]), "{}", refused.text);
    }
    let mut shell = command(&["x"], &[]);
    shell.program = Program::Shell(b"uptime".to_vec().into());
    let refused = apply(&client, &mut shell).unwrap_err();
    assert!(refused.text.contains("shell"), "{}", refused.text);
    assert!(apply(&client, &mut command(&["uptime"], &["PATH"])).is_err());
}

#[test]
fn a_line_that_names_variables_lets_these_be_set_and_no_others() {
    for options in [
        "env=\"CI_*,PATH,LD_*,LANG\"",
        "restrict,env=\"CI_*,PATH,LD_*,LANG\"",
    ] {
        let client = client(1, options);
        apply(&client, &mut command(&["x"], &["CI_JOB", "PATH", "LANG"])).unwrap();
        for name in [
            "HOME",
            "LC_ALL",
            "LD_PRELOAD",
            "CI",
            "REDIAL_ORIGINAL_COMMAND",
        ] {
            let refused = apply(&client, &mut command(&["x"], &[name]));
            assert!(refused.is_err(), "{name}");
        }
    }
    let mut file = command(&["x"], &[]);
    file.env = vec![(b"LANG".to_vec().into(), b"/tmp/x".to_vec().into())];
    assert!(apply(&client(1, "restrict,env=\"LANG\""), &mut file).is_err());
}

#[test]
fn what_guides_a_program_is_named_in_full_or_not_at_all() {
    let set = |options: &str, name: &str| apply(&client(1, options), &mut command(&["x"], &[name]));
    for name in [
        "PATH",
        "HOME",
        "SSH_CLIENT",
        "XDG_CONFIG_HOME",
        "MAKEFILES",
        "PAGER",
    ] {
        assert!(set("env=\"*\"", name).is_err(), "{name}");
        assert!(set(&format!("env=\"{name}\""), name).is_ok(), "{name}");
        let forced = format!("command=\"x\",env=\"{name}\"");
        assert!(set(&forced, name).is_err(), "{name}");
    }
    assert!(set("env=\"*\"", "ANYTHING").is_ok());
    let only = |names: &str| format!("allow-argv=\"x\",env=\"{names}\"");
    let argv = |names: &str, name: &str| {
        let mut asked = command(&["x"], &[name]);
        asked.cwd = None;
        apply(&client(1, &only(names)), &mut asked)
    };
    assert!(argv("*", "ANYTHING").is_err() && argv("ANY*", "ANYTHING").is_err());
    assert!(argv("ANYTHING", "ANYTHING").is_ok());
    assert!(set("command=\"x\",env=\"CI_*\"", "CI_JOB").is_ok());
}

#[test]
fn a_key_with_allow_argv_runs_them_at_home() {
    let client = client(1, "allow-argv=\"make\"");
    let mut elsewhere = command(&["make"], &[]);
    elsewhere.cwd = Some(b"/tmp".to_vec().into());
    let refused = apply(&client, &mut elsewhere).unwrap_err();
    assert!(refused.text.contains("directory"), "{}", refused.text);
}

#[test]
fn a_key_with_a_time_limits_each_job_and_leaves_nothing_running() {
    let client = client(1, "max-time=\"1m\"");
    for (asked, expected) in [(None, Some(60_000)), (Some(5), Some(5))] {
        let mut job = command(&["x"], &[]);
        job.deadline_ms = asked;
        apply(&client, &mut job).unwrap();
        assert_eq!((job.deadline_ms, job.reap), (expected, true));
    }
    let mut long = command(&["x"], &[]);
    long.deadline_ms = Some(60_001);
    let refused = apply(&client, &mut long).unwrap_err();
    assert!(refused.text.contains("60 s"), "{}", refused.text);
}

#[test]
fn a_key_with_limits_gives_each_job_those_or_less() {
    let client = client(1, "memory=\"64M\",cpu=\"1.5\",pids=\"50\"");
    let limits = |memory, cpu_milli, pids| Resources {
        memory,
        cpu_milli,
        pids,
        nice: None,
    };
    let all = limits(Some(64 << 20), Some(1_500), Some(50));
    for (asked, expected) in [
        (None, all),
        (
            Some(limits(Some(1 << 20), None, Some(1))),
            limits(Some(1 << 20), Some(1_500), Some(1)),
        ),
        (Some(all), all),
    ] {
        let mut job = command(&["x"], &[]);
        job.resources = asked;
        apply(&client, &mut job).unwrap();
        assert_eq!(job.resources, Some(expected));
    }
    for more in [
        limits(Some((64 << 20) + 1), None, None),
        limits(None, Some(1_501), None),
        limits(None, None, Some(51)),
    ] {
        let mut job = command(&["x"], &[]);
        job.resources = Some(more);
        let refused = apply(&client, &mut job).unwrap_err();
        assert_eq!(refused.code, RefusedCode::NotAllowed);
    }
    let mut free = command(&["x"], &[]);
    apply(&self::client(1, ""), &mut free).unwrap();
    assert_eq!(free.resources, None);
}

#[test]
fn who_may_only_look_starts_nothing() {
    let refused = apply(&client(1, "read-only"), &mut command(&["x"], &[]));
    assert_eq!(refused.unwrap_err().code, RefusedCode::NotAllowed);
}

#[test]
fn no_key_sets_what_loaders_shells_and_interpreters_obey() {
    let more = [
        "LD_PRELOAD",
        "BASH_FUNC_ls%%",
        "x()",
        "PYTHONPATH",
        "PERL5OPT",
        "NODE_OPTIONS",
    ];
    let listed = variables::DANGEROUS
        .iter()
        .map(|name| std::str::from_utf8(name).unwrap());
    for name in listed.chain(more) {
        let refused = apply(&client(1, ""), &mut command(&["x"], &[name]));
        assert!(refused.is_err(), "{name}");
    }
    for name in ["PATH", "FOO", "CI", "HTTP_PROXY", "MYLD_PRELOAD"] {
        apply(&client(1, ""), &mut command(&["x"], &[name])).unwrap();
    }
    // On a socket of one's own it is one's own affair.
    apply(&Client::local(0), &mut command(&["x"], &["LD_PRELOAD"])).unwrap();
}

#[test]
fn a_key_without_a_terminal_has_none_also_if_its_line_is_another_by_now() {
    let mut asked = command(&["x"], &[]);
    asked.env.clear();
    asked.pty = Some(PtyRequest {
        rows: 24,
        columns: 80,
        x_pixels: 0,
        y_pixels: 0,
        term: b"xterm".to_vec().into(),
    });
    for (options, may) in [
        ("", true),
        ("restrict,pty", true),
        ("no-pty", false),
        ("restrict", false),
        ("command=\"x\",no-pty", false),
    ] {
        let client = client(1, options);
        assert_eq!(apply(&client, &mut asked.clone()).is_ok(), may, "{options}");
        let grant = client.grant.as_deref().unwrap();
        assert_eq!(still(grant, &asked).is_ok(), may, "{options}");
    }
}
