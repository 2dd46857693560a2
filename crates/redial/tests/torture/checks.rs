//! What was asked for by number, each at its size or a part of it.

mod brokers;
mod clients;
mod cuts;
mod fronts;
mod pause;

use crate::settings::{Size, publish};

/// Shows what was asked for, what was run, and what came of it.
fn report(name: &str, rows: &[(&str, Size)], result: &str) {
    let mut table = format!("| {name} | Asked for | Run |\n|---|---:|---:|\n");
    for (what, size) in rows {
        table.push_str(&format!("| {what} | {} | {} |\n", size.asked, size.run));
    }
    publish(&format!("{table}\n{result}\n"));
}
