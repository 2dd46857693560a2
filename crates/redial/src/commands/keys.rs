//! `redial keys`: own keys, and hosts that are trusted.

mod machine;
mod new;
mod nkey;

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use redial_client::network::auth::known_hosts::HostName;
use redial_client::network::probe::{Keys, Probe};
use redial_client::network::{Reason, Verdict, forget, known_hosts_path, known_name, list, trust};
use redial_client::{ConnectOptions, HostTarget};

use crate::args::{KeysCommand, NetworkArgs, TrustArgs};
use crate::asking::Terminal;
use crate::exit_code::FAILED;
use crate::report::{self, Harmless};
use crate::settings::{File, SettingsError, host_settings};

/// Whose settings are used where no host is named.
const NO_HOST: &str = "localhost";

/// Does what is asked for; the result is our exit code.
pub(crate) fn keys(what: Option<KeysCommand>, file: &File) -> Result<u8, SettingsError> {
    let none = NetworkArgs::default();
    let done = match what.unwrap_or(KeysCommand::Show { host: None }) {
        KeysCommand::New(args) => new::new(&args),
        KeysCommand::Show { host: None } => {
            let (host, options) = host_settings(NO_HOST, None, &none, file)?;
            let machine = machine::key(file);
            block_on(async { show(&host, &options, None, &machine).await })
        }
        KeysCommand::Show { host: Some(name) } => {
            let (host, options) = host_settings(&name, None, &none, file)?;
            block_on(async { show(&host, &options, Some(&name), "").await })
        }
        KeysCommand::Trust(args) => {
            let TrustArgs {
                host,
                connect_timeout,
                network,
            } = args;
            let (host, options) = host_settings(&host, connect_timeout, &network, file)?;
            block_on(async { learn(&host, &options).await })
        }
        KeysCommand::Nkey { file } => nkey::nkey(&file),
        KeysCommand::Forget { host } => {
            let (host, options) = host_settings(&host, None, &none, file)?;
            unlearn(&host, &options)
        }
    };
    Ok(match done {
        Ok(()) => 0,
        Err(error) => {
            report::error(format_args!("{error:#}"));
            FAILED
        }
    })
}

fn block_on(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.context("no runtime")?.block_on(work)
}

/// To stdout; a reader that has gone is no failure.
fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("stdout")
        }
        _ => Ok(()),
    }
}

async fn show(
    host: &HostTarget,
    options: &ConnectOptions,
    only: Option<&str>,
    machine: &str,
) -> anyhow::Result<()> {
    let mut text = String::new();
    match Probe::new(host, options).await {
        Ok(probe) => text += &own(&probe.identities().await, only),
        // Hosts that are trusted can be shown all the same.
        Err(error) => report::note(error),
    }
    let path = known_hosts_path(&options.network)?;
    let name = only
        .map(|_| known_name(host, &options.network))
        .transpose()?;
    let shown = Harmless(path.display()).to_string();
    text += &match &name {
        Some(name) => format!("Known of {name} ({shown}):\n"),
        None => format!("Trusted hosts ({shown}):\n"),
    };
    let mut any = false;
    for entry in list(&path)? {
        let wanted = name.as_ref().is_none_or(|name| {
            let mut names = entry.names.split(',');
            names.any(|known| known == name.as_str())
        });
        if wanted {
            any = true;
            let key = match &entry.key {
                Some(key) => format!("{} {}", key.fingerprint(), key.algorithm()),
                None => "a key of a kind that is not taken".to_owned(),
            };
            let marker = entry.marker.map(|it| it + " ").unwrap_or_default();
            text += &format!("  {}{}  {key}\n", Harmless(marker), Harmless(entry.names));
        }
    }
    if !any {
        text += "  none\n";
    }
    text += machine;
    print(&text)
}

fn own(keys: &Keys, only: Option<&str>) -> String {
    let mut text = match only {
        Some(host) => format!("Own keys, as they are tried at {}:\n", Harmless(host)),
        None => "Own keys, as they are tried:\n".to_owned(),
    };
    for identity in &keys.tried {
        let key = &identity.key;
        let source = Harmless(identity.source.to_string()).to_string();
        text += &format!("  {} {}  {source}\n", key.fingerprint(), key.algorithm());
    }
    if keys.tried.is_empty() {
        text += "  none; `redial keys new` makes one\n";
    }
    for skipped in &keys.skipped {
        let path = Harmless(skipped.path.display()).to_string();
        text += &format!("  not used: {path}: {}\n", Harmless(&skipped.why));
    }
    text
}

/// Dials, and remembers the key of who answers, if somebody says that it is the right one.
async fn learn(host: &HostTarget, options: &ConnectOptions) -> anyhow::Result<()> {
    let probe = Probe::new(host, options).await?;
    let link = probe.dial().await?;
    let shown = probe.look(link).await?;
    let name = known_name(host, &options.network)?;
    let path = known_hosts_path(&options.network)?;
    let how = match probe.verdict(&shown.key) {
        Verdict::Known(file, line) => {
            let file = Harmless(file.display()).to_string();
            return print(&format!(
                "{name} is known already: {} ({file}, line {line})\n",
                shown.key.fingerprint()
            ));
        }
        Verdict::Record(Reason::Ssh(file, line)) => {
            format!("ssh knows it: {}, line {line}", file.display())
        }
        Verdict::Record(Reason::Pinned) => "it is the one asked for".to_owned(),
        Verdict::Record(_) => "as any new host".to_owned(),
        Verdict::Ask(question) => {
            let asked = tokio::task::spawn_blocking(move || {
                use redial_client::Interaction;
                Terminal.confirm_host(&question)
            });
            if !asked.await.unwrap_or(false) {
                anyhow::bail!(
                    "{name} is not trusted: nobody has said that {} is its key; say so with \
                     --host-key {0}",
                    shown.key.fingerprint()
                );
            }
            "as you said".to_owned()
        }
        Verdict::Stop(error) => return Err(error.into()),
    };
    trust(&path, &name, &shown.key)?;
    let key = shown.key.fingerprint();
    print(&format!("{name} is trusted: {key} ({})\n", Harmless(how)))
}

fn unlearn(host: &HostTarget, options: &ConnectOptions) -> anyhow::Result<()> {
    let name = known_name(host, &options.network)?;
    let path = known_hosts_path(&options.network)?;
    match forget(&path, &name)? {
        0 => Err(nothing_to_forget(host, &name, &path)),
        1 => print(&format!("{name} is forgotten: one key\n")),
        lines => print(&format!("{name} is forgotten: {lines} keys\n")),
    }
}

/// At port 22 a host's name in the file is bare, and would be typed with its port.
fn nothing_to_forget(host: &HostTarget, name: &HostName, path: &Path) -> anyhow::Error {
    let bare = |names: &str| names.split(',').any(|known| known == host.host);
    let elsewhere = host.port.is_none()
        && list(path).is_ok_and(|all| all.iter().any(|it| it.marker.is_none() && bare(&it.names)));
    let hint = match elsewhere {
        true => format!("; {0} at port 22 is, that is {0}:22", host.host),
        false => String::new(),
    };
    anyhow::anyhow!("{name} is not known in {}{hint}", path.display())
}
