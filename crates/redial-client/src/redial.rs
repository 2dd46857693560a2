//! Dials again when a line has dropped, and lets its jobs go on over the next one.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep};

use crate::connect::{self, Line, wait_for};
use crate::error::{ConnectError, Lost};
use crate::network::{NewHost, Nobody};
use crate::options::ConnectOptions;
use crate::session::Held;
use crate::target::Target;

/// The first wait, after a try in vain or a line that brought nothing; doubled each time.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// Logins that may be refused in a row.
const LOGINS: u32 = 4;
/// A line that has stood for so long is a new beginning, whatever it brought.
const STEADY: Duration = Duration::from_secs(60);

/// Where to dial, and for how long.
#[derive(Debug)]
pub(crate) struct Redialler {
    target: Target,
    options: ConnectOptions,
    within: Duration,
}

impl Redialler {
    /// None if a line to this target is never dialled again.
    pub(crate) fn new(target: &Target, options: &ConnectOptions) -> Option<Self> {
        let within = options
            .redial
            .filter(|_| !matches!(target, Target::Local))?;
        let mut options = options.clone();
        // It is known since it was dialled first. Nobody is asked about another, nor for a
        // passphrase: who would type it may be typing to the command.
        options.network = options.network.interaction(Arc::new(Nobody));
        if !matches!(options.network.new_host, NewHost::Pinned(_)) {
            options.network.new_host = NewHost::Refuse;
        }
        Some(Redialler {
            target: target.clone(),
            options,
            within,
        })
    }

    /// Follows a line to its end, and all that come after it. True is told when there is none
    /// any more.
    pub(crate) fn follow(
        self,
        left: oneshot::Receiver<Held>,
        over: watch::Receiver<bool>,
    ) -> watch::Receiver<bool> {
        let (done, ended) = watch::channel(false);
        // In a box, as the driver is.
        tokio::spawn(Box::pin(self.run(left, over, done)));
        ended
    }

    async fn run(
        self,
        mut left: oneshot::Receiver<Held>,
        mut over: watch::Receiver<bool>,
        done: watch::Sender<bool>,
    ) {
        let mut waits = Waits::default();
        let mut since = Instant::now();
        // A driver that ends without a word has ended with its runtime.
        while let Ok(held) = left.await {
            if since.elapsed() >= STEADY {
                waits = Waits::default();
            }
            let Some(line) = self.dial_again(held.original(), &mut waits).await else {
                break;
            };
            since = Instant::now();
            (left, over) = (line.left, line.over);
        }
        wait_for(&mut over).await;
        done.send_replace(true);
    }

    /// Dials until there is another line, and hands the jobs over to it. None if that is not
    /// wanted, or in vain.
    async fn dial_again(&self, mut held: Held, waits: &mut Waits) -> Option<Line> {
        if !held.lost().is_drop {
            return None;
        }
        held.say_dropped();
        if held.progress() != waits.progress {
            *waits = Waits::default();
            waits.progress = held.progress();
        }
        // Lines that bring nothing are as good as none.
        let until = *waits
            .until
            .get_or_insert_with(|| Instant::now() + self.within);
        loop {
            let wait = waits.next();
            // A timer rounds up to a millisecond, which is more than a line over a socket takes.
            if !wait.is_zero() {
                unless_unwanted(&mut held, sleep(wait)).await?;
            }
            let dialled = connect::open(&self.target, &self.options);
            match unless_unwanted(&mut held, Box::pin(dialled)).await? {
                Ok(line) => {
                    line.lease.shared().adopt(held);
                    return Some(line);
                }
                Err(error) if is_final(&error) && waits.last_refusal(&error) => {
                    give_up(&mut held, "dialling again failed", &error);
                    return None;
                }
                Err(error) if Instant::now() >= until => {
                    let what = format!("dialled again in vain for {} s", self.within.as_secs_f32());
                    give_up(&mut held, &what, &error);
                    return None;
                }
                Err(error) => tracing::debug!(%error, "dialled again in vain"),
            }
        }
    }
}

/// None as soon as nobody needs another line.
async fn unless_unwanted<T>(held: &mut Held, future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = poll_fn(|cx| held.poll_unwanted(cx)) => None,
        done = future => Some(done),
    }
}

fn give_up(held: &mut Held, what: &str, error: &ConnectError) {
    let reason = format!("{}; {what}: {error}", held.lost());
    held.give_up(Lost::because(reason));
}

/// Whether trying once more cannot help.
fn is_final(error: &ConnectError) -> bool {
    match error {
        ConnectError::RuntimeDir(_)
        | ConnectError::Program { .. }
        | ConnectError::Route { .. }
        | ConnectError::HostKey { .. }
        | ConnectError::Login { .. } => true,
        ConnectError::Nats { source, .. } => !source.may_pass(),
        ConnectError::Unreachable { .. }
        | ConnectError::Ended { .. }
        | ConnectError::Text { .. }
        | ConnectError::Tcp { .. }
        | ConnectError::Tls { .. }
        | ConnectError::HungUp { .. }
        | ConnectError::Timeout { .. }
        | ConnectError::Handshake { .. } => false,
    }
}

/// How long to wait before each try: at first not at all, then longer and longer, and never as
/// long as the others who lost the same server.
#[derive(Debug, Default)]
struct Waits {
    tries: u32,
    /// How far the jobs had come when the count began.
    progress: u64,
    /// Logins that were refused.
    logins: u32,
    /// Not tried any more after this.
    until: Option<Instant>,
}

impl Waits {
    /// A server that cannot look keys up just now says no as well: not the first time is final.
    fn last_refusal(&mut self, error: &ConnectError) -> bool {
        if let ConnectError::Login { .. } = error {
            self.logins += 1;
            return self.logins >= LOGINS;
        }
        true
    }

    fn next(&mut self) -> Duration {
        let tries = self.tries;
        self.tries = tries.saturating_add(1);
        let Some(doublings) = tries.checked_sub(1) else {
            return Duration::ZERO;
        };
        let longest = FIRST_WAIT
            .saturating_mul(1 << doublings.min(16))
            .min(LONGEST_WAIT);
        let mut random = [0; 4];
        // Without random numbers all wait as long, which is no fault.
        let _ = getrandom::fill(&mut random);
        #[cfg(feature = "simulation")]
        if let Some(chance) = crate::simulation::chance() {
            random = chance.to_ne_bytes();
        }
        let part = f64::from(u32::from_ne_bytes(random)) / f64::from(u32::MAX);
        longest.mul_f64(0.5 + part / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_are_never_the_same() {
        let mut waits = Waits::default();
        assert_eq!(waits.next(), Duration::ZERO);
        for longest in [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000] {
            let longest = Duration::from_millis(longest);
            let wait = waits.next();
            assert!(wait <= longest && wait >= longest / 2, "{wait:?}");
        }
        let all: Vec<Duration> = (0..8).map(|_| waits.next()).collect();
        assert!(all.iter().any(|wait| *wait != all[0]));
    }
}
