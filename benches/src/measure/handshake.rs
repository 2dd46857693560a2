//! Logins per second, and what one costs client and server in CPU time.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use crate::order::Order;
use crate::peer::home::Home;
use crate::peer::network::NetworkServer;
use crate::peer::sshd::{CURVE25519, Sshd};
use crate::peer::{rate_of_threads, redial, run_true};
use crate::process;
use crate::report::Section;
use crate::stats::Samples;
use crate::table::Table;

/// At once: enough to keep two cores busy, and few beside the strangers that one source
/// may have.
const AT_ONCE: usize = 8;
const SEED: u64 = 5;

/// Does so many logins, and says how many a second.
type Rate<'a> = Box<dyn Fn(usize) -> anyhow::Result<f64> + 'a>;
/// CPU time of a server so far.
type Cpu<'a> = Box<dyn Fn() -> anyhow::Result<Duration> + 'a>;

struct Contestant<'a> {
    name: &'static str,
    /// Logins a round.
    count: usize,
    rate: Rate<'a>,
    server: Cpu<'a>,
    speed: Samples,
    /// CPU ms of a login.
    client_cpu: Samples,
    server_cpu: Samples,
}

/// # Errors
/// A login failed, or the server did not start.
pub(super) fn measure(quick: bool) -> anyhow::Result<Section> {
    let (rounds, count) = if quick { (3, 400) } else { (11, 1_000) };
    let home = Arc::new(Home::new()?);
    let server = NetworkServer::start(&home, &[])?;
    let runtime = redial::runtime()?;
    let sshd = Sshd::start(&home);
    let mut contestants = vec![contestant(
        "redial, the client library",
        count,
        Box::new(|count| server.logins(&runtime, AT_ONCE, count)),
        Box::new(|| server.server().cpu()),
    )];
    if let Ok(sshd) = &sshd {
        let once = || run_true(&mut sshd.dial(&CURVE25519, "true"));
        contestants.push(contestant(
            "`ssh`, curve25519, a process each",
            count / 20,
            Box::new(move |count| {
                let rate = rate_of_threads(AT_ONCE, count, once)?;
                sshd.wait_for_no_connection()?;
                Ok(rate)
            }),
            Box::new(|| sshd.cpu()),
        ));
    }
    let mut order = Order::new(SEED);
    // The first round warms up.
    for round in 0..=rounds {
        for index in order.round(contestants.len()) {
            let contestant = &mut contestants[index];
            contestant.run(round > 0).context(contestant.name)?;
        }
    }
    let missing = sshd.as_ref().err().map(|error| format!("{error:#}"));
    Ok(section(rounds, &contestants, missing))
}

fn contestant<'a>(
    name: &'static str,
    count: usize,
    rate: Rate<'a>,
    server: Cpu<'a>,
) -> Contestant<'a> {
    Contestant {
        name,
        count,
        rate,
        server,
        speed: Samples::default(),
        client_cpu: Samples::default(),
        server_cpu: Samples::default(),
    }
}

impl Contestant<'_> {
    fn run(&mut self, counts: bool) -> anyhow::Result<()> {
        let before = (own_cpu()?, (self.server)()?);
        let rate = (self.rate)(self.count)?;
        let after = (own_cpu()?, (self.server)()?);
        if counts {
            let each = |before: Duration, after: Duration| {
                after.saturating_sub(before).as_secs_f64() * 1e3 / self.count as f64
            };
            self.speed.push(rate);
            self.client_cpu.push(each(before.0, after.0));
            self.server_cpu.push(each(before.1, after.1));
        }
        Ok(())
    }
}

/// CPU time of this process and of the clients that it has waited for.
fn own_cpu() -> anyhow::Result<Duration> {
    let own = process::stat(std::process::id())?;
    Ok(own.cpu + own.cpu_of_children)
}

fn section(rounds: usize, contestants: &[Contestant<'_>], missing: Option<String>) -> Section {
    let mut table = Table::new([
        "min / median / max",
        "logins per second",
        "client, CPU ms each",
        "server, CPU ms each",
        "per second and core of the server",
    ]);
    for contestant in contestants {
        let (whole, ms) = (|v| format!("{v:.0}"), |v| format!("{v:.2}"));
        table.row([
            contestant.name.to_owned(),
            contestant.speed.spread(whole),
            contestant.client_cpu.spread(ms),
            contestant.server_cpu.spread(ms),
            whole(1e3 / contestant.server_cpu.median()),
        ]);
    }
    if let Some(reason) = missing {
        table.row(["`ssh`".to_owned(), format!("skipped: {reason}")]);
    }
    Section {
        plots: Vec::new(),
        title: "Logins",
        how: format!(
            "Whole connections: TCP, TLS or ssh's key exchange, the server's key known, a login \
             with the same Ed25519 key, goodbye. {AT_ONCE} at once, from one machine, whose cores \
             client and server share. redial: the client library in one thread of the measuring \
             process; {} logins a run. ssh: a process each that runs `true` as well, for it has \
             no smaller thing to do; {} a run. {rounds} runs each, interleaved, order from seed \
             {SEED}. CPU of the server with all its processes, that which reads authorized_keys \
             among them; in steps of a tick over a whole run. The last column is 1 s divided by \
             the server's median.",
            contestants[0].count,
            contestants[0].count / 20,
        ),
        figures: table.to_string(),
        goals: Vec::new(),
    }
}
