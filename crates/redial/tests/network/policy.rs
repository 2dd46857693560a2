//! authorized_keys is obeyed as sshd obeys it, and what is dangerous does not arrive.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use redial_keeper::account::Account;
use std::os::unix::ffi::OsStringExt;

use crate::lab::has;
use crate::sshd::{Sshd, user};
use crate::support::network::{NetworkServer, write_private};
use crate::support::{Ran, eventually, skip};

/// Asked for in every case; each side knows one of the two variables.
const ASKED: &str = "echo ran:$A:$REDIAL_ORIGINAL_COMMAND$SSH_ORIGINAL_COMMAND";
const FORCED: &str = r#"command="echo forced:$REDIAL_ORIGINAL_COMMAND$SSH_ORIGINAL_COMMAND""#;

/// What `run -c ASKED` from there comes to. Each case has an address of its own, so that
/// no penalty for one is felt by the next.
fn asked(server: &NetworkServer, who: &str, source: &str) -> Ran {
    let target = format!("{who}@{}", server.target());
    let redial = server.redial(["run", &target, "--host-key", server.host_key()]);
    redial.args(["-n", "--bind", source, "-c", ASKED]).ran()
}

fn ours(server: &NetworkServer, who: &str, source: &str) -> Option<String> {
    let ran = asked(server, who, source);
    let printed = String::from_utf8(ran.stdout).unwrap();
    match ran.code {
        0 => printed.lines().last().map(str::to_owned),
        code => {
            assert_eq!((code, printed.as_str()), (125, ""), "{}", ran.stderr);
            let told = ran.stderr.contains(who) && ran.stderr.contains("SHA256:");
            assert!(told, "{}", ran.stderr);
            None
        }
    }
}

/// Options of the key's line, and what is printed if it lets somebody in.
fn cases() -> Vec<(String, Option<String>)> {
    let ran = || Some("ran::".to_owned());
    let forced = || Some(format!("forced:{ASKED}"));
    let both = format!("restrict,{FORCED}");
    let list: [(&str, Option<String>); 17] = [
        ("", ran()),
        ("# ", None),
        ("expiry-time=\"20200101\"", None),
        ("expiry-time=\"29990101\"", ran()),
        ("from=\"10.0.0.1\"", None),
        ("from=\"!127.0.0.0/8,*\"", None),
        ("from=\"127.0.0.0/8\"", ran()),
        ("from=\"10.0.0.1,127.*\"", ran()),
        (FORCED, forced()),
        ("restrict", ran()),
        (&both, forced()),
        ("environment=\"A=x y\"", Some("ran:x y:".to_owned())),
        (
            "environment=\"A=1\",environment=\"A=2\"",
            Some("ran:1:".to_owned()),
        ),
        ("no-such-option", None),
        ("no-such-option=\"x\"", None),
        ("command=\"echo unclosed", None),
        ("cert-authority", None),
    ];
    list.into_iter()
        .map(|(options, expected)| (options.to_owned(), expected))
        .collect()
}

#[test]
fn each_option_does_what_it_does_in_sshd() {
    let name = "each_option_does_what_it_does_in_sshd";
    let server = NetworkServer::start();
    let dir = tempfile::tempdir().unwrap();
    let there = has(&["ssh", "ssh-keygen"], name);
    let sshd = there.then(|| Sshd::start(dir.path(), &server.authorized_keys(), false));
    let sshd = match sshd {
        Some(Ok(sshd)) => Some(sshd),
        Some(Err(reason)) => {
            skip(&format!("{name}: beside sshd: {reason}"));
            None
        }
        None => None,
    };
    let (key, line) = (server.home().join(".ssh/id_ed25519"), server.public_key());
    if let Some(sshd) = &sshd {
        let theirs = sshd.run("no-such-user-here", &key, "127.0.0.9", ASKED);
        assert_eq!(theirs, None, "as the next test says of us");
    }
    let mut wrong = Vec::new();
    for (number, (options, expected)) in (10..).zip(cases()) {
        write_private(
            &server.authorized_keys(),
            format!("{options} {line}").trim_start(),
        );
        let source = format!("127.0.0.{number}");
        let ours = ours(&server, &user(), &source);
        if ours != expected {
            wrong.push(format!("{options}: {ours:?}, not {expected:?}"));
        }
        let theirs = sshd
            .as_ref()
            .map(|it| it.run(&user(), &key, &source, ASKED));
        match theirs {
            Some(theirs) if theirs != ours => {
                let log = sshd.as_ref().map(Sshd::log).unwrap_or_default();
                if log.contains("account is locked") {
                    skip(&format!("{name}: sshd lets this user in with no key"));
                    return;
                }
                wrong.push(format!("{options}: {ours:?}, sshd {theirs:?}"));
            }
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), server.log());
}

