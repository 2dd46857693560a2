//! What a connection is good for: clocks, commands, and how fast they are.

use std::fmt::Display;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use redial_client::{Client, Command, JobError, JobEvent, OnDrop, Outcome, Output, Status};
use tokio::time::timeout;

use super::finding::Finding;

/// The only version that this client speaks (PROTOCOL.md section 3).
const VERSION: u16 = 1;
/// No command that is asked for here takes longer, by the server's clock.
const DEADLINE: Duration = Duration::from_secs(10);
/// Nor by ours, with the way there and back.
const PATIENCE: Duration = Duration::from_secs(20);
/// What `date` and `true` may write.
const OUTPUT_BYTES: usize = 4_096;
/// Commands whose times are compared.
const COMMANDS: usize = 21;
/// On a slow line, fewer.
const COMMANDS_FOR: Duration = Duration::from_secs(5);
const MANY_BYTES: u64 = 64 << 20;
/// A line too slow for all of them is measured by what has come by then.
const READING: Duration = Duration::from_secs(8);
/// A clock that is further off than this is worth a word: expiry-time= goes by it.
const CLOCKS_APART_SECONDS: f64 = 30.0;

/// What the server does with what it is asked to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Freedom {
    /// Runs it.
    Free,
    /// Runs something else.
    Forced,
}

/// What is said in the server's hello.
pub(super) fn protocol(client: &Client) -> Finding {
    let instance: String = client
        .instance()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let text = format!("version {VERSION}, server instance {instance}");
    Finding::ok("protocol", text)
}

/// How far this machine's kernel shuts the process in that talks to clients: found out by shutting a
/// thread of ours in, as a front does.
pub(super) fn front() -> Finding {
    const STEP: &str = "front";
    let tried = std::thread::spawn(redial_server::confine).join();
    match tried {
        Ok(kept) if kept.files => {
            Finding::ok(STEP, format!("this kernel keeps a server's front {kept}"))
        }
        Ok(kept) => Finding::ok(
            STEP,
            format!("this kernel keeps a server's front {kept} only"),
        )
        .advice("a kernel with Landlock (lsm=landlock,…) would keep it from files too"),
        Err(_) => Finding::untried(STEP, "no thread to try it with"),
    }
}

/// Compares the clocks, and sees whether commands are run as they are asked for.
pub(super) async fn clock(client: &Client) -> (Finding, Freedom) {
    const STEP: &str = "clock";
    let (began, before) = (Instant::now(), now());
    let ran = run(client, &["date", "+%s"]).await;
    let (took, after) = (began.elapsed(), now());
    let forced = |what: &dyn Display| {
        let text = format!(
            "not compared: the server did not run 'date', but {what}; the key's line there may \
             have a command of its own (command=)"
        );
        (Finding::untried(STEP, text), Freedom::Forced)
    };
    match ran {
        Ok((outcome, stdout)) => match (&outcome.status, seconds(&stdout)) {
            (Status::Exited(0), Some(theirs)) => (
                apart(STEP, theirs + 0.5 - (before + after) / 2.0, took),
                Freedom::Free,
            ),
            (Status::NotStarted { .. }, _) => {
                let text = format!("not compared: 'date' was {}", outcome.status);
                (Finding::untried(STEP, text), Freedom::Free)
            }
            (status, _) => forced(&format_args!("what {status}")),
        },
        Err(Failed::Job(JobError::TooMuchOutput { .. })) => forced(&"what writes a lot"),
        Err(error) => (Finding::wrong(STEP, error), Freedom::Free),
    }
}

fn seconds(stdout: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(stdout).ok()?.trim_end();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // Seconds of this millennium have ten digits.
    (digits && text.len() <= 12)
        .then(|| text.parse().ok())
        .flatten()
}

/// `date` gives whole seconds, and was asked somewhere between before and after.
fn apart(step: &'static str, ahead: f64, took: Duration) -> Finding {
    let doubt = 0.5 + took.as_secs_f64() / 2.0;
    if ahead.abs() <= doubt.max(1.0) {
        let text = format!("the same as ours, within {:.1} s", doubt.max(1.0));
        return Finding::ok(step, text).took(took);
    }
    let way = if ahead > 0.0 { "ahead of" } else { "behind" };
    let text = format!("the server's is {:.0} s {way} ours", ahead.abs());
    let found = Finding::ok(step, text).took(took);
    match ahead.abs() > CLOCKS_APART_SECONDS {
        true => found
            .advice("one of them is wrong; expiry-time= in authorized_keys goes by the server's"),
        false => found,
    }
}

fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

/// What is measured where commands run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    Spawn,
    Latency,
    Throughput,
}

impl Measure {
    pub(super) const ALL: [Measure; 3] = [Measure::Spawn, Measure::Latency, Measure::Throughput];

    fn step(self) -> &'static str {
        match self {
            Measure::Spawn => "spawn",
            Measure::Latency => "latency",
            Measure::Throughput => "throughput",
        }
    }
}

