//! What files of each form say, and what is asked of all of them.

use super::*;

fn expand(inventory: &Inventory, text: &str) -> Result<String, String> {
    let set = HostSet::parse(text, inventory).map_err(|error| error.to_string())?;
    Ok(set.to_string())
}

fn inventory() -> Inventory {
    let own = r#"
        [hosts.web1]
        address = "10.0.0.1"
        user = "deploy"
        port = 7000
        tags = { role = "web", rack = "4" }
        [hosts."web[2-4]"]
        user = "ada"
        tags = { role = "web" }
        [hosts.web3]
        tags = { rack = "9" }
        [hosts.db]
        [groups]
        front = "web[1-2]"
        prod = "@front,db"
    "#;
    let clush = "roles:\n  adm: example0\n  io: 'example[4-6]'\n  all: '@adm,@io'\n  7: [a, b, 'c[1-2]']\ncpu:\n  ivy: 'example[4-5]'\n  front: other\n";
    let mut sources = vec![hosts_toml("hosts.toml", own, &one_by_one).unwrap()];
    sources.extend(clustershell("roles.yaml", clush).unwrap());
    Inventory { sources }
}

#[test]
fn hosts_have_what_they_and_their_sets_say() {
    let inventory = inventory();
    let web1 = inventory.entry("web1");
    assert_eq!(
        (web1.address.as_deref(), web1.user.as_deref(), web1.port),
        (Some("10.0.0.1"), Some("deploy"), Some(7000))
    );
    let web3 = inventory.entry("web3");
    assert_eq!(
        (
            web3.user.as_deref(),
            &*web3.tags["rack"],
            &*web3.tags["role"]
        ),
        (Some("ada"), "9", "web")
    );
    assert_eq!(inventory.entry("nobody"), Entry::default());
}

#[test]
fn groups_tags_and_all_are_host_sets() {
    let inventory = inventory();
    for (text, meant) in [
        ("@front", "web[1-2]"),
        ("@prod", "db,web[1-2]"),
        ("@prod!@front", "db"),
        ("@role=web", "web[1-4]"),
        ("@role=web&@rack=9", "web3"),
        // Of its own source, within it.
        ("@roles:all", "example[0,4-6]"),
        ("@all", "example[0,4-6]"),
        ("@7", "a,b,c[1-2]"),
        ("@ivy", "example[4-5]"),
        ("@cpu:front", "other"),
        ("@*", "db,web[1-4]"),
        ("@roles:*", "a,b,c[1-2],example[0,4-6]"),
        ("web*!@front", "web[3-4]"),
    ] {
        assert_eq!(expand(&inventory, text).as_deref(), Ok(meant), "{text}");
    }
    for (text, why) in [
        ("@none", "no such group"),
        (
            "@x:front",
            "there is no source \"x\", only redial, roles, cpu",
        ),
        ("@role=mail", "no host has the tag role=mail"),
    ] {
        let error = expand(&inventory, text).unwrap_err();
        assert!(error.contains(why), "{text}: {error}");
    }
    let ring = hosts_toml(
        "hosts.toml",
        "[groups]\na = \"@b\"\nb = \"@a\"\n",
        &one_by_one,
    )
    .unwrap();
    let ring = Inventory {
        sources: vec![ring],
    };
    let error = expand(&ring, "@a").unwrap_err();
    assert!(error.contains("in themselves"), "{error}");
    let error = expand(&Inventory::default(), "@web").unwrap_err();
    assert!(error.contains("there is no inventory"), "{error}");
}

