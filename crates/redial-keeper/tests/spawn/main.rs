//! What a started process is, has and has not.

#[path = "../child/mod.rs"]
mod child;
mod standing;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::thread;

use child::{Ended, Job, argv, read_all, request};
use redial_keeper::account::Account;
use redial_keeper::spawn::{Program, SpawnError, SpawnRequest, SpawnStage, Spawner, Stdio3};

fn spawner() -> Spawner {
    Spawner::new().expect("descriptors and memory")
}

fn run(request: &SpawnRequest) -> Ended {
    Job::start(&mut spawner(), request).finish(b"")
}

fn fails(request: &SpawnRequest) -> SpawnError {
    spawner().spawn(request).expect_err("it must not start")
}

fn text(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

fn status_of(request: &SpawnRequest) -> impl Fn(&str) -> String + use<> {
    let status = run(request).text().to_owned();
    move |field| {
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let words = line
            .unwrap_or_default()
            .split_whitespace()
            .collect::<Vec<_>>();
        words.join(" ")
    }
}

/// Writes a program, by another process: what we had open for writing while another test starts something
/// would be busy for a moment (execve(2), ETXTBSY).
fn write_program(path: &std::path::Path, text: &str) {
    let write = r#"printf %s "$1" >"$0" && chmod 700 "$0""#;
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", write]).arg(path).arg(text);
    assert!(shell.status().expect("sh").success());
}

#[test]
fn a_program_runs_and_its_exit_and_streams_are_ours() {
    let request = request(argv(&["sh", "-c", "cat; echo err >&2; exit 3"]));
    let ended = Job::start(&mut spawner(), &request).finish(b"hello\n");
    assert_eq!(ended.code, Some(3));
    assert_eq!(ended.stdout, b"hello\n");
    assert_eq!(ended.stderr, b"err\n");
}

#[test]
fn a_signal_is_told_from_an_exit() {
    let ended = run(&request(argv(&["sh", "-c", "kill -9 $$"])));
    assert_eq!((ended.code, ended.signal), (None, Some(libc::SIGKILL)));
}

#[test]
fn what_is_not_there_or_not_to_be_run_says_so() {
    for (program, errno) in [
        ("/nonexistent", libc::ENOENT),
        ("no-such-program", libc::ENOENT),
        ("", libc::ENOENT),
        ("/etc/passwd", libc::EACCES),
        ("/etc/passwd/x", libc::ENOENT),
        ("/", libc::EACCES),
    ] {
        let error = fails(&request(argv(&[program])));
        assert_eq!(
            (error.stage, error.errno),
            (SpawnStage::Exec, errno),
            "{program}: {error}"
        );
        assert_eq!(error.path, program.as_bytes());
    }
}

#[test]
fn a_bare_name_is_searched_as_execvp_does_but_never_given_to_a_shell() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| {
        directory
            .path()
            .join(name)
            .to_str()
            .expect("text")
            .to_owned()
    };
    for name in ["closed", "open"] {
        std::fs::create_dir(path(name)).expect("a directory");
    }
    for (name, mode) in [("closed/true", 0o644), ("script", 0o755)] {
        write_program(path(name).as_ref(), "exit 0\n");
        std::fs::set_permissions(path(name), std::fs::Permissions::from_mode(mode)).expect("mode");
    }
    let with_path = |program: &str, value: String| SpawnRequest {
        env: vec![(b"PATH".to_vec(), value.into_bytes())],
        ..request(argv(&[program]))
    };
    let closed = path("closed");
    assert_eq!(
        run(&with_path("true", format!("/nonexistent:{closed}:/bin"))).code,
        Some(0)
    );
    let error = fails(&with_path("true", format!("{closed}:/nonexistent")));
    assert_eq!(
        (error.errno, error.path),
        (libc::EACCES, path("closed/true").into_bytes())
    );
    let error = fails(&with_path("script", path("")));
    assert_eq!(error.errno, libc::ENOEXEC);
    // Without a PATH, where programs usually are.
    let bare = SpawnRequest {
        env: Vec::new(),
        ..request(argv(&["true"]))
    };
    assert_eq!(run(&bare).code, Some(0));
}

