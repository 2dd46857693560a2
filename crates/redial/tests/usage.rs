//! Wrong use is said in our words, and with the way out.

mod support;

use support::Redial;

/// What is said of these arguments of `redial`; the code is 125, and nothing is on stdout.
fn said(args: &[&str]) -> String {
    let ran = Redial::bare(args).ran();
    assert_eq!((ran.code, &ran.stdout[..]), (125, &b""[..]), "{args:?}");
    ran.stderr
}

#[test]
fn wrong_use_begins_as_all_our_errors_do_and_keeps_hints_and_usage() {
    for args in [
        &["frob"][..],
        &["run"],
        &["run", "local:", "--dedline", "1s", "true"],
        &["run", "local:", "--deadline", "soon", "true"],
        &["serve", "--max-jobs", "x"],
    ] {
        let said = said(args);
        assert!(said.starts_with("redial: "), "{args:?}: {said}");
        assert!(!said.contains("error:"), "{args:?}: {said}");
        assert!(said.contains("--help"), "{args:?}: {said}");
    }
    let said = said(&["run", "local:", "--dedline", "1s", "true"]);
    assert!(said.contains("exists: '--deadline'"), "{said}");
    assert!(said.contains("Usage: redial run"), "{said}");
}

#[test]
fn what_is_quoted_cannot_steer_the_terminal() {
    let said = said(&["run", "local:", "--\x1b[31m"]);
    assert!(!said.contains('\x1b'), "{said:?}");
}

#[test]
fn a_missing_command_points_to_text_for_the_shell() {
    let said = said(&["run", "local:"]);
    assert!(
        said.contains("<ARGV>") && said.contains("-c 'TEXT'"),
        "{said}"
    );
}

#[test]
fn habits_of_docker_and_ssh_are_answered() {
    for (flag, needle) in [
        ("-it", "-n: none"),
        ("-e", "--env NAME=VALUE"),
        ("--workdir", "--cwd DIR"),
        ("-w/tmp", "--cwd DIR"),
        ("-u", "user@host"),
    ] {
        let said = said(&["run", "local:", flag, "--", "id"]);
        assert!(said.contains(needle), "{flag}: {said}");
    }
}

#[test]
fn a_host_without_its_colon_is_suggested_with_it() {
    for (host, needle) in [
        ("local", "did you mean local: ?"),
        ("unix", "did you mean unix: ?"),
        ("/run/x.sock", "did you mean unix:/run/x.sock ?"),
    ] {
        let said = said(&["run", host, "--", "id"]);
        assert!(said.starts_with("redial: "), "{said}");
        assert!(said.contains(needle), "{host}: {said}");
    }
}
