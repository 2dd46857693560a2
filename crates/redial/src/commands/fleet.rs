//! `redial run` on many hosts.

mod board;
mod collected;
mod diff;
mod files;
mod json;
mod prefix;
mod roll;
mod run;
mod session;
mod show;
mod writer;

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, Read};
use std::mem::ManuallyDrop;
use std::os::unix::ffi::OsStringExt;
use std::time::{Duration, Instant};

use redial_client::{Bytes, Command};
use redial_fleet::record::Word;
use redial_fleet::{Earlier, Event, Fleet, Order};
use tokio::time::MissedTickBehavior;

use super::log;
use crate::args::LogFormat;
use crate::exit_code::FAILED;
use crate::interrupt::{Interrupts, Step};
use crate::report;
use crate::settings::{FleetSettings, SettingsError, Verbosity, history};
use board::Board;
pub(crate) use roll::{Roll, hosts};
use run::Run;
pub(crate) use session::Session;
use show::Show;
use writer::Desk;

/// What `--stdin-all` reads at most.
const STDIN_MAX_BYTES: u64 = 64 << 20;
/// Connections that do not answer our goodbye are not waited for.
const CLOSING: Duration = Duration::from_secs(3);

/// What waits here for more of its kind does so for two of these, at most.
const TURN: Duration = Duration::from_millis(250);

/// Runs what this process was asked for; the result is our exit code.
///
/// # Errors
///
/// A setting cannot be used.
pub(crate) fn fleet(settings: FleetSettings) -> Result<u8, SettingsError> {
    let argv = std::env::args_os().map(OsString::into_vec).map(Word::from);
    begin(settings, argv.collect(), None)
}

/// Begins a run: of this command line, and with this stdin for all if it has one already.
///
/// # Errors
///
/// A setting cannot be used.
pub(crate) fn begin(
    settings: FleetSettings,
    argv: Vec<Word>,
    stdin: Option<Bytes>,
) -> Result<u8, SettingsError> {
    let stdin = match stdin {
        None if settings.stdin_all => Some(read_stdin()?),
        stdin => stdin,
    };
    let (session, why) = Session::new(history(), &settings, argv, stdin.as_deref())?;
    if let Some(why) = why.filter(|_| settings.verbosity > Verbosity::Quiet) {
        report::note(format_args!("there will be no history of this run: {why}"));
    }
    follow(settings, session, stdin)
}

/// Goes through the hosts of a run that have not ended.
///
/// # Errors
///
/// A setting cannot be used.
pub(crate) fn follow(
    settings: FleetSettings,
    session: Session,
    stdin: Option<Bytes>,
) -> Result<u8, SettingsError> {
    if std::env::var_os(log::VARIABLE).is_some() {
        log::start(LogFormat::Human, "warn");
    }
    // The process ends with this: nobody waits until ten thousand hosts are freed one by one.
    let settings = ManuallyDrop::new(settings);
    let mut command = settings.command()?.manual_acknowledge(true);
    if let Some(stdin) = stdin {
        command = command.input(stdin);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ended = runtime.and_then(|runtime| {
        let ended = runtime.block_on(execute(&settings, &session, command));
        // A thread may still ask somebody, or a resolver: nobody wants to know.
        runtime.shutdown_background();
        ended
    });
    Ok(ended.unwrap_or_else(|error| {
        report::error(format_args!("cannot start: {error}"));
        FAILED
    }))
}

/// All of it: each host gets the same.
fn read_stdin() -> Result<Bytes, SettingsError> {
    let mut bytes = Vec::new();
    let read = io::stdin()
        .take(STDIN_MAX_BYTES + 1)
        .read_to_end(&mut bytes);
    read.map_err(|error| format!("cannot read stdin: {error}"))?;
    if bytes.len() as u64 > STDIN_MAX_BYTES {
        return Err("--stdin-all: stdin has more than 64 MiB".to_owned().into());
    }
    Ok(bytes.into())
}

async fn execute(settings: &FleetSettings, session: &Session, command: Command) -> io::Result<u8> {
    let mut interrupts = Interrupts::listen()?;
    let names = settings.hosts.names();
    let show = Show::new(settings, session)?;
    let mut roll = Roll::new(names.len(), settings.work.deadline);
    for (host, ending) in &session.record.endings {
        if ending.kind.is_over() {
            roll.come_to(*host, ending.clone());
        }
    }
    let open = session.open(names.len());
    let order = Order {
        command,
        ids: session.ids,
        detach: settings.work.detach.is_some(),
        earlier: earlier(session, &show, &open, names),
    };
    let mut fleet = Fleet::new(
        settings.plan,
        open,
        order,
        settings.hosts.clone(),
        session.journal(),
    )
    .deadline(settings.total_deadline);
    let mut run = Run {
        settings,
        session,
        roll,
        show,
        desk: Desk::start()?,
        stopped: [false; 2],
        began: Instant::now(),
        unwritten: false,
    };
    run.show_what_is_left();
    let is_left = go_through(&mut run, &mut fleet, &mut interrupts).await;
    let code = run.conclude(&mut fleet, &mut interrupts, is_left).await;
    fleet.close(CLOSING).await;
    Ok(code)
}

/// Until all hosts have ended that will, or the user leaves.
/// True if the user has left.
async fn go_through(run: &mut Run<'_>, fleet: &mut Fleet, interrupts: &mut Interrupts) -> bool {
    let board = Board::new(run.settings, &run.roll);
    let [mut tick, mut turn] = [board::EVERY, TURN].map(|every| {
        let mut interval = tokio::time::interval(every);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        interval
    });
    loop {
        let is_behind = run.desk.is_behind();
        tokio::select! {
            next = next(fleet, is_behind) => match next {
                Next::Event(event) => run.event(event),
                Next::Nothing => {}
                Next::Done => return false,
            },
            failure = run.desk.next() => {
                if let Some(failure) = failure {
                    run.cannot_write(failure);
                }
            }
            _ = turn.tick() => run.turn(),
            _ = tick.tick(), if board.is_some() => {
                if let Some(board) = &board {
                    board.draw(&run.roll, run.settings.hosts.names());
                }
            }
            (step, signal) = interrupts.next() => {
                run.interrupted(step, signal, fleet);
                if step == Step::Leave {
                    return true;
                }
            }
        }
    }
}

enum Next {
    Event(Event),
    Nothing,
    Done,
}

/// What happens next; while we are behind with writing, deadlines only.
async fn next(fleet: &mut Fleet, is_behind: bool) -> Next {
    let event = match is_behind {
        true => {
            return fleet
                .next_deadline()
                .await
                .map_or(Next::Nothing, Next::Event);
        }
        false => fleet.next().await,
    };
    event.map_or(Next::Done, Next::Event)
}

fn earlier(
    session: &Session,
    show: &Show,
    open: &[usize],
    names: &[String],
) -> HashMap<usize, Earlier> {
    let sent = open.iter().filter_map(|host| {
        let name = names.get(*host)?;
        Some((*host, session.earlier(*host, show.reached(*host, name))?))
    });
    sent.collect()
}
