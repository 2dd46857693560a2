//! redial's own options of a key's line: what each lets through, and what not.

use crate::support::network::{Home, NetworkServer, write_private};
use crate::support::processes::{mark, marked, none_left};
use crate::support::{Ran, eventually};

/// One who is let in by a line with these options.
struct Guest<'a> {
    server: &'a NetworkServer,
    home: Home,
}

impl Guest<'_> {
    fn redial(&self, args: &[&str]) -> Ran {
        let (command, rest) = args.split_first().unwrap();
        let redial = self.home.redial([command]);
        redial
            .args(["--host-key", self.server.host_key()])
            .args(rest)
            .ran()
    }

    fn run(&self, args: &[&str]) -> Ran {
        let target = self.server.target();
        self.redial(&[&["run", "-n", &target], args].concat())
    }

    /// What is refused never ran, and says why.
    fn is_refused(&self, args: &[&str], because: &str) {
        let ran = self.redial(args);
        let told = ran.stderr.contains(because);
        assert!(
            ran.code == 125 && told && ran.stdout.is_empty(),
            "{args:?}: {ran:?}"
        );
    }

    fn run_is_refused(&self, args: &[&str], because: &str) {
        let target = self.server.target();
        self.is_refused(&[&["run", "-n", &target], args].concat(), because);
    }

    fn detached(&self, args: &[&str]) -> String {
        let ran = self.run(&[&["--detach"], args].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        String::from_utf8(ran.stdout).unwrap().trim_end().to_owned()
    }
}

/// Each is let in by a line with options of their own; the server's owner too.
fn guests<'a, const N: usize>(server: &'a NetworkServer, options: [&str; N]) -> [Guest<'a>; N] {
    let guests = options.map(|_| Guest {
        server,
        home: Home::with_key(),
    });
    let lines = guests.iter().zip(options).map(|(guest, options)| {
        let line = format!("{options} {}", guest.home.public_key());
        line.trim_start().to_owned()
    });
    let text = lines.chain([server.public_key()]).collect::<String>();
    write_private(&server.authorized_keys(), &text);
    guests
}

