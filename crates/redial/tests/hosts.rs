//! Sets of hosts on the command line.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

mod support;

use support::{Ran, Redial};

fn hosts(args: &[&str], stdin: &str) -> Ran {
    Redial::bare(["hosts"]).args(args).input(stdin).ran()
}

fn said(args: &[&str], stdin: &str) -> String {
    let ran = hosts(args, stdin);
    assert_eq!((ran.code, &*ran.stderr), (0, ""), "{args:?}");
    String::from_utf8(ran.stdout).unwrap()
}

#[test]
fn sets_are_spelled_out_folded_and_counted() {
    assert_eq!(
        said(&["expand", "web[01-03],db1"], ""),
        "db1\nweb01\nweb02\nweb03\n"
    );
    assert_eq!(
        said(&["fold", "web1", "web2", "web3", "db1"], ""),
        "db1,web[1-3]\n"
    );
    assert_eq!(said(&["count", "web[1-500]!web[100-199]"], ""), "400\n");
    assert_eq!(
        said(&["expand", "--json", "a[1-2]"], ""),
        "[\"a1\",\"a2\"]\n"
    );
    assert_eq!(said(&["fold", "--json", "a1", "a2"], ""), "\"a[1-2]\"\n");
    assert_eq!(said(&["fold", "a!a"], ""), "\n");
    assert_eq!(
        said(&["fold"], "n1-1\nn1-2\n\nn2-1,n2-2\n"),
        "n[1-2]-[1-2]\n"
    );
}

#[test]
fn what_is_wrong_is_shown_where_it_is() {
    for (args, stdin, needle) in [
        (&["fold", "web[1-"][..], "", "not closed at character 4"),
        (&["fold", "a", "b]"], "", "not opened at character 2"),
        (
            &["fold"],
            "a\nb\nc[\n",
            "line 3: a bracket that is not closed",
        ),
        (
            &["count", "a[1-1000000]", "b"],
            "",
            "more than 1,000,000 hosts",
        ),
        (&["count", "@web"], "", "there is no inventory"),
        (&["expand", "\x1b[1"], "", "not closed"),
    ] {
        let ran = hosts(args, stdin);
        assert_eq!((ran.code, &ran.stdout[..]), (125, &b""[..]), "{args:?}");
        assert!(ran.stderr.starts_with("redial: "), "{}", ran.stderr);
        assert!(ran.stderr.contains(needle), "{args:?}: {}", ran.stderr);
        assert!(!ran.stderr.contains('\x1b'), "{}", ran.stderr);
    }
}

#[test]
fn whoever_has_seen_enough_closes_the_pipe() {
    use std::io::Read;
    let mut child = Redial::bare(["hosts", "expand", "a[1-1000000]"]).spawn();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 10]).unwrap();
    drop(stdout);
    assert_eq!(support::wait(&mut child), 0);
}
