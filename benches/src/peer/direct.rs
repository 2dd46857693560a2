//! The keeper's own spawner, called in this process: what starting a process costs
//! when nothing else is done.

use std::thread;
use std::time::Instant;

use redial_floor::crew::Crew;
pub(crate) use redial_floor::direct::Direct;

use super::{Turns, join, per_second};

/// `true` per second with `in_flight` at once, shared by `threads`, each with a
/// spawner of its own.
///
/// # Errors
/// One could not be started, failed or wrote something.
pub(crate) fn rate(threads: usize, count: usize, in_flight: usize) -> anyhow::Result<f64> {
    let turns = Turns::new(count);
    let crews = (0..threads).map(|_| Crew::new(Direct::new()?, in_flight / threads));
    let crews = crews.collect::<anyhow::Result<Vec<_>>>()?;
    let began = Instant::now();
    thread::scope(|scope| {
        let turns = &turns;
        let workers = crews
            .into_iter()
            .map(|crew| scope.spawn(move || work(crew, turns)));
        join(workers.collect())
    })?;
    Ok(per_second(count, began.elapsed()))
}

/// Runs turns until there are none, as many at once as there is room for.
fn work(mut crew: Crew, turns: &Turns) -> anyhow::Result<()> {
    loop {
        while crew.has_room() && turns.take() {
            crew.start()?;
        }
        if crew.is_idle() {
            return Ok(());
        }
        crew.wait()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn true_runs_in_numbers() {
        for threads in [1, 2] {
            assert!(rate(threads, 50, 8).unwrap() > 0.0);
        }
    }
}
