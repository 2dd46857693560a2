//! `serve --nats`: the program that brings lines by way of NATS, and how the keeper starts it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use anyhow::Context;
use redial_client::network::BrokerOptions;
use redial_client::network::auth::PublicKey;
use redial_keeper::HostKey;
use redial_keeper::keeper::{DoorConfig, FrontProgram};
use redial_server::Serving;

use crate::settings::{AgentSettings, NatsListen};

/// The door, and the program in front of it: `base` are the arguments and variables of our processes.
pub(super) fn door(nats: &NatsListen, key: &HostKey, mut base: FrontProgram) -> DoorConfig {
    let mut args: Vec<OsString> = vec!["--nats-agent".into(), nats.door.clone().into()];
    args.extend(["--nats-key".into(), key.public_key().to_text().into()]);
    args.extend(["--name".into(), nats.name.as_str().into()]);
    for (key, value) in &nats.tags {
        args.extend(["--tag".into(), format!("{key}={value}").into()]);
    }
    let BrokerOptions {
        urls,
        credentials,
        nkey,
        ca,
    } = &nats.broker;
    for url in urls {
        args.extend(["--nats".into(), url.into()]);
    }
    let files = [
        ("--nats-creds", credentials),
        ("--nats-nkey", nkey),
        ("--nats-ca", ca),
    ];
    for (flag, file) in files {
        if let Some(file) = file {
            args.extend([flag.into(), file.clone().into()]);
        }
    }
    base.args.retain(|arg| arg.as_bytes() != b"--front");
    base.args.extend(args);
    DoorConfig {
        path: nats.door.clone(),
        agent: base,
    }
}

/// The program itself.
pub(super) fn agent(settings: AgentSettings) -> anyhow::Result<()> {
    let keeper = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3);
    let keeper =
        keeper.context("the agent is started by the keeper only, with a pipe as its stdin")?;
    let key = PublicKey::from_text(&settings.key).map_err(|error| anyhow::anyhow!("{error}"))?;
    let door: PathBuf = settings.nats.door;
    let serving = Serving {
        name: settings.nats.name,
        key: key.blob().to_vec().into(),
        door,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        tags: settings.nats.tags,
    };
    let broker = &settings.nats.broker;
    let files = [&broker.credentials, &broker.nkey, &broker.ca];
    let files: Vec<PathBuf> = files.into_iter().flatten().cloned().collect();
    let reached = redial_server::confine_agent(&files);
    tracing::info!("the agent is kept {reached}, but for dialling and what it reads");
    redial_server::agent(broker, serving, keeper)?;
    Ok(())
}
