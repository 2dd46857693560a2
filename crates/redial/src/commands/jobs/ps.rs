//! `redial ps`: the jobs on a host.

use redial_client::{JobInfo, Output};
use unicode_width::UnicodeWidthStr;

use super::listing::{HEAD, JobLine, cells, letters};
use super::{Failure, block_on, cannot_list, connect};
use crate::report::Harmless;
use crate::settings::Way;
use crate::sinks::write_all;

/// How to show them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Table,
    Names,
    Json,
}

/// Lists them; the result is our exit code.
pub(crate) fn ps(way: &Way, form: Form) -> u8 {
    block_on(async {
        let client = connect(way).await?;
        let failed = |error| Failure::Query(way.target.clone(), error);
        let jobs = client.jobs("").await.map_err(failed)?;
        client.close().await;
        let text = match form {
            Form::Table => table(&jobs).into_bytes(),
            Form::Names => {
                let names = jobs
                    .iter()
                    .map(|job| format!("{}/{}\n", way.target, job.id));
                names.collect::<String>().into_bytes()
            }
            Form::Json => {
                let lines = jobs
                    .iter()
                    .map(|job| JobLine::new(&way.target, job).to_line());
                lines.collect::<Vec<_>>().concat()
            }
        };
        write_all(Output::Stdout, &[text]).map_err(cannot_list)?;
        Ok(0)
    })
}

/// Columns as wide as what is in them; the last as long as it is.
fn table(jobs: &[JobInfo]) -> String {
    let letters = letters(jobs);
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(jobs.iter().map(|job| cells(job, letters)));
    // What others wrote must not steer a terminal.
    let rows: Vec<[String; 6]> = rows
        .into_iter()
        .map(|row| row.map(|cell| Harmless(cell).to_string()))
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].width()).max();
    let widths: Vec<usize> = (0..HEAD.len() - 1).filter_map(width).collect();
    let mut text = String::new();
    for row in &rows {
        for (cell, width) in row.iter().zip(&widths) {
            let space = " ".repeat(width + 2 - cell.width());
            text += &format!("{cell}{space}");
        }
        text += &format!("{}\n", row[HEAD.len() - 1]);
    }
    text
}
