//! What becomes of a line that drops.

use std::time::Duration;

use clap::Args;

use crate::duration;

/// Options of the commands that dial again.
#[derive(Debug, Args)]
pub(crate) struct RedialArgs {
    /// Dial again for so long when the line drops, and go on where it was [default: 10m]
    #[arg(long, value_name = "TIME", value_parser = duration::parse_limit)]
    pub(crate) redial: Option<Duration>,
    /// Do not dial again: a line that drops is the end
    #[arg(long, conflicts_with = "redial")]
    pub(crate) no_redial: bool,
}
