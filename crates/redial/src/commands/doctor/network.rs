//! The way to a server on the network: where it is, who it is, and who we are to it.

mod keys;

use std::time::Instant;

use redial_client::network::auth::PublicKey;
use redial_client::network::probe::{Keys, Probe};
use redial_client::network::{Reason, Route, Source, Verdict, Via};
use redial_client::{Client, ConnectOptions, HostTarget, NewHost, Target};

use super::finding::{Finding, Sheet};
use super::words;

/// A directory that can neither be nor be made, so that nothing is written down in it.
const NOWHERE: &str = "/dev/null/redial";

/// Goes all the way, and says how far it came; nothing if a step is wrong.
pub(super) async fn connect(
    target: &Target,
    host: &HostTarget,
    options: &ConnectOptions,
    sheet: &mut Sheet,
) -> Option<Client> {
    let probe = match Probe::new(host, options).await {
        Ok(probe) => probe,
        Err(error) => {
            sheet.say(&words::failed("settings", target, &error));
            return None;
        }
    };
    sheet.say(&Finding::ok("settings", way(probe.route())));
    let patient = Patient {
        target,
        probe: &probe,
        options,
    };
    let key = patient.reach(sheet).await;
    let keys = probe.identities().await;
    let taken = keys::log_in(&patient, &keys, key.is_some(), sheet).await?;
    patient.stay(&key?, &taken, sheet).await
}

/// Who is looked at.
struct Patient<'a> {
    target: &'a Target,
    probe: &'a Probe,
    options: &'a ConnectOptions,
}

impl Patient<'_> {
    /// To the server's key, if it is one to be trusted.
    async fn reach(&self, sheet: &mut Sheet) -> Option<PublicKey> {
        if !self.resolve(sheet).await {
            return None;
        }
        let began = Instant::now();
        let link = match self.probe.dial().await {
            Ok(link) => link,
            Err(error) => {
                let found = words::failed("connect", self.target, &error);
                sheet.say(&found.took(began.elapsed()));
                return None;
            }
        };
        let found = match link.peer() {
            Some(peer) => Finding::ok("connect", peer).took(began.elapsed()),
            None => {
                let done = match self.probe.route().via {
                    Via::Nats(_) => "the host has answered through NATS",
                    _ => "the program is started",
                };
                Finding::ok("connect", done).took(began.elapsed())
            }
        };
        sheet.say(&found);
        let began = Instant::now();
        let shown = match self.probe.look(link).await {
            Ok(shown) => shown,
            Err(error) => {
                let found = words::failed("tls", self.target, &error);
                sheet.say(&found.took(began.elapsed()));
                return None;
            }
        };
        sheet.say(&Finding::ok("tls", shown.ciphers).took(shown.took));
        let found = self.judge(&shown.key);
        let trusted = !found.is_wrong();
        sheet.say(&found);
        trusted.then_some(shown.key)
    }

    /// Whether to go on.
    async fn resolve(&self, sheet: &mut Sheet) -> bool {
        let route = self.probe.route();
        if route.via != Via::Tcp {
            let who = match route.via {
                Via::Nats(_) => "left to the NATS cluster",
                _ => "left to the proxy",
            };
            sheet.say(&Finding::untried("resolve", who));
            return true;
        }
        let began = Instant::now();
        let found = match self.probe.resolve().await {
            Ok(addresses) => {
                let each: Vec<_> = addresses.iter().map(|it| it.ip().to_string()).collect();
                Finding::ok("resolve", each.join(", "))
            }
            Err(error) => {
                let text = format!("cannot find the address of {}: {error}", route.address);
                Finding::wrong("resolve", text)
                    .advice("is the name right? ~/.ssh/config may say its HostName")
            }
        };
        let found = found.took(began.elapsed());
        sheet.say(&found);
        !found.is_wrong()
    }

    fn judge(&self, key: &PublicKey) -> Finding {
        const STEP: &str = "host key";
        let (shown, host) = (key.fingerprint(), words::host_of(self.target));
        let why = match self.probe.verdict(key) {
            Verdict::Known(file, line) => format!("known: {}, line {line}", file.display()),
            Verdict::Record(Reason::Ssh(file, line)) => {
                format!("ssh knows it: {}, line {line}", file.display())
            }
            Verdict::Record(Reason::Pinned) => "the one asked for".to_owned(),
            Verdict::Record(Reason::Accepted | Reason::Confirmed) => {
                "new, and any new host is accepted".to_owned()
            }
            Verdict::Ask(question) => return words::question(STEP, &host, &question),
            Verdict::Stop(error) => return words::host_key(STEP, &host, &error),
        };
        Finding::ok(STEP, format_args!("{shown}, {why}"))
    }

    /// A connection for what comes next, to the server that has the key looked at, and to no
    /// other. That key was decided about with all files; here it is named, so that none of
    /// them is needed, nor written.
    async fn stay(&self, key: &PublicKey, taken: &Source, sheet: &mut Sheet) -> Option<Client> {
        let mut options = self.options.clone();
        let mut network = options.network.clone().config_dir(NOWHERE);
        network.new_host = NewHost::Pinned(key.fingerprint());
        if let Source::File(path) = taken {
            network.identities = vec![path.clone()];
        }
        options.network = network;
        match Client::connect(self.target, options).await {
            Ok(client) => Some(client),
            Err(error) => {
                sheet.say(&words::failed("protocol", self.target, &error));
                None
            }
        }
    }
}

fn way(route: &Route) -> String {
    let via = match &route.via {
        Via::Tcp => "TCP".to_owned(),
        Via::Nats(_) => "NATS".to_owned(),
        Via::Command(text) => format!("the program: {text}"),
        Via::Jump(arguments) => format!("ssh {}", arguments.join(" ")),
    };
    format!("{} as {}, over {via}", route.place(), route.user)
}
