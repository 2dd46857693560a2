//! Jobs, shells and upgrades of a host of a cluster, as of any.

use super::support::nats::{Broker, Host};
use super::support::network::Home;
use super::support::processes::descendants;
use super::support::{Ran, eventually, stdout};

struct Site {
    broker: Broker,
    home: Home,
    host: Host,
}

impl Site {
    fn start() -> Self {
        let (broker, home) = (Broker::start(), Home::with_key());
        let host = Host::start(&broker, &home, "web1");
        assert_eq!(host.run(&home).args(["--", "true"]).ran().code, 0);
        Site { broker, home, host }
    }

    fn redial(&self, words: &[&str]) -> Ran {
        self.broker.redial(&self.home, words).ran()
    }
}

#[test]
fn a_job_is_listed_read_attached_waited_for_killed_and_removed() {
    let site = Site::start();
    let start = |text: &str| {
        let ran = site.redial(&["run", "--detach", "nats:web1", "-c", text]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        stdout(&ran).trim().to_owned()
    };
    let (ends, stays) = (start("seq 1000; exit 7"), start("echo up; sleep 600"));
    assert!(ends.starts_with("nats:web1/"), "{ends}");
    assert_eq!(site.redial(&["wait", &ends]).code, 7);
    let numbers: String = (1..=1000).map(|it| format!("{it}\n")).collect();
    assert!(stdout(&site.redial(&["logs", &ends])) == numbers);
    let attached = site.redial(&["attach", "--from", "start", &ends]);
    assert_eq!((attached.code, stdout(&attached) == numbers), (7, true));
    let listed = stdout(&site.redial(&["ps", "-q", "nats:web1"]));
    assert!(
        listed.contains(&ends) && listed.contains(&stays),
        "{listed}"
    );
    let killed = site.redial(&["kill", &stays]);
    assert_eq!(killed.code, 0, "{}", killed.stderr);
    assert_eq!(site.redial(&["wait", &stays]).code, 128 + 15);
    let removed = site.redial(&["rm", &ends, &stays]);
    assert_eq!(removed.code, 0, "{}", removed.stderr);
    assert_eq!(stdout(&site.redial(&["ps", "-q", "nats:web1"])), "");
}

#[test]
fn a_shell_is_on_a_terminal_there() {
    let site = Site::start();
    let shell = site.broker.redial(&site.home, ["shell", "nats:web1"]);
    let mut terminal = shell.env("TERM", "xterm").on_terminal();
    terminal.is_raw();
    terminal.types("tty; echo one$((1 + 1))");
    let shown = terminal.sees("one2\r\n");
    assert!(shown.contains("/dev/pts/"), "{shown}");
    terminal.types("exit 5");
    assert_eq!(terminal.ends().0, 5);
}

#[test]
fn a_server_that_is_replaced_in_place_keeps_its_jobs_and_its_name() {
    let site = Site::start();
    let begun = site.host.dir().join("begun");
    let script = format!(
        "echo run >>{0}; until test -e {0}.go; do sleep 0.05; done; echo done",
        begun.display()
    );
    let run = site.host.run(&site.home).args(["--redial", "60s"]);
    let child = run.args(["--", "sh", "-c", &script]).begun();
    eventually(|| begun.exists().then_some(())).unwrap();
    let upgraded = site.redial(&["upgrade", "nats:web1"]);
    assert_eq!(upgraded.code, 0, "{}", upgraded.stderr);
    std::fs::write(begun.with_extension("go"), "").unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.stdout, b"done\n", "{}", site.host.log());
    assert_eq!(std::fs::read_to_string(&begun).unwrap(), "run\n");
    assert_eq!(site.host.run(&site.home).args(["--", "true"]).ran().code, 0);
    // One that speaks with the broker, not one more for each program.
    let agents = || {
        let all = descendants(site.host.pid()).into_iter();
        all.filter(|it| it.arguments.contains("--nats-agent"))
            .count()
    };
    assert!(eventually(|| (agents() == 1).then_some(())).is_some());
}
