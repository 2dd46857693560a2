//! `redial history`: earlier runs on many hosts.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::ffi::OsStringExt;

use redial_fleet::JobIds;
use redial_fleet::history::History;
use redial_fleet::record::{Ending, Header, Kind, Record};
use serde_json::json;

use super::fleet::{Roll, Session, begin, follow, hosts};
use super::printed::print;
use crate::args::{self, HistoryCommand, RerunArgs};
use crate::report::{self, Harmless};
use crate::settings::{self, FleetSettings, SettingsError};

/// Of a command line in a list.
const COMMAND_CHARS: usize = 60;

/// Runs it; the result is our exit code.
///
/// # Errors
///
/// There is no such run, or it cannot be gone on with.
pub(crate) fn history(what: &HistoryCommand) -> Result<u8, SettingsError> {
    let history = settings::history()?;
    match what {
        HistoryCommand::List(args) => {
            let mut ids = history.ids()?;
            let ids = ids.split_off(ids.len().saturating_sub(args.number));
            Ok(print(|out| {
                ids.iter()
                    .try_for_each(|id| list(out, &history, id, args.json))
            }))
        }
        HistoryCommand::Show(args) => {
            let id = history.find(&args.run)?;
            let (header, record) = (history.header(&id)?, history.record(&id)?);
            let goes_on = history.is_driven(&id);
            Ok(print(|out| match args.json {
                true => show_json(out, &header, &record),
                false => show(out, &header, &record, goes_on),
            }))
        }
        HistoryCommand::Resume(args) => resume(&history, &args.run),
        HistoryCommand::Rerun(args) => rerun(&history, args),
    }
}

fn list(out: &mut impl Write, history: &History, id: &str, as_json: bool) -> io::Result<()> {
    let (header, record) = match history
        .header(id)
        .and_then(|it| Ok((it, history.record(id)?)))
    {
        Ok(read) => read,
        Err(error) => {
            report::error(error);
            return Ok(());
        }
    };
    let goes_on = history.is_driven(id);
    let counts = counts(&header, &record);
    let command = command(&header);
    if as_json {
        let states: serde_json::Map<_, _> = KINDS
            .iter()
            .map(|(_, name)| (*name).to_owned())
            .zip(counts.map(Into::into))
            .collect();
        let line = json!({
            "run": id, "began": header.began / 1_000, "hosts": header.hosts.len(), "states": states,
            "code": record.code, "goes_on": goes_on, "command": command,
        });
        return writeln!(out, "{line}");
    }
    let total = hosts(header.hosts.len() as u64);
    let state = match (goes_on, record.code) {
        (true, _) => "goes on".to_owned(),
        (false, Some(code)) => format!("exit {code}"),
        (false, None) => "broken off".to_owned(),
    };
    let parts = KINDS.iter().zip(counts).filter(|(_, count)| *count > 0);
    let parts: Vec<String> = parts
        .map(|((_, name), count)| format!("{count} {name}"))
        .collect();
    let short: String = command.chars().take(COMMAND_CHARS).collect();
    let dots = if short.len() < command.len() {
        "…"
    } else {
        ""
    };
    writeln!(
        out,
        "{id}  {total:>11}  {state:<10}  {:<30}  {}{dots}",
        parts.join(", "),
        Harmless(short)
    )
}

const KINDS: [(Kind, &str); 5] = [
    (Kind::Done, "done"),
    (Kind::Failed, "failed"),
    (Kind::NotBegun, "not-begun"),
    (Kind::Unreached, "unreached"),
    (Kind::Unknown, "unknown"),
];

fn counts(header: &Header, record: &Record) -> [usize; 5] {
    let mut counts = [0; 5];
    for host in 0..header.hosts.len() {
        let kind = record.kind(host);
        if let Some(at) = KINDS.iter().position(|(known, _)| *known == kind) {
            counts[at] += 1;
        }
    }
    counts
}

/// The command line as it could be typed.
fn command(header: &Header) -> String {
    let words = header.argv.iter().skip(1).cloned();
    let words = words.map(|word| quoted(&String::from_utf8_lossy(&Vec::<u8>::from(word))));
    format!("redial {}", words.collect::<Vec<_>>().join(" "))
}