pub(super) async fn measure(client: &Client, what: Measure, freedom: Freedom) -> Finding {
    let step = what.step();
    if freedom == Freedom::Forced {
        return Finding::untried(step, "not measured: the server runs another command");
    }
    let found = match what {
        Measure::Spawn => spawn(client, step).await,
        Measure::Latency => latency(client, step).await,
        Measure::Throughput => throughput(client, step).await,
    };
    found.unwrap_or_else(|error| Finding::wrong(step, error))
}

async fn spawn(client: &Client, step: &'static str) -> Result<Finding, Failed> {
    let began = Instant::now();
    let (outcome, _) = run(client, &["true"]).await?;
    let took = began.elapsed();
    Ok(match outcome.is_success() {
        true => Finding::ok(step, "'true' ran").took(took),
        false => Finding::wrong(step, format_args!("'true' {}", outcome.status)).took(took),
    })
}

/// The client has no ping of its own to ask with, so commands it is.
async fn latency(client: &Client, step: &'static str) -> Result<Finding, Failed> {
    let (began, mut times) = (Instant::now(), Vec::with_capacity(COMMANDS));
    while times.is_empty() || (times.len() < COMMANDS && began.elapsed() < COMMANDS_FOR) {
        let began = Instant::now();
        run(client, &["true"]).await?;
        times.push(began.elapsed());
    }
    times.sort();
    let middle = times[times.len() / 2];
    let text = format!(
        "p50 of {} commands ('true'), from start to outcome",
        times.len()
    );
    Ok(Finding::ok(step, text).took(middle))
}

async fn throughput(client: &Client, step: &'static str) -> Result<Finding, Failed> {
    let many = MANY_BYTES.to_string();
    let command = command(&["head", "-c", &many, "/dev/zero"]).deadline(2 * DEADLINE);
    let began = Instant::now();
    let started = timeout(PATIENCE, client.start(command)).await;
    let mut job = started
        .map_err(|_| Failed::Silent)?
        .map_err(JobError::from)?;
    let mut bytes = 0_u64;
    let outcome = loop {
        let left = READING.saturating_sub(began.elapsed());
        match timeout(left, job.next()).await {
            // Enough: dropped, the job is ended by its policy when the connection is.
            Err(_) => break None,
            Ok(Some(event)) => match event? {
                JobEvent::Data {
                    stream: Output::Stdout,
                    bytes: more,
                    ..
                } => bytes += more.len() as u64,
                JobEvent::Ended(outcome) => break Some(outcome),
                _ => {}
            },
            Ok(None) => break None,
        }
    };
    let took = began.elapsed();
    Ok(match outcome {
        Some(outcome) if !outcome.is_success() => {
            let text = format!("not measured: 'head' {}", outcome.status);
            Finding::untried(step, text)
        }
        Some(_) if bytes != MANY_BYTES => {
            Finding::wrong(step, format_args!("{bytes} bytes of {MANY_BYTES} arrived"))
        }
        _ => {
            let rate = bytes as f64 / took.as_secs_f64() / 1e6;
            let text = format!("{rate:.1} MB/s, {:.1} MB read", bytes as f64 / 1e6);
            Finding::ok(step, text).took(took)
        }
    })
}

/// Why a command that was asked for has no outcome.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Job(#[from] JobError),
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Silent,
}

async fn run(client: &Client, argv: &[&str]) -> Result<(Outcome, Vec<u8>), Failed> {
    let ran = client.run_within(command(argv).deadline(DEADLINE), OUTPUT_BYTES);
    let finished = timeout(PATIENCE, ran).await.map_err(|_| Failed::Silent)??;
    Ok((finished.outcome, finished.stdout))
}

fn command(argv: &[&str]) -> Command {
    Command::new(argv)
        .on_drop(OnDrop::Kill)
        .drain(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_the_same_as_far_as_whole_seconds_and_the_way_can_tell() {
        let found = |ahead, took| apart("clock", ahead, Duration::from_millis(took)).line();
        assert!(found(0.9, 10).contains("the same as ours, within 1.0 s (10.0 ms)"));
        assert!(found(-1.9, 3_000).contains("the same as ours, within 2.0 s"));
        assert!(found(7.0, 10).contains("7 s ahead of ours (10.0 ms)\n"));
        let far = found(-3_600.0, 10);
        assert!(
            far.starts_with("ok ") && far.contains("3600 s behind ours"),
            "{far}"
        );
        assert!(far.contains("; one of them is wrong"), "{far}");
    }

    #[test]
    fn only_a_number_of_seconds_is_what_date_would_say() {
        assert_eq!(seconds(b"1764160000\n"), Some(1_764_160_000.0));
        for other in [
            &b""[..],
            b"-5\n",
            b"inf",
            b"1e9",
            b"1 2\n",
            b"\xff",
            b"17641600001764160000",
        ] {
            assert_eq!(seconds(other), None, "{other:?}");
        }
    }
}