#[test]
fn only_descriptors_0_to_2_are_open_whatever_the_caller_leaves_inheritable() {
    let null = File::open("/dev/null").expect("/dev/null");
    // SAFETY: duplicates of an open descriptor, each owned by one `OwnedFd`.
    let inheritable: Vec<OwnedFd> = (0..100)
        .map(|_| unsafe { OwnedFd::from_raw_fd(libc::fcntl(fd(&null), libc::F_DUPFD, 0)) })
        .collect();
    let mut job = Job::start(&mut spawner(), &request(argv(&["cat"])));
    // When it answers, the dynamic linker has closed what it had opened.
    let mut stdin = File::from(job.spawned.stdin.take().expect("a pipe"));
    stdin.write_all(b"x").expect("it reads");
    let mut stdout = File::from(job.spawned.stdout.take().expect("a pipe"));
    child::eventually("the echo", || {
        stdout.read(&mut [0]).is_ok_and(|count| count == 1)
    });
    let open = std::fs::read_dir(format!("/proc/{}/fd", job.spawned.pid)).expect("alive");
    let open: BTreeSet<_> = open
        .map(|entry| entry.expect("entry").file_name())
        .collect();
    assert_eq!(open, ["0", "1", "2"].map(Into::into).into());
    drop((stdin, inheritable));
    assert_eq!(job.wait(), (Some(0), None));
}

fn fd(file: &File) -> i32 {
    use std::os::fd::AsRawFd;
    file.as_raw_fd()
}

#[test]
fn no_signal_is_blocked_or_ignored_though_ours_are() {
    // SAFETY: ignoring a signal runs no code; blocking concerns this thread only.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
        libc::signal(libc::SIGUSR2, libc::SIG_IGN);
        let mut set = std::mem::zeroed();
        libc::sigfillset(&mut set);
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
    }
    let field = status_of(&request(argv(&["cat", "/proc/self/status"])));
    for name in ["SigBlk:", "SigIgn:", "SigCgt:"] {
        assert_eq!(field(name), "0000000000000000", "{name}");
    }
    let ours = std::fs::read_to_string("/proc/thread-self/status").expect("status");
    let ours = ours
        .lines()
        .find(|line| line.starts_with("SigBlk:"))
        .expect("SigBlk");
    assert!(
        ours.contains("fffffffe"),
        "our own mask is put back: {ours}"
    );
}

#[test]
fn the_environment_is_exactly_what_was_asked() {
    let pair = |name: &[u8], value: &[u8]| (name.to_vec(), value.to_vec());
    let env = vec![
        pair(b"A", b""),
        pair(b"B", b"=\n\xff "),
        pair(b"LONG", &[b'x'; 100_000]),
    ];
    let wanted: Vec<u8> = env
        .iter()
        .flat_map(|(name, value)| [name, &b"="[..], value, b"\0"].concat())
        .collect();
    let request = SpawnRequest {
        env,
        ..request(argv(&["/bin/cat", "/proc/self/environ"]))
    };
    assert_eq!(run(&request).stdout, wanted);
}

#[test]
fn arguments_arrive_byte_for_byte() {
    let every: Vec<u8> = (1..=255).collect();
    let mut arguments: Vec<Vec<u8>> = [
        &b"sh"[..],
        b"-c",
        b"cat /proc/$$/cmdline; :",
        b"sh",
        b"",
        b"\n",
        b"$(id) `id` * ;",
        &every,
    ]
    .map(<[u8]>::to_vec)
    .to_vec();
    // 1.5 MiB in all, each just under the kernel's 128 KiB.
    arguments.extend((0..12_u8).map(|n| vec![b'a' + n; 128 * 1024 - 1]));
    let wanted: Vec<u8> = arguments
        .iter()
        .flat_map(|argument| [argument, &b"\0"[..]].concat())
        .collect();
    let ended = run(&request(Program::Argv(arguments)));
    assert_eq!(ended.code, Some(0));
    assert!(
        ended.stdout == wanted,
        "{} of {} bytes",
        ended.stdout.len(),
        wanted.len()
    );
}

#[test]
fn too_long_an_argument_is_the_kernels_e2big() {
    let long = vec![b'x'; 128 * 1024];
    let error = fails(&request(Program::Argv(vec![b"/bin/true".to_vec(), long])));
    assert_eq!((error.stage, error.errno), (SpawnStage::Exec, libc::E2BIG));
}