fn quoted(word: &str) -> String {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "-_./:=@%+,".contains(it);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

fn show(out: &mut impl Write, header: &Header, record: &Record, goes_on: bool) -> io::Result<()> {
    writeln!(out, "run      {}", header.id)?;
    let began = std::time::UNIX_EPOCH + std::time::Duration::from_millis(header.began);
    writeln!(out, "began    {}", humantime::format_rfc3339_seconds(began))?;
    writeln!(out, "command  {}", Harmless(command(header)))?;
    writeln!(out, "hosts    {}", header.hosts.len())?;
    let state = match (goes_on, record.code) {
        (true, _) => "goes on in another process".to_owned(),
        (false, Some(code)) => format!("ended with exit code {code}"),
        (false, None) => "broken off: its client is gone".to_owned(),
    };
    writeln!(out, "state    {state}")?;
    let mut roll = Roll::new(header.hosts.len(), None);
    for host in 0..header.hosts.len() {
        roll.come_to(host, ending(record, host));
    }
    write!(out, "{}", roll.rows(&header.hosts))
}

/// What a host has come to, or how it stands without that.
fn ending(record: &Record, host: usize) -> Ending {
    let open = |how: &str| Ending {
        kind: record.kind(host),
        how: how.to_owned(),
        why: String::new(),
        code: 0,
    };
    match (record.endings.get(&host), record.kind(host)) {
        (Some(ending), _) => ending.clone(),
        (None, Kind::NotBegun) => open("not begun"),
        (None, _) => open("sent, and not heard of since"),
    }
}

fn show_json(out: &mut impl Write, header: &Header, record: &Record) -> io::Result<()> {
    let first = header.first_job.parse().ok().map(JobIds);
    let known = record.ended.iter();
    let known = known.filter_map(|(host, outputs)| Some((*host, outputs.as_ref()?)));
    let outputs: std::collections::HashMap<_, _> = known.collect();
    for (host, name) in header.hosts.iter().enumerate() {
        let ending = ending(record, host);
        let stream = |at: usize| {
            let known = outputs.get(&host).map(|outputs| &outputs[at]);
            known.map(|(bytes, checksum)| json!({"bytes": bytes, "checksum": checksum}))
        };
        let sent = record.sent.contains_key(&host);
        let line = json!({
            "host": name,
            "job": first.filter(|_| sent).map(|first| first.of(host).to_string()),
            "kind": ending.kind, "how": ending.how, "why": ending.why, "code": ending.code,
            "stdout": stream(0), "stderr": stream(1),
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// Settings of a run for some of its hosts, as they were when it began.
fn settings_of(header: &Header, names: Vec<String>) -> Result<FleetSettings, SettingsError> {
    let word = |word| OsString::from_vec(Vec::<u8>::from(word));
    let directory = word(header.directory.clone());
    std::env::set_current_dir(&directory).map_err(|error| {
        format!(
            "{}: {error}; the command line of run {} was for that directory, so it has to be there",
            directory.display(),
            header.id
        )
    })?;
    let argv = header.argv.iter().cloned().map(word);
    let (config, mut args) = args::parse_run(argv.collect())?;
    // The hosts are known; what stands in their place may belong to the command.
    args.place()?;
    let file = settings::load(config.as_deref())?;
    let mut settings = FleetSettings::resolve(names, settings::inventory(false)?, args, &file)?;
    settings.work.settle(&header.settled)?;
    Ok(settings)
}

fn resume(history: &History, name: &str) -> Result<u8, SettingsError> {
    let id = history.find(name)?;
    let header = history.header(&id)?;
    let session = Session::resume(history, &header)?;
    let settings = settings_of(&header, header.hosts.clone())?;
    let stdin = settings.stdin_all.then(|| history.stdin(&id)).transpose()?;
    follow(settings, session, stdin.map(Into::into))
}

fn rerun(history: &History, args: &RerunArgs) -> Result<u8, SettingsError> {
    let id = history.find(&args.run)?;
    let header = history.header(&id)?;
    // What happened counts only where it is asked for.
    let record = match args.failed || args.not_done {
        true => history.record(&id)?,
        false => Record::default(),
    };
    let wanted = |host: usize| match record.kind(host) {
        _ if !args.failed && !args.not_done => true,
        Kind::Done => false,
        Kind::Failed => args.failed,
        Kind::NotBegun | Kind::Unreached | Kind::Unknown => args.not_done,
    };
    let names = header.hosts.iter().enumerate();
    let names = names
        .filter(|(host, _)| wanted(*host))
        .map(|(_, name)| name.clone());
    let names: Vec<String> = names.collect();
    if names.is_empty() {
        return Err(format!("run {id}: there is no such host in it").into());
    }
    let settings = settings_of(&header, names)?;
    let stdin = settings.stdin_all.then(|| history.stdin(&id)).transpose()?;
    begin(settings, header.argv, stdin.map(Into::into))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_can_be_typed_again() {
        for (word, typed) in [
            ("uname", "uname"),
            ("--env=A=1", "--env=A=1"),
            ("web[1-2]", "'web[1-2]'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(word), typed);
        }
    }
}
