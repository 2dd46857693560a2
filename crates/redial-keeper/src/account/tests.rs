//! What is looked up, and what reaches a job's environment.

use super::*;

fn account(uid: u32) -> Account {
    let text = |text: &str| text.as_bytes().to_vec();
    Account {
        name: text("ada"),
        uid,
        gid: uid,
        home: text("/home/ada"),
        shell: text("/bin/bash"),
    }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(Vec<u8>, Vec<u8>)> {
    pairs
        .iter()
        .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
        .collect()
}

fn built(inherited: &[(&str, &str)], asked: &[(&str, &str)]) -> Vec<(String, String)> {
    let inherited = pairs(inherited);
    let text = |bytes| String::from_utf8(bytes).expect("the test's own text");
    build(
        &account(1000),
        b"0123",
        Some(b"xterm"),
        &pairs(asked),
        &inherited,
    )
    .into_iter()
    .map(|(name, value)| (text(name), text(value)))
    .collect()
}

fn value<'a>(environment: &'a [(String, String)], name: &str) -> Option<&'a str> {
    environment
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.as_str())
}

/// Names by which an environment takes over a program that trusts it.
const DANGEROUS: [&str; 60] = [
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "LD_AUDIT",
    "LD_DEBUG",
    "LD_DEBUG_OUTPUT",
    "LD_PROFILE",
    "LD_ORIGIN_PATH",
    "LD_BIND_NOW",
    "LD_SHOW_AUXV",
    "LD_USE_LOAD_BIAS",
    "LD_DYNAMIC_WEAK",
    "GCONV_PATH",
    "GETCONF_DIR",
    "HOSTALIASES",
    "LOCALDOMAIN",
    "LOCPATH",
    "MALLOC_TRACE",
    "MALLOC_CHECK_",
    "MALLOC_PERTURB_",
    "GLIBC_TUNABLES",
    "NIS_PATH",
    "NLSPATH",
    "RESOLV_HOST_CONF",
    "RES_OPTIONS",
    "TMPDIR",
    "TZDIR",
    "BASH_ENV",
    "ENV",
    "SHELLOPTS",
    "BASHOPTS",
    "PS4",
    "IFS",
    "CDPATH",
    "PROMPT_COMMAND",
    "BASH_FUNC_ls%%",
    "GLOBIGNORE",
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "PYTHONINSPECT",
    "PERL5LIB",
    "PERLLIB",
    "PERL5OPT",
    "PERL5DB",
    "RUBYLIB",
    "RUBYOPT",
    "NODE_OPTIONS",
    "NODE_PATH",
    "JAVA_TOOL_OPTIONS",
    "_JAVA_OPTIONS",
    "CLASSPATH",
    "GIT_SSH_COMMAND",
    "GIT_EXEC_PATH",
    "PAGER",
    "EDITOR",
    "SSH_AUTH_SOCK",
    "TERMINFO",
    "TERMCAP",
    "OPENSSL_CONF",
    "XDG_RUNTIME_DIR",
];

#[test]
fn no_dangerous_name_of_the_keepers_environment_arrives() {
    let inherited: Vec<_> = DANGEROUS.iter().map(|name| (*name, "/evil")).collect();
    let environment = built(&inherited, &[]);
    for name in DANGEROUS {
        assert_eq!(value(&environment, name), None, "{name} arrived");
    }
    assert!(environment.iter().all(|(_, value)| value != "/evil"));
}

#[test]
fn what_describes_the_account_is_built() {
    let environment = built(
        &[("HOME", "/root"), ("USER", "root"), ("SHELL", "/bin/false")],
        &[],
    );
    for (name, wanted) in [
        ("REDIAL_JOB", "0123"),
        ("HOME", "/home/ada"),
        ("USER", "ada"),
        ("LOGNAME", "ada"),
        ("SHELL", "/bin/bash"),
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("LANG", "C.UTF-8"),
        ("TERM", "xterm"),
    ] {
        assert_eq!(value(&environment, name), Some(wanted), "{name}");
    }
    assert_eq!(environment.len(), 8);
    assert_eq!(environment[0].0, "REDIAL_JOB", "the mark is found first");
}

#[test]
fn path_language_and_time_zone_pass_from_ones_own_keeper() {
    let own = [
        ("PATH", "/opt/bin"),
        ("LANG", "de_DE.UTF-8"),
        ("LC_TIME", "C"),
        ("TZ", "UTC"),
    ];
    let environment = built(&own, &[]);
    for (name, wanted) in own {
        assert_eq!(value(&environment, name), Some(wanted));
    }
}

#[test]
fn what_is_asked_wins_but_never_over_the_mark() {
    let asked = [
        ("HOME", "/tmp"),
        ("REDIAL_JOB", "forged"),
        ("A", "1"),
        ("A", "2"),
        ("E", ""),
    ];
    let environment = built(&[], &asked);
    assert_eq!(value(&environment, "HOME"), Some("/tmp"));
    assert_eq!(value(&environment, "REDIAL_JOB"), Some("0123"));
    assert_eq!(value(&environment, "A"), Some("2"));
    assert_eq!(value(&environment, "E"), Some(""));
    let marks = environment
        .iter()
        .filter(|(name, _)| name == "REDIAL_JOB")
        .count();
    assert_eq!(marks, 1);
}

#[test]
fn another_users_environment_takes_nothing_from_ours() {
    let environment = environment(&account(4_000_000_000), b"1", None, &[]);
    let path = environment.iter().find(|(name, _)| name == b"PATH");
    assert_eq!(path.map(|(_, value)| value.as_slice()), Some(USER_PATH));
    assert_eq!(environment.len(), 7);
}

#[test]
fn root_is_found_with_home_and_shell() {
    let root = Account::of_uid(0).expect("passwd can be read");
    assert_eq!(
        (root.name.as_slice(), root.home.as_slice()),
        (&b"root"[..], &b"/root"[..])
    );
    assert!(root.shell.starts_with(b"/"));
    assert!(root.groups().expect("groups can be read").contains(&0));
}

#[test]
fn a_uid_without_an_entry_gets_a_plain_account() {
    let stranger = Account::of_uid(3_999_999_999).expect("passwd can be read");
    assert_eq!(stranger.name, b"3999999999");
    assert_eq!(
        (stranger.home.as_slice(), stranger.shell.as_slice()),
        (&b"/"[..], &b"/bin/sh"[..])
    );
    assert_eq!(stranger.gid, NOGROUP);
}

#[test]
fn an_environment_of_many_variables_is_built_in_no_time() {
    let name = |number: u32| format!("V{number:06}").into_bytes();
    let asked: Vec<(Vec<u8>, Vec<u8>)> = (0..131_072)
        .map(|number| (name(number % 100_000), number.to_string().into_bytes()))
        .collect();
    let begun = std::time::Instant::now();
    let environment = environment(&account(1000), b"1", None, &asked);
    // Looking each of them up in a list took minutes.
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
    assert_eq!(environment.len(), 7 + 100_000);
    let last = environment.iter().find(|(it, _)| *it == name(31_071));
    assert_eq!(
        last.map(|(_, value)| value.as_slice()),
        Some(&b"131071"[..])
    );
}
