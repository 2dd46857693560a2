//! The line under TLS: TCP, or a program's stdio.

use std::ffi::OsStr;

use redial_net::nats::Name;
use redial_net::{Bind, Over, Program, TcpOptions, TcpTarget, Transport};

use super::cluster::Called;
use super::options::NetworkOptions;
use super::patience::{OutOfTime, Patience};
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
    /// By way of a NATS cluster.
    pub(crate) called: Option<Called>,
}

/// Makes the line.
///
/// # Errors
///
/// [`ConnectError::Tcp`], [`ConnectError::Nats`] or [`ConnectError::Program`].
pub(crate) async fn dial(
    target: &Target,
    route: &Route,
    options: &NetworkOptions,
    patience: &mut Patience,
) -> Result<Link, ConnectError> {
    let command = match &route.via {
        Via::Tcp => return tcp(target, route, options, patience).await,
        Via::Nats(name) => return nats(target, name, options, patience).await,
        Via::Command(text) => shell(OsStr::new(&format!("exec {text}"))),
        Via::Jump(arguments) => {
            let mut command = std::process::Command::new("/bin/sh");
            command.args(["-c", WITHOUT_SIGNALS, "sh", "ssh"]);
            command.args(arguments);
            command
        }
    };
    let (transport, program) = start(target, command, Over::Pipes)?;
    Ok(Link {
        transport,
        program,
        called: None,
    })
}

async fn nats(
    target: &Target,
    name: &Name,
    options: &NetworkOptions,
    patience: &mut Patience,
) -> Result<Link, ConnectError> {
    let timeout = patience.left();
    // In a box: it is as large as all the rest, and each dial's future would have the room for it.
    let called = patience.spend(Box::pin(options.cluster().call(name))).await;
    let called = called.map_err(|OutOfTime| ConnectError::Timeout {
        target: target.clone(),
        timeout,
    })?;
    let (transport, called) = called.map_err(|source| ConnectError::Nats {
        target: target.clone(),
        source: Box::new(source),
    })?;
    Ok(Link {
        transport,
        program: None,
        called: Some(called),
    })
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
        called: None,
    })
}
