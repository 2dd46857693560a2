//! What is shown of many outputs.

use std::collections::BTreeMap;

use crate::site::{Site, rows, sorted, stdout};
use crate::support::{noise, schema};

#[test]
fn each_line_has_its_host_and_streams_stay_apart() {
    let site = Site::of(&["web[1-3]"]);
    let ran = site.ran("web[1-3]", &[], "echo one; printf two; echo bad >&2");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let lines = [
        "web1: one",
        "web1: two",
        "web2: one",
        "web2: two",
        "web3: one",
        "web3: two",
    ];
    assert_eq!(sorted(&stdout(&ran)), lines);
    for host in ["web1", "web2", "web3"] {
        assert!(
            ran.stderr.contains(&format!("{host}: bad\n")),
            "{}",
            ran.stderr
        );
    }
    assert_eq!(rows(&ran), ["3 exited with 0 web[1-3]"]);
}

#[test]
fn lines_of_different_hosts_never_mix() {
    let site = Site::of(&["a[1-8]"]);
    // Each line in two writes, with the others' in between.
    let text = "for i in $(seq 200); do printf begin-$i-; echo -end; done";
    let ran = site.ran("a[1-8]", &[], text);
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for line in stdout(&ran).lines() {
        let (host, rest) = line.split_once(": ").unwrap();
        let count = seen.entry(host.to_owned()).or_default();
        *count += 1;
        // And in their order.
        assert_eq!(rest, format!("begin-{count}--end"));
    }
    assert_eq!(seen.len(), 8);
    assert!(seen.values().all(|count| *count == 200));
}

#[test]
fn grouped_outputs_are_whole() {
    let site = Site::of(&["a[1-4]"]);
    let ran = site.ran("a[1-4]", &["--output", "group"], "seq 3; printf 4");
    let text = stdout(&ran);
    for host in 1..=4 {
        let whole = format!("---------------\na{host}\n---------------\n1\n2\n3\n4\n");
        assert!(text.contains(&whole), "{text}");
    }
    assert_eq!(text.lines().count(), 4 * 7);
}

#[test]
fn same_outputs_are_shown_once_with_their_hosts() {
    let site = Site::of(&["a[1-3]", "b1"]);
    let rule = "---------------";
    let all = format!("{rule}\na[1-3] (3)\n{rule}\na\n{rule}\nb1\n{rule}\nb\n");
    for flag in [&["-b"][..], &["--output", "fold"]] {
        let ran = site.ran("a[1-3],b1", flag, "echo $ON");
        assert_eq!((stdout(&ran), ran.code), (all.clone(), 0));
    }
}

#[test]
fn what_differs_is_shown_as_a_difference() {
    let site = Site::of(&["a[1-3]", "b1"]);
    let ran = site.ran("a[1-3],b1", &["--diff"], "echo top; echo $ON; echo end");
    let diff = "--- a[1-3]\n+++ b1\n@@ -1,3 +1,3 @@\n top\n-a\n+b\n end\n";
    assert!(stdout(&ran).ends_with(diff), "{}", stdout(&ran));
}

#[test]
fn large_outputs_are_folded_byte_for_byte() {
    let site = Site::of(&["a[1-6]"]);
    let bytes = noise(7, 3_000_000);
    std::fs::write(site.file("big"), &bytes).unwrap();
    let text = format!("cat {}", site.file("big").display());
    let ran = site.ran("a[1-6]", &["-b"], &text);
    let head = b"---------------\na[1-6] (6)\n---------------\n";
    let shown = ran.stdout.strip_prefix(&head[..]).unwrap();
    assert!(shown.starts_with(&bytes) && shown.len() <= bytes.len() + 1);
}

#[test]
fn quiet_shows_the_table_only_and_q_not_even_that() {
    let site = Site::of(&["a[1-2]"]);
    let ran = site.ran(
        "a[1-2]",
        &["--output", "quiet"],
        "echo x; echo y >&2; exit 4",
    );
    assert_eq!((ran.code, &*stdout(&ran)), (4, ""));
    assert_eq!(rows(&ran), ["2 exited with 4 a[1-2]"]);
    let ran = site.ran("a[1-2]", &["-q", "--output", "quiet"], "exit 4");
    assert_eq!((ran.code, &*ran.stderr), (4, ""));
}

#[test]
fn files_have_every_byte_of_their_host() {
    let site = Site::of(&["a[1-2]"]);
    let dir = site.file("out");
    let dir = dir.to_str().unwrap();
    std::fs::create_dir(dir).unwrap();
    std::fs::write(
        site.file("out/a1.out"),
        "from another run, and longer than this",
    )
    .unwrap();
    let ran = site.ran(
        "a[1-2]",
        &["--output-dir", dir],
        "printf 'no end'; printf '\\377' >&2",
    );
    assert_eq!((ran.code, &*stdout(&ran)), (0, ""));
    for host in ["a1", "a2"] {
        let read = |end: &str| std::fs::read(format!("{dir}/{host}.{end}")).unwrap();
        assert_eq!(
            (read("out"), read("err")),
            (b"no end".to_vec(), b"\xff".to_vec())
        );
    }
}

