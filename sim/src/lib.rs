//! Client, front and keeper in one thread, over a network that does its worst.
//!
//! Real are: the client (dialling again, jobs, streams, controls), the driver and the protocol
//! on both sides, the front's hub and sessions, the wire between front and keeper, and the
//! keeper with its logs, records and policies. Simulated are the lines, the children, the
//! threads that start them, and time, which stands still and jumps. Everything follows from a
//! seed, so a run that fails can be looked at as often as it takes.
//!
//! A line is cut, cut so that its last words come late, held up, silent; the front vanishes, and
//! the next one knows only what the keeper says. Then each job is looked at: whether it was run
//! once at most, whether every byte of its streams and every signal has come, once and in its
//! place, whether its outcome is its own, and whether everything that was taken for it is given
//! back. And nobody may wait for ever.

mod chance;
mod child;
mod content;
mod exchange;
mod line;
mod oracle;
mod plan;
mod scene;
mod tally;
mod trace;
mod user;
mod world;

use std::rc::Rc;

pub use tally::Tally;

use crate::exchange::Exchange;
use crate::plan::Plan;
use crate::scene::Scene;
use crate::trace::Trace;
use crate::world::{Links, Run, start_front};

/// What a run has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Of all that has happened, in its order.
    pub trace: u64,
    /// How much of it.
    pub tally: Tally,
}

/// Runs a seed.
///
/// # Errors
/// What did not hold, and what happened before.
pub fn run(seed: u64) -> Result<Report, String> {
    let told = tell(seed);
    told.result
        .map_err(|wrong| format!("{}{:#?}\n{wrong}", told.trace, told.plan))
}

/// Runs a seed, and tells what has happened; of much, the last.
#[must_use]
pub fn story(seed: u64) -> String {
    let told = tell(seed);
    let ended = match told.result {
        Ok(report) => format!("{}trace {:016x}", report.tally, report.trace),
        Err(wrong) => wrong,
    };
    format!("{}{:#?}\n{ended}", told.trace, told.plan)
}

struct Told {
    plan: Plan,
    trace: Trace,
    result: Result<Report, String>,
}

fn tell(seed: u64) -> Told {
    let plan = Plan::of(seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let (trace, result) = (Trace::new(), Err(error.to_string()));
            return Told {
                plan,
                trace,
                result,
            };
        }
    };
    let local = tokio::task::LocalSet::new();
    // It does much in one go, and keeps nobody waiting.
    let inside = tokio::task::coop::unconstrained(run_inside(seed, &plan));
    let (trace, result) = local.block_on(&runtime, inside);
    Told {
        plan,
        trace,
        result,
    }
}

async fn run_inside(seed: u64, plan: &Plan) -> (Trace, Result<Report, String>) {
    let scene = Scene::new(seed);
    let links = Links::default();
    let mut start = start_front(&links);
    let exchange = Exchange::new(Rc::clone(&scene));
    let _inside = redial_client::simulation::enter(Rc::<Exchange>::clone(&exchange));
    let run = Run::new(Rc::clone(&scene), plan.clone(), links, exchange, &mut start);
    scene.count(|tally| tally.seeds += 1);
    let result = match run {
        Ok(mut run) => run.run().await,
        Err(error) => Err(error.to_string()),
    };
    let trace = scene.trace.replace(Trace::new());
    let report = Report {
        trace: trace.hash(),
        tally: *scene.tally.borrow(),
    };
    (trace, result.map(|()| report))
}