#[test]
fn a_wrong_users_name_is_refused_as_an_unknown_one_is() {
    let server = NetworkServer::start();
    let mut said = Vec::new();
    for (who, source) in [("nobody", "127.0.1.1"), ("no-such-user-here", "127.0.1.2")] {
        let ran = asked(&server, who, source);
        assert_eq!((ran.code, ran.stdout.len()), (125, 0), "{}", ran.stderr);
        said.push(ran.stderr.replace(who, "WHO").replace(source, "SOURCE"));
    }
    // Who asks cannot tell which users there are.
    assert_eq!(said[0], said[1]);
    assert_eq!(
        ours(&server, &user(), "127.0.1.3").as_deref(),
        Some("ran::")
    );
}

#[test]
fn a_line_with_an_unknown_option_is_logged_with_file_and_line() {
    let server = NetworkServer::start();
    let text = format!("# first\n\nno-such-option {}", server.public_key());
    write_private(&server.authorized_keys(), &text);
    assert_eq!(ours(&server, &user(), "127.0.2.1"), None);
    let file = server.authorized_keys().display().to_string();
    let logged = eventually(|| {
        let log = server.log();
        let mut lines = log.lines().map(str::to_owned);
        lines.find(|line| line.contains("no-such-option"))
    });
    let logged = logged.unwrap_or_else(|| panic!("{}", server.log()));
    assert!(
        logged.contains(&file) && logged.contains("line 3"),
        "{logged}"
    );
}

/// Modes of file and directory, and whether the file counts then.
const MODES: [(u32, u32, bool); 5] = [
    (0o600, 0o700, true),
    (0o644, 0o755, true),
    (0o666, 0o700, false),
    (0o620, 0o700, false),
    (0o600, 0o777, false),
];

fn set_modes(file: &Path, (of_file, of_dir): (u32, u32)) {
    fs::set_permissions(file, Permissions::from_mode(of_file)).unwrap();
    let dir = file.parent().unwrap();
    fs::set_permissions(dir, Permissions::from_mode(of_dir)).unwrap();
}

#[test]
fn keys_that_others_could_have_written_let_nobody_in_and_that_is_logged() {
    let server = NetworkServer::start();
    let file = server.authorized_keys();
    for (number, (of_file, of_dir, counts)) in (1..).zip(MODES) {
        set_modes(&file, (of_file, of_dir));
        let before = server.log().len();
        let came_in = ours(&server, &user(), &format!("127.0.3.{number}"));
        set_modes(&file, (0o600, 0o700));
        assert_eq!(came_in.is_some(), counts, "{of_file:o} {of_dir:o}");
        let log = server.log()[before..].to_owned();
        let said = log.contains("does not count") && log.contains("writable by nobody else");
        assert_eq!(said, !counts, "{of_file:o} {of_dir:o}: {log}");
    }
}

/// Below the home directory, since sshd takes nothing below /tmp.
#[test]
fn sshd_judges_modes_as_we_do() {
    let name = "sshd_judges_modes_as_we_do";
    if !has(&["ssh", "ssh-keygen"], name) {
        return;
    }
    let home = std::ffi::OsString::from_vec(Account::own().unwrap().home);
    let Ok(dir) = tempfile::tempdir_in(home) else {
        return skip(&format!("{name}: no home directory that can be written"));
    };
    let file = dir.path().join("authorized_keys");
    let server = NetworkServer::start();
    write_private(&file, &server.public_key());
    let sshd = match Sshd::start(dir.path(), &file, true) {
        Ok(sshd) => sshd,
        Err(reason) => return skip(&format!("{name}: {reason}")),
    };
    let key = server.home().join(".ssh/id_ed25519");
    for (number, (of_file, of_dir, counts)) in (1..).zip(MODES) {
        set_modes(&file, (of_file, of_dir));
        let source = format!("127.0.4.{number}");
        let theirs = sshd.run(&user(), &key, &source, ASKED);
        if of_file == 0o620 {
            // Debian's takes the group of one that everybody has; upstream's and ours do not.
            continue;
        }
        if number == 1 && theirs.is_none() {
            return skip(&format!("{name}: sshd lets nobody in here: {}", sshd.log()));
        }
        assert_eq!(
            theirs.is_some(),
            counts,
            "{of_file:o} {of_dir:o}: {}",
            sshd.log()
        );
    }
}

