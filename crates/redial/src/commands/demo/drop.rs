//! `redial demo drop`: a job whose line is cut and whose server is killed, and what arrives.

mod content;
mod line;
mod plan;
mod server;
mod tally;
mod told;
mod words;

use std::io::{self, IsTerminal};
use std::mem;
use std::time::{Duration, Instant};

use anyhow::Context;
use redial_client::{
    Client, Command, ConnectOptions, Job, JobError, JobEvent, OnDrop, Outcome, Output, Status,
    Target,
};
use tokio::net::UnixListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::args::{DropArgs, DropJobArgs};
use crate::exit_code;
use crate::interrupt::Interrupts;
use crate::report;
use crate::stdio::Stdout;
use content::Content;
use line::{Line, Made, Pace};
use plan::Plan;
use server::Server;
use tally::Tally;
use told::{Event, Teller};

/// Something is not as it should be.
const FAILS: u8 = 1;
/// How long the job is kept without a line, and a line that brings nothing is waited for.
const KEEP: Duration = Duration::from_secs(60);

/// Shows it; the result is our exit code.
///
/// # Errors
/// It could not be run, or not be shown.
pub(super) fn drop(args: &DropArgs) -> anyhow::Result<u8> {
    let seed = args.seed.map_or_else(random_seed, Ok)?;
    let (words, paint) = (words::of(super::chosen(args.lang)), super::paint());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let mut teller = match args.json {
        true => Teller::Json,
        false => Teller::for_people(words, paint, io::stdout().is_terminal() && !dumb),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut server = None;
    let done = runtime.block_on(show(args, Content { seed }, &mut teller, &mut server));
    // Our end of the line first: a server that ends says goodbye to whoever is there.
    mem::drop(runtime);
    mem::drop(server);
    // What went wrong is more to the point than that this cannot be written either.
    let left = teller.leave();
    let code = done?;
    left.context("cannot write")?;
    Ok(code)
}

/// The job itself; the result is its exit code.
///
/// # Errors
/// Nobody reads it.
pub(super) fn job(args: &DropJobArgs) -> anyhow::Result<u8> {
    let content = Content { seed: args.seed };
    content.write(args.size, Stdout).context("cannot write")?;
    Ok(content.status())
}

/// Short enough to be typed again.
fn random_seed() -> anyhow::Result<u64> {
    let mut random = [0; 4];
    getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("no random number: {error}"))?;
    Ok(u32::from_ne_bytes(random).into())
}

/// Whatever ends it, the server is the caller's to end.
async fn show(
    args: &DropArgs,
    content: Content,
    teller: &mut Teller,
    server: &mut Option<Server>,
) -> anyhow::Result<u8> {
    let mut interrupts = Interrupts::listen().context("cannot hear signals")?;
    let server = server.insert(Server::start()?);
    tokio::select! {
        code = play(args, content, teller, server) => code,
        (_, signal) = interrupts.next() => Ok(exit_code::interrupted(signal)),
    }
}

async fn play(
    args: &DropArgs,
    content: Content,
    teller: &mut Teller,
    server: &mut Server,
) -> anyhow::Result<u8> {
    server.wait_until_reached().await?;
    let socket = server.socket();
    let (made, done_to_line) = unbounded_channel();
    let arrived = watch::Sender::new(0);
    let line = Line {
        server: &socket,
        front: server.front(),
        plan: Plan::new(content.seed, args.size),
        pace: Pace::new(args.rate),
        made,
        arrived: arrived.subscribe(),
        carried: 0,
    };
    let listener = UnixListener::bind(server.line()).context("cannot listen")?;
    let show = Show {
        teller,
        tally: Tally::new(content, args.size),
        done_to_line,
        arrived,
        down: None,
    };
    let followed = async {
        let (client, job) = start(server, content, args.size).await?;
        let code = show.follow(job).await?;
        client.close().await;
        Ok(code)
    };
    tokio::select! {
        code = followed => code,
        failed = line.run(listener) => Err(failed).context("the line"),
    }
}

async fn start(server: &Server, content: Content, size: u64) -> anyhow::Result<(Client, Job)> {
    let target = Target::Unix(Some(server.line()));
    let options = ConnectOptions::default().redial(Some(KEEP));
    let client = Client::connect(&target, options).await?;
    // This very program, even if its file was replaced in the meantime.
    let program = format!("/proc/{}/exe", std::process::id());
    let [seed, size] = [content.seed, size].map(|number| number.to_string());
    let argv = [&program, "--config", "/dev/null", "demo", "drop-job"];
    let argv = argv.into_iter().chain(["--seed", &seed, "--size", &size]);
    let command = Command::new(argv).cwd("/").on_drop(OnDrop::KeepFor(KEEP));
    let job = client.start(command).await?;
    Ok((client, job))
}

/// A job that is followed to its end.
struct Show<'a> {
    teller: &'a mut Teller,
    tally: Tally,
    /// What was done to the line and is not told yet.
    done_to_line: UnboundedReceiver<Made>,
    /// Tells the line how far we are.
    arrived: watch::Sender<u64>,
    /// Since when nothing arrives.
    down: Option<Instant>,
}

impl Show<'_> {
    async fn follow(mut self, mut job: Job) -> anyhow::Result<u8> {
        let (content, size) = (self.tally.content, self.tally.size);
        self.tell(&Event::Start {
            seed: content.seed,
            size,
            status: content.status(),
        })?;
        loop {
            let Ok(event) = timeout(KEEP, job.next()).await else {
                anyhow::bail!("nothing has arrived for {} s", KEEP.as_secs());
            };
            let Some(event) = event else {
                anyhow::bail!("the job ended without an outcome");
            };
            match event {
                Ok(JobEvent::Data {
                    stream: Output::Stdout,
                    offset,
                    bytes,
                }) => self.data(offset, &bytes)?,
                Ok(JobEvent::LineDropped { .. }) => self.dropped()?,
                Ok(JobEvent::Ended(outcome)) => return self.ended(&outcome),
                Err(JobError::Incomplete {
                    outcome, reason, ..
                }) => {
                    self.ended(&outcome)?;
                    report::error(format_args!("demo drop: {reason}"));
                    return Ok(FAILS);
                }
                Err(error) => return Err(error.into()),
                Ok(_) => {}
            }
        }
    }

    fn data(&mut self, offset: u64, bytes: &[u8]) -> anyhow::Result<()> {
        if let Some(since) = self.down.take() {
            let pause = since.elapsed();
            self.tally.paused(pause);
            self.tell(&Event::Back {
                pause,
                next: offset,
            })?;
        }
        self.tally.take(offset, bytes);
        self.arrived.send_replace(self.tally.arrived);
        self.tell(&Event::Arrived {
            bytes: self.tally.arrived,
            size: self.tally.size,
        })
    }

    fn dropped(&mut self) -> anyhow::Result<()> {
        self.down.get_or_insert_with(Instant::now);
        while let Ok(made) = self.done_to_line.try_recv() {
            let number = self.tally.count(made);
            let at = self.tally.next;
            self.tell(&Event::Down { made, number, at })?;
        }
        Ok(())
    }

    fn ended(&mut self, outcome: &Outcome) -> anyhow::Result<u8> {
        if let Status::NotStarted { .. } = outcome.status {
            anyhow::bail!("the job was {}", outcome.status);
        }
        let verdict = self.tally.verdict(outcome);
        self.tell(&Event::Verdict(&verdict))?;
        Ok(if verdict.holds() { 0 } else { FAILS })
    }

    fn tell(&mut self, event: &Event<'_>) -> anyhow::Result<()> {
        self.teller.tell(event).context("cannot write")
    }
}
