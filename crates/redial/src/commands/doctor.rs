//! `redial doctor`: what works between here and a host, and what does not, step by step.

mod finding;
mod line;
mod network;
mod trial;
mod words;

use redial_client::{Client, ConnectOptions, Target};

use super::log;
use crate::args::{DoctorArgs, LogFormat};
use crate::exit_code::FAILED;
use crate::report;
use crate::settings::{File, target_settings};
use finding::{Finding, Sheet};

/// Looks at every step; the result is our exit code.
pub(crate) fn doctor(args: &DoctorArgs, file: &File) -> u8 {
    if std::env::var_os(log::VARIABLE).is_some() {
        log::start(LogFormat::Human, "warn");
    }
    let mut sheet = Sheet::new(args.json);
    match target_settings(&args.host, args.connect_timeout, &args.network, file) {
        Err(error) => sheet.say(&Finding::wrong("settings", error)),
        Ok((target, options)) => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            match runtime {
                Ok(runtime) => runtime.block_on(examine(&target, &options, &mut sheet)),
                Err(error) => {
                    report::error(format_args!("no runtime: {error}"));
                    return FAILED;
                }
            }
        }
    }
    sheet.code()
}

async fn examine(target: &Target, options: &ConnectOptions, sheet: &mut Sheet) {
    let client = match target {
        Target::Network(host) => network::connect(target, host, options, sheet).await,
        _ => line::connect(target, options, sheet).await,
    };
    if let Some(client) = client {
        if matches!(target, Target::Unix(_) | Target::Local) {
            sheet.say(&trial::front());
        }
        try_out(&client, sheet).await;
        client.close().await;
    }
}

async fn try_out(client: &Client, sheet: &mut Sheet) {
    sheet.say(&trial::protocol(client));
    let (clock, freedom) = trial::clock(client).await;
    let lost = clock.is_wrong();
    sheet.say(&clock);
    if lost {
        return;
    }
    for step in trial::Measure::ALL {
        let found = trial::measure(client, step, freedom).await;
        let lost = found.is_wrong();
        sheet.say(&found);
        if lost {
            return;
        }
    }
}
