//! Three brokers, of which some die.

use std::fs;
use std::io::Read;

use super::support::cable::Cable;
use super::support::nats::{Broker, Host};
use super::support::network::Home;
use super::support::{Redial, eventually, skip};

#[test]
fn who_loses_a_broker_of_three_goes_on_at_another_and_nothing_is_lost() {
    let (mut brokers, home) = (Broker::cluster(), Home::with_key());
    let urls: Vec<String> = brokers.iter().map(Broker::url).collect();
    // Each begins at one, and learns of the others from it.
    let host = Host::start(&brokers[2], &home, "web1");
    let ran_there = host.dir().join("ran");
    let script = format!(
        "echo run >> {0}; for n in 1 2; do seq 300000; until [ -e {0}.$n ]; do sleep 0.05; done; done; cat; \
         seq 300000; exit 3",
        ran_there.display()
    );
    let run = home.redial(["run", "--accept-new", "--redial", "60s", "nats:web1"]);
    let run = run.args(["--nats", &urls[0], "--", "sh", "-c", &script]);
    let mut child = run.input("said").begun();
    let mut stdout = child.stdout.take().unwrap();
    let reading = std::thread::spawn(move || {
        let mut all = Vec::new();
        stdout.read_to_end(&mut all).unwrap();
        all
    });
    eventually(|| ran_there.exists().then_some(())).unwrap();
    // The client's.
    brokers[0].dies();
    fs::write(ran_there.with_extension("1"), "").unwrap();
    // One that is left is the host's; then only the second is there.
    brokers[2].dies();
    fs::write(ran_there.with_extension("2"), "").unwrap();
    let ended = child.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(3), "{words}\n{}", host.log());
    let numbers: String = (1..=300_000).map(|it| format!("{it}\n")).collect();
    let expected = format!("{numbers}{numbers}said{numbers}");
    assert!(reading.join().unwrap() == expected.as_bytes(), "{words}");
    assert_eq!(fs::read_to_string(&ran_there).unwrap(), "run\n");
    // Who comes now is told of one that is gone, too.
    let run = home.redial(["run", "--nats", &urls.join(","), "nats:web1", "--", "true"]);
    let ran = run.ran();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

/// Two machines with a broker on each; the host is on one, and who calls it on the other.
struct Divided {
    cable: Cable,
    near: Broker,
    far: Broker,
    home: Home,
    host: Host,
}

impl Divided {
    /// Says why it cannot be had here.
    fn start() -> Result<Self, String> {
        let cable = Cable::lay()?;
        let config = |own: &str, routes: &str| {
            format!(
                "ping_interval: \"1s\"\nping_max: 1\n\
                 cluster {{ name: test, listen: \"{own}:6222\", no_advertise: true, routes: [{routes}] }}"
            )
        };
        let on_client = config("10.99.0.2", "\"nats://10.99.0.1:6222\"");
        let near = Broker::with("127.0.0.1:-1", &on_client, &at(&cable.client));
        let on_server = config("10.99.0.1", "");
        let far = Broker::with("127.0.0.1:-1", &on_server, &at(&cable.server));
        let home = Home::with_key();
        let host = Host::begin(&at(&cable.server), &far.url(), &home, "web1", &[]);
        host.is_there();
        let divided = Divided {
            cable,
            near,
            far,
            home,
            host,
        };
        let is_called = || (divided.run("true").ran().code == 0).then_some(());
        eventually(is_called).expect("the brokers find each other");
        Ok(divided)
    }

    fn run(&self, command: &str) -> Redial {
        let flags = ["run", "--accept-new", "--redial", "90s", "nats:web1"];
        let run = self.home.redial(flags).args(["--nats", &self.near.url()]);
        run.args(["--", "sh", "-c", command])
            .by(&at(&self.cable.client))
    }
}

fn at(machine: &str) -> [&str; 4] {
    ["ip", "netns", "exec", machine]
}

#[test]
fn a_cluster_that_is_divided_and_whole_again_has_lost_nothing() {
    let name = "a_cluster_that_is_divided_and_whole_again_has_lost_nothing";
    if !rustix::process::geteuid().is_root() {
        return skip(&format!("{name}: network namespaces need root"));
    }
    let site = match Divided::start() {
        Ok(site) => site,
        Err(reason) => return skip(&format!("{name}: {reason}")),
    };
    let there = site.host.dir().join("ran");
    // Goes on all the time; what is said while nobody can hear is lost on the way.
    let script = format!(
        "echo run >> {0}; n=0; until [ -e {0}.go ] && [ $n -gt 400 ]; do n=$((n+1)); seq $n; echo $n > {0}.n; \
         sleep 0.02; done; echo $n",
        there.display()
    );
    let mut child = site.run(&script).begun();
    let mut stdout = child.stdout.take().unwrap();
    let reading = std::thread::spawn(move || {
        let mut all = String::new();
        stdout.read_to_string(&mut all).unwrap();
        all
    });
    eventually(|| there.exists().then_some(())).unwrap();
    let logins = site.host.logins();
    site.cable.set("down");
    let is_noticed = || site.far.log().contains("Stale Connection").then_some(());
    eventually(is_noticed).unwrap_or_else(|| panic!("{}", site.far.log()));
    let text = || fs::read_to_string(there.with_extension("n")).ok();
    let said = || text()?.trim().parse::<u32>().ok();
    let before = eventually(said).unwrap();
    eventually(|| (said()? > before + 10).then_some(())).unwrap();
    site.cable.set("up");
    fs::write(there.with_extension("go"), "").unwrap();
    let ended = child.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&ended.stderr);
    let log = site.host.log();
    assert_eq!(ended.status.code(), Some(0), "{words}\n{log}");
    let all = reading.join().unwrap();
    let last: u32 = all.lines().next_back().unwrap().parse().unwrap();
    let lines = |n: u32| (1..=n).map(|it| format!("{it}\n"));
    let expected: String = (1..=last).flat_map(lines).collect();
    assert!(all == format!("{expected}{last}\n"), "{words}");
    assert_eq!(fs::read_to_string(&there).unwrap(), "run\n");
    assert!(site.host.logins() > logins, "the line has held: {log}");
}