#[test]
fn what_is_wrong_in_hosts_toml_is_said_with_its_place() {
    for (text, why) in [
        (
            "[hosts.a]\nadress = \"x\"\n",
            "hosts.toml, line 2: unknown field `adress`",
        ),
        ("[groups]\nweb = 3\n", "hosts.toml, line 2"),
        (
            "[hosts.\"a[1-2]\"]\naddress = \"x\"\n",
            "several hosts cannot have one address",
        ),
        ("[hosts.\"a[1-\"]\n", "[hosts.\"a[1-\"]"),
        ("[hosts.a]\nport = 70000\n", "line 2"),
        ("nonsense", "line 1"),
    ] {
        let error = hosts_toml("hosts.toml", text, &one_by_one)
            .unwrap_err()
            .to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn ansible_inventories_are_read_as_they_are() {
    let text = r#"
lonely.example.com   # by itself

[web]
web[01:03].example.com ansible_user=www
special ansible_host=10.0.0.9 ansible_port=2222 note="two words"
jump:2200

[db]
db-[a:c] rack=4
[prod:children]
web
db
[prod:vars]
ansible_user = deploy
dc=fra
[all:vars]
ansible_user=anybody
[db:vars]
dc=ber
"#;
    let source = ansible("hosts", text).unwrap();
    assert_eq!(source.groups["web"], "jump,special,web[01-03].example.com");
    assert_eq!(
        source.groups["prod"],
        "db-a,db-b,db-c,jump,special,web[01-03].example.com"
    );
    assert_eq!(source.groups["ungrouped"], "lonely.example.com");
    let special = source.entry("special").unwrap();
    assert_eq!(
        (
            special.address.as_deref(),
            special.port,
            &*special.tags["note"]
        ),
        (Some("10.0.0.9"), None, "two words")
    );
    let user = |name: &str| source.entry(name).unwrap().user;
    assert_eq!(user("web01.example.com").as_deref(), Some("www"));
    assert_eq!(user("db-a").as_deref(), Some("deploy"));
    assert_eq!(user("lonely.example.com").as_deref(), Some("anybody"));
    // The inner group's goes before the outer one's.
    assert_eq!(source.entry("db-a").unwrap().tags["dc"], "ber");
    let inventory = Inventory {
        sources: vec![source],
    };
    assert_eq!(
        expand(&inventory, "@dc=ber&@rack=4").as_deref(),
        Ok("db-a,db-b,db-c")
    );
    assert_eq!(
        expand(&inventory, "@all!@prod").as_deref(),
        Ok("lonely.example.com")
    );
}

#[test]
fn what_is_wrong_in_other_files_is_said_with_its_place() {
    for text in [
        "[web",
        "[web:nonsense]",
        "a b",
        "a[1:x]",
        "a x='1",
        "[g:vars]\nx",
        "a[1:9999999999]",
    ] {
        let error = ansible("inv", text).unwrap_err().to_string();
        assert!(error.starts_with("inv, line "), "{error}");
    }
    let many = format!("a{}", "[1:1]".repeat(100_000));
    assert!(
        ansible("inv", &many)
            .unwrap_err()
            .to_string()
            .contains("more than 16 ranges")
    );
    let bomb = "a: &a [x, y]\nb: {c: *a}\n";
    assert!(
        clustershell("g.yaml", bomb)
            .unwrap_err()
            .to_string()
            .contains("g.yaml, line 2: an alias")
    );
    for text in ["- a\n- b\n", "a: [", "a:\n  b: {c: d}\n", "x"] {
        let error = clustershell("g.yaml", text).unwrap_err().to_string();
        assert!(error.starts_with("g.yaml"), "{error}");
    }
}

#[test]
fn names_of_ssh_are_those_that_are_no_patterns() {
    let names = ssh_config(
        "Host web1 web2 *.lan !x\n  HostName y\nhost=\"db\"\nInclude conf.d/*\n# Host no\nMatch all\n",
    );
    assert_eq!(names.hosts, ["web1", "web2", "db"]);
    assert_eq!(names.includes, ["conf.d/*"]);
    assert_eq!(names.source("config").hosts.len(), 3);
}

#[test]
fn groups_of_ansible_that_contain_each_other_have_an_end() {
    let names: Vec<String> = (0..30).map(|number| format!("g{number}")).collect();
    let children = names.join("\n");
    let sections: String = names
        .iter()
        .map(|name| format!("[{name}]\nh-{name}\n[{name}:children]\n{children}\n"))
        .collect();
    let source = ansible("inv", &sections).unwrap();
    assert_eq!(source.groups["g0"].split(',').count(), 1);
    assert_eq!(source.groups["g0"], source.groups["all"]);
}
