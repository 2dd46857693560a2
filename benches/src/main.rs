//! The project's figures: `cargo xtask bench` and `cargo xtask torture` run this.
//!
//! `measure` holds one file per thing measured, `peer` one per contestant. All
//! contestants of a measurement run in turn, round after round, so that a busy
//! machine disturbs them alike; what they print and how they exit is checked.
//! What is absent: judging. The table says whether a goal is reached; only
//! `torture` fails.

mod framing;
mod instructions;
mod machine;
mod measure;
mod memory;
mod order;
mod patience;
mod peer;
mod plot;
mod process;
mod report;
mod settings;
mod stats;
mod table;
mod torture;

use std::process::ExitCode;

use settings::{Chore, HELP};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let chore = match settings::read(&arguments) {
        Ok(chore) => chore,
        Err(complaint) => {
            eprintln!("redial-benches: {complaint}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    let done = match chore {
        Chore::Help => {
            println!("{HELP}");
            Ok(())
        }
        Chore::Bench(settings) => measure::all(&settings),
        Chore::Framing { rounds, work } => work.run(rounds),
        Chore::Torture(settings) => torture::run(&settings),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("redial-benches: {error:#}");
            ExitCode::FAILURE
        }
    }
}
