//! Runs many commands at once over one connection, and checks every outcome.
//!
//! `cargo run --example many -- unix: 1000`; the target is `local:` unless given.

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use redial_client::{Client, Command, ConnectOptions, Finished, JobError, Target};
use tokio::task::JoinSet;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("many: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let target: Target = args.next().unwrap_or_else(|| "local:".to_owned()).parse()?;
    let count: usize = args.next().map_or(Ok(1_000), |count| count.parse())?;
    let mut options = ConnectOptions::default();
    // Where `redial` is not in PATH, `local:` needs to be told where it is.
    if let Some(program) = std::env::var_os("REDIAL_BIN") {
        options = options.local_program(program);
    }
    let client = Client::connect(&target, options).await?;

    let began = Instant::now();
    let mut running = JoinSet::new();
    for number in 0..count {
        let client = client.clone();
        // All are asked for at once; the client keeps 256 of them in flight.
        running.spawn(async move {
            let text = format!("echo {number}; echo {number} >&2; exit {}", number % 7);
            let finished = client.run(Command::new(["sh", "-c", &text])).await;
            (number, finished)
        });
    }
    let mut wrong = 0;
    while let Some(ran) = running.join_next().await {
        let (number, finished) = ran?;
        if let Err(error) = check(number, finished) {
            eprintln!("command {number}: {error}");
            wrong += 1;
        }
    }
    println!(
        "{count} commands, {wrong} wrong, {}",
        rate(count, began.elapsed())
    );
    client.close().await;
    if wrong == 0 {
        Ok(())
    } else {
        Err(format!("{wrong} of {count} went wrong").into())
    }
}

fn check(number: usize, finished: Result<Finished, JobError>) -> Result<(), Box<dyn Error>> {
    let finished = finished?;
    let line = format!("{number}\n");
    let status = redial_client::Status::Exited((number % 7) as u8);
    if finished.outcome.status != status {
        return Err(finished.outcome.status.to_string().into());
    }
    if finished.stdout != line.as_bytes() || finished.stderr != line.as_bytes() {
        return Err(format!("wrong output: {finished:?}").into());
    }
    Ok(())
}

fn rate(count: usize, time: Duration) -> String {
    format!("{:.0} a second", count as f64 / time.as_secs_f64())
}
