//! `redial hosts`: sets of hosts, spelled out, folded and counted.

use std::io::{self, BufRead, BufWriter, Read, Write};

use redial_fleet::{HostSet, NoGroups};

use crate::args::{HostsArgs, HostsCommand, SetArgs};
use crate::exit_code::FAILED;
use crate::report;

/// Of stdin: a million names of 64 bytes.
const STDIN_MAX_BYTES: u64 = 64 << 20;

/// Runs it; the result is our exit code.
pub(crate) fn hosts(args: &HostsArgs) -> u8 {
    let (HostsCommand::Expand(sets) | HostsCommand::Fold(sets) | HostsCommand::Count(sets)) =
        &args.what;
    let set = match read(sets) {
        Ok(set) => set,
        Err(reason) => {
            report::error(reason);
            return FAILED;
        }
    };
    let mut stdout = BufWriter::new(io::stdout().lock());
    let printed = print(&mut stdout, &args.what, &set).and_then(|()| stdout.flush());
    match printed {
        Ok(()) => 0,
        // Whoever reads us has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
        Err(error) => {
            report::error(format_args!("cannot write: {error}"));
            FAILED
        }
    }
}

fn print(out: &mut impl Write, what: &HostsCommand, set: &HostSet) -> io::Result<()> {
    match what {
        HostsCommand::Expand(SetArgs { json: true, .. }) => {
            let names: Vec<String> = set.iter().collect();
            writeln!(out, "{}", serde_json::json!(names))
        }
        HostsCommand::Expand(_) => set.iter().try_for_each(|name| writeln!(out, "{name}")),
        HostsCommand::Fold(SetArgs { json: true, .. }) => {
            writeln!(out, "{}", serde_json::json!(set.to_string()))
        }
        HostsCommand::Fold(_) => writeln!(out, "{set}"),
        HostsCommand::Count(_) => writeln!(out, "{}", set.len()),
    }
}

/// All of them together.
fn read(args: &SetArgs) -> Result<HostSet, String> {
    let mut all = HostSet::default();
    if !args.sets.is_empty() {
        for text in &args.sets {
            add(&mut all, text)?;
        }
        return Ok(all);
    }
    let mut stdin = io::BufReader::new(io::stdin().take(STDIN_MAX_BYTES));
    let (mut line, mut number) = (String::new(), 0);
    loop {
        line.clear();
        number += 1;
        match stdin.read_line(&mut line) {
            Ok(0) if stdin.get_ref().limit() == 0 => {
                return Err(format!("stdin has more than {STDIN_MAX_BYTES} bytes"));
            }
            Ok(0) => return Ok(all),
            Ok(_) => add(&mut all, &line).map_err(|reason| format!("line {number}: {reason}"))?,
            Err(error) => return Err(format!("cannot read stdin: {error}")),
        }
    }
}

fn add(all: &mut HostSet, text: &str) -> Result<(), String> {
    let more = HostSet::parse(text, &NoGroups).map_err(|error| error.to_string())?;
    all.union(more);
    match all.len() {
        ..=redial_fleet::MAX_HOSTS => Ok(()),
        _ => Err("more than 1,000,000 hosts".to_owned()),
    }
}
