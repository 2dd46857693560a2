//! `redial classic put` and `receive`: a file with its length before it.

use std::os::fd::AsFd;

use anyhow::Context;
use redial_classic::address::{Address, Reach};
use redial_classic::listen::Listener;
use redial_classic::remote::{self, Answer, Overwrite, Parcel, ReceiveSettings, RemoteError};

use super::serve::BACKLOG;
use crate::args::{ClassicPutArgs, ClassicReceiveArgs};
use crate::commands::echo::ending::ending;
use crate::report::{self, Harmless};
use crate::stdio::print_line;

/// Sends a file.
pub(super) fn put(args: &ClassicPutArgs) -> anyhow::Result<()> {
    let parcel = Parcel::open(&args.file, args.header)?;
    let stream = super::connect(&args.address)?;
    let (answer, known) = match args.no_answer {
        true => (Answer::None, "nobody knows whether they are stored"),
        false => (Answer::Wanted, "and they are stored"),
    };
    let put = parcel.send(stream, answer, args.deadline, None);
    let length = put.map_err(|error| match error {
        error @ RemoteError::NoAnswer => anyhow::Error::new(error)
            .context("nobody knows whether the file is stored (--no-answer: never mind)"),
        error => error.into(),
    })?;
    print_line(format_args!("{length} bytes sent, {known}"))?;
    Ok(())
}

/// Takes one file.
pub(super) fn receive(args: &ClassicReceiveArgs) -> anyhow::Result<()> {
    let address = Address::parse(&args.listen)?;
    let ending = ending().context("cannot hear signals")?;
    let settings = ReceiveSettings {
        header: args.header,
        max_size: args.max_size,
        overwrite: match args.force {
            true => Overwrite::Replace,
            false => Overwrite::Refuse,
        },
        patience: args.deadline,
    };
    remote::check_target(&args.file, settings.overwrite)?;
    let listener = Listener::bind(&address, BACKLOG, Reach::ThisMachine)?;
    print_line(format_args!("listening on {}", listener.address()))?;
    let mut failed = |from: &_, error: &RemoteError| {
        report::note(format_args!("a file from {from} was not taken: {error}"));
    };
    let stop = ending.as_fd();
    let length =
        remote::receive(&listener, &args.file, &settings, stop, &mut failed).map_err(|error| {
            match error {
                error @ RemoteError::Stopped => {
                    anyhow::Error::new(error).context("no file has come")
                }
                error => error.into(),
            }
        })?;
    let file = args.file.display();
    print_line(Harmless(format_args!("{length} bytes received: {file}")))?;
    Ok(())
}