#[test]
fn json_has_the_host_in_each_line_and_the_run_at_the_end() {
    let site = Site::of(&["a[1-2]"]);
    site.know("gone", 1);
    let ran = site.ran("a[1-2],gone", &["--json"], "echo out; exit 3");
    assert_eq!(ran.code, 125);
    schema::all_fit(
        &ran.stdout,
        "json_has_the_host_in_each_line_and_the_run_at_the_end",
    );
    let text = stdout(&ran);
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for host in ["a1", "a2"] {
        let of: Vec<_> = lines.iter().filter(|line| line["host"] == host).collect();
        let has = |event: &str| of.iter().find(|line| line["event"] == event).unwrap();
        assert_eq!(has("stdout")["text"], "out\n");
        assert_eq!(
            (
                has("outcome")["code"].clone(),
                has("outcome")["error"].clone()
            ),
            (3.into(), serde_json::Value::Null)
        );
        assert_eq!(has("started")["job"], has("outcome")["job"]);
    }
    let gone = lines.iter().find(|line| line["host"] == "gone").unwrap();
    assert_eq!(
        (gone["event"].as_str(), gone["error"]["kind"].as_str()),
        (Some("outcome"), Some("connect"))
    );
    let last = lines.last().unwrap();
    assert_eq!(
        (
            last["event"].as_str(),
            last["hosts"].as_u64(),
            last["exit_code"].as_u64()
        ),
        (Some("run"), Some(3), Some(125))
    );
    assert_eq!(
        (
            last["states"]["failed"].as_u64(),
            last["states"]["unreached"].as_u64()
        ),
        (Some(2), Some(1))
    );
}

#[test]
fn all_hosts_get_our_stdin_or_none_of_them() {
    let site = Site::of(&["a[1-3]"]);
    let cat = |args: &[&str]| {
        let run = site.run("a[1-3]").args(args).args(["--", "wc", "-c"]);
        stdout(&run.input(vec![b'x'; 200_000]).ran())
    };
    assert_eq!(
        sorted(&cat(&["--stdin-all"])),
        ["a1: 200000", "a2: 200000", "a3: 200000"]
    );
    assert_eq!(sorted(&cat(&[])), ["a1: 0", "a2: 0", "a3: 0"]);
}

#[test]
fn who_has_seen_enough_ends_commands_that_write_on() {
    use std::io::Read;
    let site = Site::of(&["a[1-3]"]);
    let mut child = site.run("a[1-3]").args(["--", "yes"]).spawn();
    let mut first = [0; 7];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    // As with one host: the commands die of SIGPIPE, and that is their code.
    assert_eq!(crate::support::wait(&mut child), 128 + 13);
}

#[test]
fn jobs_that_are_left_running_are_named() {
    let site = Site::of(&["a[1-2]"]);
    let ran = site.ran("a[1-2]", &["--detach"], "echo later");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(stdout(&ran).lines().count(), 2);
    for line in sorted(&stdout(&ran)) {
        let waited = site.redial(&["wait", line]).ran();
        assert_eq!(waited.code, 0, "{}", waited.stderr);
        assert_eq!(site.redial(&["logs", line]).ran().stdout, b"later\n");
    }
}

#[test]
fn a_server_that_is_short_of_memory_waits_for_nothing_that_waits_here() {
    let site = Site::of(&["a[1-12]"]);
    // Its jobs have 64 KiB each, and lines and pieces end where they like.
    let text = "seq -f 'a line of forty letters or so, number %.0f' 20000";
    for (mode, lines) in [
        ("prefix", 12 * 20_000),
        ("fold", 20_003),
        ("group", 12 * 20_003),
    ] {
        let ran = site.ran("a[1-12]", &["--output", mode], text);
        assert_eq!(
            (ran.code, stdout(&ran).lines().count()),
            (0, lines),
            "{mode}"
        );
    }
    let ran = site.ran(
        "a[1-12]",
        &[],
        "printf 'no end yet'; head -c 300000 /dev/zero | tr '\\0' x; echo",
    );
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

#[test]
fn jobs_that_are_left_running_are_named_in_every_form() {
    let site = Site::of(&["a[1-2]"]);
    for form in [&["-b"][..], &["--output", "quiet"]] {
        let ran = site.ran("a[1-2]", &[form, &["--detach"]].concat(), "true");
        assert_eq!(sorted(&stdout(&ran)).len(), 2, "{form:?}");
    }
    let ran = site.ran("a[1-2]", &["--json", "--detach"], "true");
    assert_eq!(stdout(&ran).matches("\"event\":\"started\"").count(), 2);
    schema::all_fit(
        &ran.stdout,
        "jobs_that_are_left_running_are_named_in_every_form",
    );
}