#[test]
fn allow_argv_is_about_arguments_and_never_about_a_text() {
    let server = NetworkServer::start();
    let [guest] = guests(&server, [r#"allow-argv="echo ?* two,id -u,env""#]);
    let said = guest.run(&["--", "echo", "a; b", "two"]);
    assert_eq!((said.code, &*said.stdout), (0, &b"a; b two\n"[..]));
    assert_eq!(guest.run(&["--", "id", "-u"]).code, 0);
    for argv in [
        &["id"][..],
        &["id", "-u", "-n"],
        &["echo", "one", "two", "three"],
        &["/usr/bin/id", "-u"],
        &["sh", "-c", "id -u"],
        &["./id", "-u"],
    ] {
        guest.run_is_refused(&[&["--"], argv].concat(), "allow-argv");
    }
    guest.run_is_refused(&["-c", "id -u"], "may not use a shell");
    guest.run_is_refused(&["--cwd", "/tmp", "--", "id", "-u"], "directory");
    // With PATH it would be another `id`.
    guest.run_is_refused(&["--env", "PATH=/tmp", "--", "id", "-u"], "PATH");
    // Its own jobs are its own: it does not see the owner's.
    let target = server.target();
    let owners = server.run().args(["--detach", "-n", "--", "true"]).ran();
    assert_eq!(owners.code, 0, "{}", owners.stderr);
    let listed = guest.redial(&["ps", "-q", &target]);
    assert_eq!((listed.code, &*listed.stdout), (0, &b""[..]));
    guest.is_refused(&["upgrade", &target], "may not replace");
}

#[test]
fn a_terminal_is_for_keys_that_may_have_one() {
    let server = NetworkServer::start();
    let options = [
        "",
        "restrict,pty",
        "no-pty",
        "restrict",
        r#"restrict,allow-argv="tty""#,
    ];
    let [free, granted, no_pty, restricted, patterns] = guests(&server, options);
    for guest in [&free, &granted] {
        let ran = guest.run(&["-t", "--", "tty"]);
        assert!(ran.stdout.starts_with(b"/dev/pts/"), "{ran:?}");
    }
    for guest in [&no_pty, &restricted, &patterns] {
        guest.run_is_refused(&["-t", "--", "tty"], "may not have a terminal");
        let ran = guest.run(&["--", "tty"]);
        assert_eq!((ran.code, &*ran.stdout), (1, &b"not a tty\n"[..]));
    }
    // Nor does one with patterns have a login shell.
    patterns.is_refused(&["shell", &server.target()], "may not use a shell");
}

#[test]
fn a_key_without_terminals_takes_none_of_anothers() {
    let server = NetworkServer::start();
    let [guest] = guests(&server, ["no-pty"]);
    let target = server.target();
    let owners = server.run().args(["--detach", "-t", "--", "cat"]).ran();
    assert_eq!(owners.code, 0, "{}", owners.stderr);
    let job = String::from_utf8(owners.stdout)
        .unwrap()
        .trim_end()
        .to_owned();
    guest.is_refused(&["attach", "--take", &job], "may not have a terminal");
    // It may look, and end what is its user's.
    assert_eq!(guest.redial(&["kill", &job]).code, 0);
    assert_eq!(guest.redial(&["wait", &job]).code, 143);
    // One that is no terminal it takes.
    let ran = guest.run(&["--detach", "--", "true"]);
    let job = String::from_utf8(ran.stdout).unwrap().trim_end().to_owned();
    assert!(job.starts_with(&target));
    assert_eq!(guest.redial(&["attach", "--take", &job]).code, 0);
}

#[test]
fn a_forced_command_takes_the_place_of_a_login_shell_too() {
    let server = NetworkServer::start();
    let forced = r#"command="echo forced; echo ${REDIAL_ORIGINAL_COMMAND-unset}; tty""#;
    let [guest, without] = guests(&server, [forced, &format!("{forced},no-pty")]);
    let ran = guest.redial(&["shell", &server.target()]);
    assert_eq!(ran.stdout, b"forced\nunset\nnot a tty\n", "{ran:?}");
    let ran = guest.run(&["-t", "--", "ls", "-l"]);
    assert!(
        ran.stdout.starts_with(b"forced\r\nls -l\r\n/dev/pts/"),
        "{ran:?}"
    );
    without.run_is_refused(&["-t", "--", "ls"], "may not have a terminal");
}

#[test]
fn env_names_what_may_be_set_but_never_what_loaders_obey() {
    let server = NetworkServer::start();
    let options = [r#"env="CI_*,LD_PRELOAD""#, r#"restrict,env="CI_*,PATH""#];
    let [free, restricted] = guests(&server, options);
    for guest in [&free, &restricted] {
        let said = guest.run(&["--env", "CI_JOB=7", "--", "printenv", "CI_JOB"]);
        assert_eq!(
            (said.code, &*said.stdout),
            (0, &b"7\n"[..]),
            "{}",
            said.stderr
        );
        for variable in ["HOME=/", "LD_PRELOAD=/x", "LANG=C", "CI=1"] {
            let name = variable.split('=').next().unwrap();
            guest.run_is_refused(&["--env", variable, "--", "true"], name);
        }
    }
    let said = restricted.run(&["--env", "PATH=/bin:/usr/bin", "--", "printenv", "PATH"]);
    assert_eq!(&*said.stdout, b"/bin:/usr/bin\n", "{}", said.stderr);
}

#[test]
fn at_a_prompt_what_may_not_be_set_is_said_and_the_next_line_runs() {
    let server = NetworkServer::start();
    let [guest] = guests(&server, [r#"env="GOOD_*""#]);
    let target = server.target();
    let lines = "cd /tmp; export GOOD_1=yes\npwd; echo $GOOD_1\nexport BAD=1\necho lost\npwd; echo $GOOD_1\n";
    let repl = guest
        .home
        .redial(["repl", "--host-key", server.host_key(), &target]);
    let ran = repl.input(lines).ran();
    assert_eq!(ran.stdout, b"/tmp\nyes\n/tmp\nyes\n", "{}", ran.stderr);
    assert!(
        ran.stderr.contains("may not set the variable BAD"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("again as they were"), "{}", ran.stderr);
}

#[test]
fn max_jobs_counts_the_keys_own_jobs_and_those_that_run() {
    let server = NetworkServer::start();
    let [two, other] = guests(&server, [r#"max-jobs="2""#, ""]);
    let marks = [mark(), mark(), mark()];
    let jobs = [&marks[0], &marks[1]].map(|mark| two.detached(&["--", "sleep", mark]));
    other.detached(&["--", "sleep", &marks[2]]);
    two.run_is_refused(&["--", "true"], "max-jobs");
    assert_eq!(two.redial(&["kill", "-s", "KILL", &jobs[0]]).code, 0);
    assert!(none_left(&marks[0]));
    // That it has ended is seen when its tree has been looked at.
    let again = eventually(|| (two.run(&["--", "true"]).code == 0).then_some(()));
    assert!(again.is_some());
    two.detached(&["--", "sleep", &marks[0]]);
    two.run_is_refused(&["--", "true"], "max-jobs");
}

#[test]
fn max_time_ends_each_job_with_all_that_it_has_started() {
    let server = NetworkServer::start();
    let [brief] = guests(&server, [r#"max-time="1s""#]);
    let marks = [mark(), mark()];
    let ran = brief.run(&["--json", "--", "sleep", &marks[0]]);
    let last = String::from_utf8(ran.stdout).unwrap();
    let outcome: serde_json::Value = serde_json::from_str(last.lines().last().unwrap()).unwrap();
    assert_eq!((ran.code, &outcome["cause"]), (124, &"deadline".into()));
    // What would outlive the job, and so its time, is ended with it.
    let left = format!(
        "setsid sleep {} >/dev/null 2>&1 </dev/null & exit 4",
        marks[1]
    );
    assert_eq!(brief.run(&["-c", &left]).code, 4);
    assert!(none_left(&marks[1]), "{:?}", marked(&marks[1]));
    brief.run_is_refused(&["--deadline", "2s", "--", "true"], "max-time");
    assert_eq!(brief.run(&["--deadline", "1s", "--", "true"]).code, 0);
}

#[test]
fn who_may_only_look_sees_all_and_changes_nothing() {
    let server = NetworkServer::start();
    let [looks, owner] = guests(&server, ["restrict,read-only", ""]);
    let target = server.target();
    let mark = mark();
    let text = format!("echo up; exec sleep {mark}");
    let running = owner.detached(&["-c", &text]);
    let ended = owner.detached(&["-c", "echo done; exit 3"]);
    assert_eq!(owner.redial(&["wait", &ended]).code, 3);
    let listed = looks.redial(&["ps", "-q", &target]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(
        listed.contains(&running) && listed.contains(&ended),
        "{listed}"
    );
    let up = eventually(|| (looks.redial(&["logs", &running]).stdout == b"up\n").then_some(()));
    assert!(up.is_some());
    assert_eq!(looks.redial(&["wait", &ended]).code, 3);
    let along = looks.redial(&["attach", "--from", "start", &ended]);
    assert_eq!((along.code, &*along.stdout), (3, &b"done\n"[..]));
    for args in [
        &["run", "-n", &target, "--", "true"][..],
        &["run", "-n", "--detach", &target, "--", "true"],
        &["attach", "--take", &running],
        &["upgrade", &target],
    ] {
        looks.is_refused(args, "read-only");
    }
    for args in [&["kill", &running][..], &["rm", &ended]] {
        let ran = looks.redial(args);
        assert!(ran.code != 0 && ran.stderr.contains("read-only"), "{ran:?}");
    }
    assert!(!marked(&mark).is_empty());
    // A kept job is marked in the list; its name may be copied as it stands there.
    let name = format!("{ended}+");
    assert_eq!(owner.redial(&["logs", &name]).stdout, b"done\n");
}

#[test]
fn what_is_odd_or_reserved_lets_nobody_in() {
    let server = NetworkServer::start();
    let target = server.target();
    let odd = [
        r#"max-jobs="0""#,
        "max-jobs=2",
        r#"max-time="1y""#,
        r#"memory="64MB""#,
        r#"cpu="0""#,
        r#"pids="-1""#,
        r#"allow-argv="""#,
        r#"allow-argv="true",command="true""#,
        r#"allow-argv="./true""#,
        "read-only=\"yes\"",
        r#"env="A=1""#,
        r#"files="/srv""#,
        r#"forward="*:80""#,
    ];
    for (number, options) in (10..).zip(odd) {
        let [guest] = guests(&server, [options]);
        // A login that fails costs its source a wait.
        let source = format!("127.0.0.{number}");
        let ran = guest.redial(&["run", "-n", "--bind", &source, &target, "--", "true"]);
        assert_eq!(ran.code, 125, "{options}: {}", ran.stderr);
        let owners = server.run().args(["-n", "--", "true"]).ran();
        assert_eq!(owners.code, 0, "{options}: {}", owners.stderr);
    }
}

#[test]
fn a_keys_jobs_have_no_more_memory_cores_and_processes_than_its_line_says() {
    let server = NetworkServer::start();
    let options = [r#"memory="64M""#, r#"cpu="0.5""#, r#"pids="20""#];
    let [memory, cpu, pids] = guests(&server, options);
    memory.run_is_refused(&["--memory", "65M", "--", "true"], "(memory)");
    cpu.run_is_refused(&["--cpu", "0.6", "--", "true"], "(cpu)");
    pids.run_is_refused(&["--pids", "21", "--", "true"], "(pids)");
    // What they have by their lines is kept, or nothing runs.
    for guest in [memory, cpu, pids] {
        let ran = guest.run(&["--", "echo", "ran"]);
        match ran.code {
            0 => assert_eq!(ran.stdout, b"ran\n"),
            _ => guest.run_is_refused(&["--", "echo", "ran"], "this server cannot limit"),
        }
    }
}
