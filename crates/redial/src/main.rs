//! `redial`: arguments, settings, rendering, exit codes. What it does is in its libraries.

mod args;
mod asking;
mod charset;
mod commands;
mod duration;
mod exit_code;
mod interrupt;
mod json;
mod repl;
mod report;
mod settings;
mod signal_name;
mod sinks;
mod size;
mod stdin;
mod stdio;
mod terminal;

use settings::{
    FleetSettings, JobName, ReplSettings, RunSettings, ServeSettings, SettingsError, Way,
};

/// The only place that ends the process: a thread that reads our stdin may still hang
/// there, and nothing it could read is wanted any more.
fn main() {
    // Before anything else: every login waits for this process.
    if let Some(code) = commands::read_keys(std::env::args_os()) {
        std::process::exit(i32::from(code));
    }
    let code = match args::parse() {
        Ok(arguments) => dispatch(arguments).unwrap_or_else(|error| {
            report::error(error);
            exit_code::FAILED
        }),
        Err(code) => code,
    };
    std::process::exit(i32::from(code));
}

fn dispatch(arguments: args::Arguments) -> Result<u8, SettingsError> {
    let file = settings::load(arguments.config.as_deref())?;
    match arguments.command {
        args::Command::Classic(args) => Ok(commands::classic(&args.what)),
        args::Command::Completion(args) => Ok(commands::completion(&args)),
        args::Command::Manual(args) => Ok(commands::manual(&args)),
        args::Command::Demo(args) => Ok(commands::demo(&args)),
        args::Command::Doctor(args) => Ok(commands::doctor(&args, &file)),
        args::Command::Echo(args) => Ok(commands::echo(&args.what)),
        args::Command::Frame(args) => Ok(commands::frame(&args.what)),
        args::Command::History(args) => commands::history(&args.what),
        args::Command::Hosts(args) => commands::hosts(&args, &file),
        args::Command::Keys(args) => commands::keys(args.what, &file),
        args::Command::Repl(args) => Ok(commands::repl(&ReplSettings::resolve(args, &file)?)),
        args::Command::Run(args) => run(*args, &file),
        args::Command::Shell(args) => Ok(commands::run(&RunSettings::resolve_shell(args, &file)?)),
        args::Command::Ps(args) => {
            let way = Way::resolve(&args.host, &args.way, &file)?;
            let form = match (args.quiet, args.json) {
                (true, _) => commands::Form::Names,
                (_, true) => commands::Form::Json,
                _ => commands::Form::Table,
            };
            Ok(commands::ps(&way, form))
        }
        args::Command::Attach(args) => {
            Ok(commands::run(&RunSettings::resolve_attach(&args, &file)?))
        }
        args::Command::Logs(args) => {
            let name = JobName::resolve(&args.job, &args.way, &file)?;
            Ok(commands::logs(&name, settings::wanted(&args)?))
        }
        args::Command::Wait(args) => {
            let name = JobName::resolve(&args.job, &args.way, &file)?;
            Ok(commands::wait(&name, args.json))
        }
        args::Command::Kill(args) => {
            let names = JobName::resolve_all(&args.jobs, &args.way, &file)?;
            Ok(commands::kill(&names, settings::blow(&args), args.json))
        }
        args::Command::Rm(args) => {
            let names = JobName::resolve_all(&args.jobs, &args.way, &file)?;
            Ok(commands::rm(&names, args.force, args.json))
        }
        args::Command::Upgrade(args) => {
            let way = Way::resolve(&args.host, &args.way, &file)?;
            Ok(commands::upgrade(&way))
        }
        args::Command::Serve(args) => Ok(commands::serve(ServeSettings::resolve(&args, &file)?)),
    }
}

fn run(mut args: args::RunArgs, file: &settings::File) -> Result<u8, SettingsError> {
    let (json, host) = (args.json, args.host.clone().unwrap_or_default());
    let refused = |error: &SettingsError| {
        if json {
            commands::refused(&host, error);
        }
    };
    let place = args.place().map_err(SettingsError::from);
    match place.inspect_err(refused)? {
        args::Where::One(host) => {
            let settings = RunSettings::resolve(&host, args, file).inspect_err(refused)?;
            Ok(commands::run(&settings))
        }
        args::Where::Set {
            mut sets,
            mut without,
        } => {
            let mut inventory = settings::inventory(true).inspect_err(refused)?;
            let nats = &args.way.network.nats;
            settings::with_cluster([&mut sets, &mut without], &mut inventory, nats, file)
                .inspect_err(refused)?;
            let hosts = settings::select(&sets, &without, &inventory).inspect_err(refused)?;
            let settings = FleetSettings::resolve(hosts, inventory, args, file);
            commands::fleet(settings.inspect_err(refused)?).inspect_err(refused)
        }
    }
}
