//! A broker that is not to be trusted, and is not.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use super::evil::{Evil, EvilBroker};
use super::support::nats::Host;
use super::support::network::Home;

const SECRET: &str = "the-words-that-only-two-may-know";
const RUNS: usize = 24;
const AT_ONCE: usize = 8;

#[test]
fn of_what_a_hostile_broker_does_no_command_runs_twice_and_no_byte_is_wrong_or_seen() {
    let seed = 20_261_127;
    println!("seed {seed}");
    let (broker, home) = (EvilBroker::start("2.9.10", seed, 12), Home::with_key());
    let host = Host::begin(&[], &broker.url(), &home, "web1", &[]);
    host.is_there();
    let ran = host.dir().join("ran");
    let input: String = (0..4_000).map(|n| format!("{SECRET} {n}\n")).collect();
    let (next, good) = (AtomicU32::new(0), AtomicU32::new(0));
    // Known before: a first contact is another matter.
    while !is_known(&host, &home) {}
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number as usize >= RUNS {
                        return;
                    }
                    let script = format!("echo {number} >> {}; cat; seq 40000", ran.display());
                    let run = host
                        .run(&home)
                        .args(["--redial", "60s", "--connect-timeout", "3s"]);
                    let run = run.args(["--", "sh", "-c", &script]).input(input.clone());
                    let ended = run.ran();
                    // What was not begun may be refused; what was begun is exact.
                    if ended.code == 0 {
                        let numbers: String = (1..=40_000).map(|it| format!("{it}\n")).collect();
                        let expected = format!("{input}{numbers}");
                        assert!(ended.stdout == expected.as_bytes(), "{number}: wrong bytes");
                        good.fetch_add(1, Ordering::Relaxed);
                    } else {
                        println!("{number}: {} {}", ended.code, ended.stderr.trim_end());
                        assert_eq!(ended.code, 125, "{}", ended.stderr);
                    }
                }
            });
        }
    });
    let evil = broker.evil();
    println!(
        "{evil:?}, {} of {RUNS} runs to their end",
        good.load(Ordering::Relaxed)
    );
    let Evil {
        dropped,
        doubled,
        reordered,
        altered,
        replayed,
        called_again,
    } = evil;
    let least = [dropped, doubled, reordered, altered, replayed, called_again];
    assert!(least.iter().all(|&times| times > 4), "{evil:?}");
    assert!(good.load(Ordering::Relaxed) as usize > RUNS / 4);
    let text = fs::read_to_string(&ran).unwrap();
    let mut numbers: Vec<u32> = text.lines().map(|line| line.parse().unwrap()).collect();
    let count = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), count, "one ran twice: {text}");
    assert!(numbers.last().is_some_and(|last| (*last as usize) < RUNS));
    let heard = broker.heard();
    assert!(heard.len() > input.len());
    let is_seen = |words: &[u8]| heard.windows(words.len()).any(|part| part == words);
    assert!(!is_seen(SECRET.as_bytes()));
    assert!(!is_seen(b"seq 40000"));
}

fn is_known(host: &Host, home: &Home) -> bool {
    host.run(home).args(["--", "true"]).ran().code == 0
}

#[test]
fn a_broker_that_is_too_old_is_named_with_what_is_needed() {
    let (broker, home) = (EvilBroker::start("2.8.4", 1, u64::MAX), Home::with_key());
    let ran = home
        .redial(["run", "--nats", &broker.url(), "nats:web1", "--", "true"])
        .ran();
    assert_eq!(ran.code, 125);
    let words = "the NATS broker is nats-server 2.8.4: at least 2.9 is needed";
    assert!(ran.stderr.contains(words), "{}", ran.stderr);
}
