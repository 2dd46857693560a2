//! Kept jobs that have ended, many of them: listed, and found again by another server.

use std::time::{Duration, Instant};

use redial_client::{Client, Command, ConnectOptions, Keep, Target};

use crate::peer::Turns;
use crate::peer::redial::runtime;
use crate::peer::server::Server;
use crate::report::{Goal, Section};
use crate::table::Table;

/// Starts under way at once.
const AT_ONCE: usize = 32;

/// # Errors
/// A job was not kept, or is not listed.
pub(super) fn measure(quick: bool) -> anyhow::Result<Section> {
    let count = if quick { 500 } else { 10_000 };
    let mut server = Server::start(&[])?;
    let target = Target::Unix(Some(server.socket()));
    let began = Instant::now();
    runtime()?.block_on(fill(&target, count))?;
    let filled = began.elapsed();
    let listed = runtime()?.block_on(list(&target, count))?;
    let starts = (0..3).map(|_| server.again());
    let starts = starts.collect::<anyhow::Result<Vec<Duration>>>()?;
    let start = starts.into_iter().max().unwrap_or_default();
    runtime()?.block_on(list(&target, count))?;
    let ms = |time: Duration| format!("{:.0} ms", time.as_secs_f64() * 1_000.0);
    let mut table = Table::new(["", "time"]);
    table.row([
        format!("{count} jobs started, ended and written down, {AT_ONCE} at once"),
        ms(filled),
    ]);
    table.row(["listed, all of them".to_owned(), ms(listed)]);
    table.row([
        "another server with them, until it accepts".to_owned(),
        ms(start),
    ]);
    let goals = vec![
        Goal::measured(
            &format!("{count} ended jobs listed"),
            "≤ 100 ms",
            ms(listed),
            listed <= Duration::from_millis(100),
        ),
        Goal::measured(
            &format!("start with {count} ended jobs"),
            "≤ 1 s",
            ms(start),
            start <= Duration::from_secs(1),
        ),
    ];
    Ok(Section {
        plots: Vec::new(),
        title: "Kept jobs",
        how: "`true`, detached, over one connection; each is two records, fsynced. Listed by the client \
              library over an open connection, the slowest of five; the start is the slowest of three."
            .to_owned(),
        figures: table.to_string(),
        goals,
    })
}

async fn fill(target: &Target, count: usize) -> anyhow::Result<()> {
    let client = Client::connect(target, ConnectOptions::default()).await?;
    let turns = std::sync::Arc::new(Turns::new(count));
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..AT_ONCE {
        let (client, turns) = (client.clone(), std::sync::Arc::clone(&turns));
        workers.spawn(async move {
            while turns.take() {
                let command = Command::new(["true"]).detach(Keep::default());
                let mut job = client.start(command).await?;
                // To its end, so that no more run than may.
                while let Some(event) = job.next().await {
                    event?;
                }
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = workers.join_next().await {
        ended??;
    }
    client.close().await;
    Ok(())
}

async fn list(target: &Target, count: usize) -> anyhow::Result<Duration> {
    let client = Client::connect(target, ConnectOptions::default()).await?;
    let mut slowest = Duration::ZERO;
    for _ in 0..5 {
        let began = Instant::now();
        let jobs = client.jobs("").await?;
        slowest = slowest.max(began.elapsed());
        let ended = jobs.iter().filter(|job| job.outcome.is_some()).count();
        anyhow::ensure!(ended == count, "{ended} of {count} are listed");
    }
    client.close().await;
    Ok(slowest)
}
