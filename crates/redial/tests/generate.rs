//! Completions and manual pages are made from the command line's own definition.

#![expect(clippy::unwrap_used, reason = "a test that fails here has failed")]

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::process::{Command, Stdio};

use support::{Redial, skip};

/// Of `redial --help`, what stands below "Commands:".
fn commands() -> Vec<String> {
    let help = String::from_utf8(Redial::bare(["--help"]).ran().stdout).unwrap();
    let (_, below) = help.split_once("Commands:\n").unwrap();
    let lines = below.lines().take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.split_whitespace().next());
    names
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn completions_know_every_command_and_are_scripts_of_their_shells() {
    for shell in ["bash", "zsh", "fish"] {
        let ran = Redial::bare(["completion", shell]).ran();
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let script = String::from_utf8(ran.stdout).unwrap();
        for command in commands() {
            assert!(script.contains(&command), "{shell}: {command}");
        }
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("script");
        fs::write(&file, script).unwrap();
        let checked = Command::new(shell)
            .arg("-n")
            .arg(&file)
            .stdin(Stdio::null())
            .status();
        match checked {
            Ok(status) => assert!(status.success(), "{shell} -n: {status}"),
            Err(_) => skip(&format!("completions read by {shell}: it is not here")),
        }
    }
    assert_eq!(Redial::bare(["completion", "tcsh"]).ran().code, 125);
}

#[test]
fn every_command_has_a_manual_page_that_groff_reads_without_a_word() {
    let dir = tempfile::tempdir().unwrap();
    let ran = Redial::bare(["manual", dir.path().to_str().unwrap()]).ran();
    assert_eq!((ran.code, &*ran.stderr), (0, ""));
    let overview = fs::read_to_string(dir.path().join("redial.1")).unwrap();
    for command in commands() {
        let page = dir.path().join(format!("redial-{command}.1"));
        let text = fs::read_to_string(&page).unwrap();
        assert!(text.contains("SYNOPSIS") && text.len() > 500, "{command}");
        assert!(
            overview.contains(&format!("redial\\-{command}")),
            "{command}"
        );
    }
    assert!(dir.path().join("redial-keys-trust.1").exists());
    assert!(!dir.path().join("redial-manual.1").exists());
    let pages = fs::read_dir(dir.path()).unwrap();
    for page in pages {
        let page = page.unwrap().path();
        let mut groff = Command::new("groff");
        groff
            .args(["-man", "-Tutf8", "-ww", "-z", "-Kutf8"])
            .arg(&page);
        let Ok(read) = groff.stdin(Stdio::null()).output() else {
            return skip("manual pages read by groff: it is not here");
        };
        let said = String::from_utf8_lossy(&read.stderr);
        assert!(
            read.status.success() && said.is_empty(),
            "{}: {said}",
            page.display()
        );
    }
    let nowhere = dir.path().join("none");
    let ran = Redial::bare(["manual", nowhere.to_str().unwrap()]).ran();
    assert!(
        ran.code == 125 && ran.stderr.contains("none/redial.1"),
        "{}",
        ran.stderr
    );
}
