//! Which hosts are meant, by whatever files say so.

use std::fs;

use crate::site::{Site, sorted, stdout};

fn expand(site: &Site, args: &[&str]) -> String {
    let ran = site.redial(&[&["hosts", "fold"], args].concat()).ran();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    stdout(&ran).trim().to_owned()
}

#[test]
fn hosts_groups_and_tags_of_our_own_file_are_run_on() {
    let site = Site::of(&["web[1-3]", "db1"]);
    site.hosts_toml("[hosts.\"web[1-2]\"]\ntags = { role = \"front\" }\n[groups]\nweb = \"web[1-3]\"\nall = \"@web,db1\"");
    for (args, hosts) in [
        (&["@web"][..], &["web1", "web2", "web3"][..]),
        (&["@all", "-x", "web[2-3]"], &["db1", "web1"]),
        (&["@role=front,db1"], &["db1", "web1", "web2"]),
        (&["@*!@web"], &["db1"]),
        (&["-g", "web", "-x", "@role=front"], &["web3"]),
        (&["-w", "web[1-2]", "-w", "db1"], &["db1", "web1", "web2"]),
    ] {
        let run = site.redial(&["run", "--accept-new"]).args(args);
        let ran = run.args(["--", "sh", "-c", "echo $ON"]).ran();
        let expected: Vec<String> = hosts
            .iter()
            .map(|host| format!("{host}: {}", host.trim_end_matches(char::is_numeric)))
            .collect();
        assert_eq!(sorted(&stdout(&ran)), expected, "{args:?}: {}", ran.stderr);
    }
    // One host is reached as its inventory says, too.
    let ran = site
        .redial(&["run", "db1", "--", "sh", "-c", "echo $ON"])
        .ran();
    assert_eq!(stdout(&ran), "db\n", "{}", ran.stderr);
}

#[test]
fn files_of_clush_ansible_and_ssh_are_read_as_they_are() {
    let site = Site::of(&["a1"]);
    let home = site.home();
    let groups = home.join(".config/clustershell/groups.d");
    fs::create_dir_all(&groups).unwrap();
    fs::write(
        groups.join("cluster.yaml"),
        "roles:\n  compute: 'node[01-40]'\n  gpu: '@compute&node[30-50]'\n",
    )
    .unwrap();
    let ansible = site.file("inventory");
    fs::write(
        &ansible,
        "[front]\nfront[01:03].lan ansible_host=10.0.0.1 dc=fra\n",
    )
    .unwrap();
    fs::write(
        home.join(".ssh/config"),
        "Include more\nHost bastion *.lan\n",
    )
    .unwrap();
    fs::write(home.join(".ssh/more"), "Host inner\n").unwrap();
    let at = |args: &[&str]| {
        let ran = site
            .redial(&[&["hosts"], args].concat())
            .env("ANSIBLE_INVENTORY", &ansible)
            .ran();
        assert_eq!((ran.code, &*ran.stderr), (0, ""));
        stdout(&ran)
    };
    assert_eq!(at(&["fold", "@gpu"]), "node[30-40]\n");
    assert_eq!(at(&["count", "@roles:*"]), "40\n");
    assert_eq!(at(&["fold", "@front"]), "front[01-03].lan\n");
    assert_eq!(at(&["fold", "@dc=fra!front01.lan"]), "front[02-03].lan\n");
    assert_eq!(at(&["fold", "@ssh:*"]), "bastion,inner\n");
    assert_eq!(at(&["fold", "@*"]), "a1\n");
    let listed = at(&["list", "@front"]);
    assert!(
        listed.starts_with("front01.lan  address=10.0.0.1 dc=fra\n"),
        "{listed}"
    );
    let groups = at(&["groups"]);
    assert!(groups.contains("@roles:gpu  11  node[30-40]\n"), "{groups}");
    let json = at(&["groups", "--json"]);
    assert!(
        json.contains(
            r#"{"count":40,"error":null,"group":"compute","hosts":"node[01-40]","source":"roles"}"#
        ),
        "{json}"
    );
}

#[test]
fn what_is_wrong_in_our_file_stops_us_and_in_those_of_others_is_said() {
    let site = Site::of(&["a1"]);
    let bad = site.file("inventory");
    fs::write(&bad, "[oops\n").unwrap();
    let ran = site
        .redial(&["hosts", "fold", "a1"])
        .env("ANSIBLE_INVENTORY", &bad)
        .ran();
    assert_eq!((ran.code, &*stdout(&ran)), (0, "a1\n"));
    assert!(
        ran.stderr
            .contains("inventory, line 1: a section without ']'; passed over"),
        "{}",
        ran.stderr
    );
    site.hosts_toml("[hosts.x]\nadress = \"y\"");
    let ran = site.redial(&["hosts", "fold", "a1"]).ran();
    assert_eq!(ran.code, 125);
    assert!(
        ran.stderr
            .contains("hosts.toml, line 5: unknown field `adress`"),
        "{}",
        ran.stderr
    );
    let ran = site.ran("a[1-1]", &[], "true");
    assert_eq!(ran.code, 125);
}

#[test]
fn a_group_that_is_not_there_is_named_with_its_place() {
    let site = Site::of(&["a1"]);
    let ran = site.ran("a1,@web", &[], "true");
    assert_eq!(ran.code, 125);
    let text =
        "there is no such group; 'redial hosts groups' shows them (@web) at character 4, at '@web'";
    assert!(ran.stderr.contains(text), "{}", ran.stderr);
    assert_eq!(expand(&site, &["a1", "b2", "-x", "b2"]), "a1");
}
