//! The pages for people who come from clush, pdsh and ansible: each redial command in them works.

use std::fs;
use std::path::Path;

use crate::site::Site;
use crate::support::binary;

/// The commands in the second column of a page's table.
fn commands(page: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs")
        .join(page);
    let text = fs::read_to_string(path).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| "));
    let cells = rows.filter_map(|row| row.split(" | ").nth(1));
    let spans = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    spans
        .filter(|span| span.starts_with("redial "))
        .map(str::to_owned)
        .collect()
}

/// Hosts of the names that the pages use, and the files that they speak of.
fn site() -> Site {
    let site = Site::of(&["node[1-4]", "db1"]);
    site.hosts_toml("[groups]\nweb = \"node[1-3]\"\n");
    fs::write(site.file("file"), "some input\n").unwrap();
    fs::write(site.file("hosts.txt"), "node1\nnode2\n").unwrap();
    fs::write(
        site.file("inventory"),
        "[web]\nnode[1:3] rack=4\n[prod]\nnode1\n",
    )
    .unwrap();
    let bin = site.file("bin");
    fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(binary(), bin.join("redial")).unwrap();
    let known = site.run("node[1-4],db1").args(["--", "true"]).ran();
    assert_eq!(known.code, 0, "{}", known.stderr);
    site
}

#[track_caller]
fn all_work(page: &str, at_least: usize) {
    let site = site();
    let commands = commands(page);
    assert!(commands.len() >= at_least, "{commands:?}");
    for command in commands {
        let path = format!(
            "{}:{}",
            site.file("bin").display(),
            std::env::var("PATH").unwrap()
        );
        let ran = std::process::Command::new("sh")
            .args(["-c", &command])
            .current_dir(site.dir())
            .env("PATH", path)
            .env("HOME", site.home())
            .env("ANSIBLE_INVENTORY", site.file("inventory"))
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_STATE_HOME")
            .env_remove("SSH_AUTH_SOCK")
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{command}: {stderr}");
        let is_quiet = [" -q ", "--output-dir", " true"]
            .iter()
            .any(|it| command.contains(it));
        assert!(
            is_quiet || !ran.stdout.is_empty(),
            "{command} prints nothing: {stderr}"
        );
    }
}

#[test]
fn every_command_for_who_comes_from_clush_works() {
    all_work("from-clush.md", 20);
}

#[test]
fn every_command_for_who_comes_from_pdsh_works() {
    all_work("from-pdsh.md", 13);
}

#[test]
fn every_command_for_who_comes_from_ansible_works() {
    all_work("from-ansible.md", 17);
}