#[test]
fn a_nul_or_a_name_that_is_none_is_refused_before_anything_starts() {
    let nul = Program::Argv(vec![b"true".to_vec(), b"a\0b".to_vec()]);
    let with = |name: &[u8], value: &[u8]| SpawnRequest {
        env: vec![(name.to_vec(), value.to_vec())],
        ..request(argv(&["true"]))
    };
    let at_nul = SpawnRequest {
        cwd: Some(b"/\0".to_vec()),
        ..request(argv(&["true"]))
    };
    for (request, stage) in [
        (request(nul), SpawnStage::Argument),
        (request(argv(&[])), SpawnStage::Argument),
        (
            request(Program::Shell(b"true\0".to_vec())),
            SpawnStage::Argument,
        ),
        (with(b"A", b"\0"), SpawnStage::Environment),
        (with(b"A=B", b""), SpawnStage::Environment),
        (with(b"", b""), SpawnStage::Environment),
        (at_nul, SpawnStage::Cwd),
    ] {
        let error = fails(&request);
        assert_eq!((error.stage, error.errno), (stage, libc::EINVAL), "{error}");
    }
}

#[test]
fn text_is_run_by_the_accounts_shell_in_the_accounts_home() {
    let home = tempfile::tempdir().expect("a directory");
    let home = home.path().canonicalize().expect("a path");
    let mut account = Account::own().expect("passwd");
    account.home = text(home.to_str().expect("text"));
    account.shell = text("/bin/sh");
    let program = Program::Shell(text("pwd -P; echo $0; exit 7"));
    let ended = run(&SpawnRequest::new(
        program.clone(),
        Arc::new(account.clone()),
    ));
    assert_eq!(ended.text(), format!("{}\nsh\n", home.display()));
    assert_eq!(ended.code, Some(7));
    account.shell = text("/no/shell");
    let error = fails(&SpawnRequest::new(program, Arc::new(account)));
    assert_eq!((error.errno, error.path), (libc::ENOENT, text("/no/shell")));
}

#[test]
fn a_script_whose_interpreter_is_missing_names_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let script = directory.path().join("script");
    let name = script.to_str().unwrap();
    write_program(&script, "#! /no/such -x\n");
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o644)).unwrap();
    let found_there = SpawnRequest {
        env: vec![(text("PATH"), text(directory.path().to_str().unwrap()))],
        ..request(argv(&["script"]))
    };
    let from_there = SpawnRequest {
        cwd: Some(text(directory.path().to_str().unwrap())),
        ..request(argv(&["./script"]))
    };
    let not_executable = fails(&request(argv(&[name])));
    assert_eq!(not_executable.stage, SpawnStage::Exec);
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    for request in [request(argv(&[name])), found_there, from_there] {
        let error = fails(&request);
        assert_eq!(
            (error.stage, error.errno, error.path),
            (SpawnStage::Interpreter, libc::ENOENT, text("/no/such"))
        );
    }
}

#[test]
fn a_missing_home_directory_is_told_from_one_that_was_asked_for() {
    let mut account = Account::own().unwrap();
    account.home = text("/no/home");
    let error = fails(&SpawnRequest {
        account: Arc::new(account),
        cwd: None,
        ..request(argv(&["true"]))
    });
    assert_eq!(
        (error.stage, error.errno, error.path),
        (SpawnStage::Home, libc::ENOENT, text("/no/home"))
    );
}

#[test]
fn a_bad_directory_is_named() {
    for (cwd, errno) in [("/no/such", libc::ENOENT), ("/etc/passwd", libc::ENOTDIR)] {
        let cwd = cwd.as_bytes().to_vec();
        let error = fails(&SpawnRequest {
            cwd: Some(cwd.clone()),
            ..request(argv(&["true"]))
        });
        assert_eq!(
            (error.stage, error.errno, error.path),
            (SpawnStage::Cwd, errno, cwd)
        );
    }
}

#[test]
fn null_is_an_empty_input_and_swallows_output() {
    let mut request = request(argv(&["sh", "-c", "cat; echo out; echo err >&2"]));
    (request.stdin, request.stderr) = (Stdio3::Null, Stdio3::Null);
    let mut job = Job::start(&mut spawner(), &request);
    assert!(job.spawned.stdin.is_none() && job.spawned.stderr.is_none());
    assert_eq!(
        read_all(job.spawned.stdout.take().expect("a pipe")),
        b"out\n"
    );
    assert_eq!(job.wait().0, Some(0));
}

#[test]
fn many_threads_start_processes_at_once_and_no_pipe_is_crossed() {
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            thread::spawn(move || {
                let mut spawner = spawner();
                for turn in 0..50 {
                    let text = format!("{thread}.{turn}");
                    let job = Job::start(&mut spawner, &request(argv(&["echo", &text])));
                    assert_eq!(job.finish(b"").text(), format!("{text}\n"));
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no thread fails");
    }
}
