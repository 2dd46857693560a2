//! The line under TLS: TCP, or a program's stdio.

use std::ffi::OsStr;

use redial_net::{Bind, Over, Program, TcpOptions, TcpTarget, Transport};

use super::options::NetworkOptions;
use super::patience::Patience;
use super::route::{Route, Via};
use crate::connect::{shell, start};
use crate::error::ConnectError;
use crate::target::Target;

/// Runs a program without a shell between, but without the terminal's signals.
const WITHOUT_SIGNALS: &str = "trap '' HUP INT QUIT; exec \"$@\"";

/// A line to a host, and the program that carries it if one does.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) transport: Transport,
    pub(crate) program: Option<Program>,
}

/// Makes the line.
///
/// # Errors
///
/// [`ConnectError::Tcp`] or [`ConnectError::Program`].
pub(crate) async fn dial(
    target: &Target,
    route: &Route,
    options: &NetworkOptions,
    patience: &mut Patience,
) -> Result<Link, ConnectError> {
    let command = match &route.via {
        Via::Tcp => return tcp(target, route, options, patience).await,
        Via::Command(text) => shell(OsStr::new(&format!("exec {text}"))),
        Via::Jump(arguments) => {
            let mut command = std::process::Command::new("/bin/sh");
            command.args(["-c", WITHOUT_SIGNALS, "sh", "ssh"]);
            command.args(arguments);
            command
        }
    };
    let (transport, program) = start(target, command, Over::Pipes)?;
    Ok(Link { transport, program })
}

async fn tcp(
    target: &Target,
    route: &Route,
    options: &NetworkOptions,
    patience: &mut Patience,
) -> Result<Link, ConnectError> {
    let to = TcpTarget {
        host: &route.address,
        port: route.port,
    };
    let how = TcpOptions {
        bind: options.bind.map_or(Bind::Any, Bind::Address),
        deadline: patience.deadline(),
    };
    // It ends at its own deadline, which is no later.
    let dialled = patience.measure(Transport::tcp(to, how)).await;
    let transport = dialled.map_err(|source| ConnectError::Tcp {
        target: target.clone(),
        source,
    })?;
    Ok(Link {
        transport,
        program: None,
    })
}