/// What loaders, shells and interpreters run or load because a variable says so.
const DANGEROUS: &str = "LD_PRELOAD LD_LIBRARY_PATH LD_AUDIT LD_DEBUG LD_DEBUG_OUTPUT \
    LD_ORIGIN_PATH LD_PROFILE LD_PROFILE_OUTPUT LD_SHOW_AUXV _RLD_LIST DYLD_INSERT_LIBRARIES \
    GLIBC_TUNABLES GCONV_PATH GETCONF_DIR HOSTALIASES LOCALDOMAIN LOCPATH MALLOC_TRACE \
    MALLOC_CHECK_ NIS_PATH NLSPATH RESOLV_HOST_CONF RES_OPTIONS TZDIR OPENSSL_CONF \
    OPENSSL_ENGINES OPENSSL_MODULES SSLKEYLOGFILE ENV BASH_ENV SHELLOPTS BASHOPTS PS4 \
    PROMPT_COMMAND IFS CDPATH GLOBIGNORE BASH_FUNC_ls%% ls() ZDOTDIR FPATH PYTHONPATH \
    PYTHONSTARTUP PYTHONHOME PYTHONINSPECT PERL5LIB PERL5OPT PERL5DB RUBYOPT RUBYLIB \
    NODE_OPTIONS NODE_PATH LUA_INIT LUA_PATH PHPRC PHP_INI_SCAN_DIR GIT_SSH_COMMAND \
    GIT_EXTERNAL_DIFF GIT_CONFIG_GLOBAL JAVA_TOOL_OPTIONS _JAVA_OPTIONS JDK_JAVA_OPTIONS \
    CLASSPATH TERMINFO TERMCAP AWKPATH LESSOPEN LESSCLOSE MANPAGER R_PROFILE";

#[test]
fn sixty_dangerous_variables_are_refused_one_by_one_and_none_arrives() {
    let server = NetworkServer::start();
    let names: Vec<&str> = DANGEROUS.split_whitespace().collect();
    assert!(names.len() >= 60);
    let refused = |name: &&str| {
        let variable = format!("{name}=canary");
        let args = ["-n", "--env", &variable, "--", "env"];
        let ran = server.run().args(args).ran();
        assert_eq!(
            (ran.code, ran.stdout.len()),
            (125, 0),
            "{name}: {}",
            ran.stderr
        );
        let clear = ran
            .stderr
            .contains(&format!("the variable {name} may not be set"));
        assert!(clear, "{name}: {}", ran.stderr);
    };
    let (first, second) = names.split_at(names.len() / 2);
    std::thread::scope(|scope| {
        scope.spawn(|| first.iter().for_each(refused));
        second.iter().for_each(refused);
    });
    let ran = server.run().args(["-n", "--", "env"]).ran();
    let printed = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.code == 0 && !printed.contains("canary"), "{printed}");
    let arrived = names
        .iter()
        .find(|name| printed.contains(&format!("\n{name}=")));
    assert_eq!(arrived, None, "{printed}");
}

#[test]
fn a_restricted_key_sets_how_output_looks_and_nothing_else() {
    let server = NetworkServer::with("restrict");
    let run = |variable: &str| {
        let args = ["-n", "--env", variable, "--", "env"];
        server.run().args(args).ran()
    };
    let ran = run("LC_ALL=C");
    assert!(
        ran.code == 0 && ran.stdout.windows(9).any(|it| it == b"LC_ALL=C\n"),
        "{ran:?}"
    );
    for name in ["PATH", "HOME", "X", "REDIAL_ORIGINAL_COMMAND"] {
        let ran = run(&format!("{name}=x"));
        assert_eq!((ran.code, ran.stdout.len()), (125, 0), "{}", ran.stderr);
        assert!(ran.stderr.contains(name), "{}", ran.stderr);
    }
}
