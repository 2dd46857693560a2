//! From a host's name to a connection that is logged in.

use std::process::ExitStatus;

use redial_net::auth::PublicKey;
use redial_net::proto::Config;
use redial_net::proto::message::ServerHello;
use redial_net::{Program, Transport};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinError;
use tokio::time::Instant;

use super::asking::{ask_passphrases, confirm};
use super::cluster::{Called, NatsError};
use super::dial::{Link, dial};
use super::entering::{Entering, Said};
use super::error::{HostKeyError, LoginError};
use super::host_keys::{Known, Reason, Verdict};
use super::identity::Identities;
use super::interaction::HostQuestion;
use super::login::{Bound, Broken, Ended, Login};
use super::options::NetworkOptions;
use super::patience::Patience;
use super::progress::Progress;
use super::route::Route;
use super::secure::{Secure, record, secure};
use crate::connect::{
    Begun, KEEPALIVE_MS, Line, begin, ended_with, mind, no_hello, too_late, wait_for, why,
};
use crate::error::{ConnectError, Lost};
use crate::options::ConnectOptions;
use crate::target::{HostTarget, Target};

/// What is known before a host is dialled.
pub(crate) struct Prepared {
    pub(crate) route: Route,
    pub(crate) known: Known,
}

/// Reads all files that say where a host is and who it is.
pub(crate) async fn prepare(
    target: &Target,
    host: &HostTarget,
    options: &NetworkOptions,
) -> Result<Prepared, ConnectError> {
    let (named, host, asking) = (target.clone(), host.clone(), options.clone());
    let ask = move |from| {
        let route = Route::find_in(&host, &asking, from).map_err(|source| ConnectError::Route {
            target: named.clone(),
            source: Box::new(source),
        })?;
        match Known::read(&route, &asking, from) {
            Ok(known) => Ok(Prepared { route, known }),
            Err(error) => Err(host_key(&named, error)),
        }
    };
    let died = |error: JoinError| host_key(target, HostKeyError::File(error.to_string()));
    let kept = options.kept();
    kept.or_read(ask, died).await
}

/// Whether something will be asked for at once, and may go with the login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Haste {
    No,
    Yes,
}

/// Connects and logs in. Dials again after somebody was asked. With haste, the last proof may wait for
/// what is asked for on the line, and its answer is still to come.
pub(crate) async fn open(
    target: &Target,
    host: &HostTarget,
    options: &ConnectOptions,
    haste: Haste,
) -> Result<(Line, Option<Entering>), ConnectError> {
    let Prepared { route, mut known } = prepare(target, host, &options.network).await?;
    let identities = Identities::of(&route, &options.network).await;
    if identities.keys.is_empty() {
        let (user, skipped) = (route.user, identities.skipped);
        return Err(login_failed(target, LoginError::NoKeys { user, skipped }));
    }
    let mut progress = Progress::of(&identities, &options.network);
    loop {
        let attempt = Attempt {
            target,
            route: &route,
            known: &known,
            options,
            identities: &identities,
            recording: Recording::Yes,
            haste,
        };
        match attempt.run(&mut progress).await? {
            Came::In(line, said) => {
                let entering = said.map(|said| Entering {
                    target: target.clone(),
                    user: route.user,
                    identities,
                    progress,
                    said,
                });
                return Ok((*line, entering));
            }
            // Somebody has said yes to another key, moments ago.
            Came::Unknown(question) if known.is_confirmed() => {
                return Err(host_key(target, HostKeyError::from(&question)));
            }
            Came::Unknown(question) => {
                confirm(target, &question, &options.network).await?;
                known.confirm(question.key);
            }
            Came::Locked(keys) => {
                ask_passphrases(&keys, &identities, &mut progress, &options.network).await;
                if progress.unlocked.is_none() {
                    let denied = progress.denied(&route.user, &identities);
                    return Err(login_failed(target, denied));
                }
            }
            Came::Denied => {
                return Err(login_failed(
                    target,
                    progress.denied(&route.user, &identities),
                ));
            }
        }
    }
}

/// How far one connection came.
pub(crate) enum Came {
    /// With haste, the answer may be to come.
    In(Box<Line>, Option<Said>),
    /// Somebody has to say whether it is the host.
    Unknown(HostQuestion),
    /// Somebody has to unlock one of these keys.
    Locked(Vec<usize>),
    Denied,
}

/// One connection.
pub(crate) struct Attempt<'a> {
    pub(crate) target: &'a Target,
    pub(crate) route: &'a Route,
    pub(crate) known: &'a Known,
    pub(crate) options: &'a ConnectOptions,
    pub(crate) identities: &'a Identities,
    pub(crate) recording: Recording,
    pub(crate) haste: Haste,
}

/// Whether a host's key is written down when it is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recording {
    Yes,
    No,
}

impl Attempt<'_> {
    pub(crate) async fn run(&self, progress: &mut Progress) -> Result<Came, ConnectError> {
        let mut patience = Patience::new(self.options.connect_timeout);
        let network = &self.options.network;
        let mut link = dial(self.target, self.route, network, &mut patience).await?;
        let called = link.called.take();
        let came = self
            .come_in(link, called.as_ref(), progress, patience)
            .await;
        // Whatever came of it, that says more: and where somebody is in, they are put out again.
        is_alone(self.target, called.as_ref())?;
        came
    }

    async fn come_in(
        &self,
        link: Link,
        called: Option<&Called>,
        progress: &mut Progress,
        mut patience: Patience,
    ) -> Result<Came, ConnectError> {
        let secure = secure(self.target, link, self.known, &mut patience).await?;
        // Nothing is proven to either of two.
        is_alone(self.target, called)?;
        let secure = match secure {
            Ok(secure) => secure,
            Err(question) => return Ok(Came::Unknown(*question)),
        };
        if let Verdict::Record(Reason::Accepted | Reason::Confirmed) = secure.verdict {
            stays_alone(self.target, called).await?;
        }
        if let (Verdict::Record(reason), Recording::Yes) = (&secure.verdict, self.recording) {
            let recorded = record(self.known, &secure.key, reason).await;
            recorded.map_err(|error| host_key(self.target, error))?;
            let confirmed = &self.options.network.kept().confirmed;
            confirmed.put(self.known.name().clone(), secure.key.clone());
        }
        // Of two hosts that answer to one name, neither is to get a command.
        let hasty = self.haste == Haste::Yes && called.is_none();
        self.log_in(secure, progress, patience, hasty).await
    }

    async fn log_in(
        &self,
        secure: Secure,
        progress: &mut Progress,
        mut patience: Patience,
        hasty: bool,
    ) -> Result<Came, ConnectError> {
        let config = config_over(secure.stream.transport());
        let binding = Binding {
            exporter: *secure.stream.exporter().as_bytes(),
            host_key: secure.key,
            until: Instant::now() + config.handshake_timeout,
        };
        let Begun {
            lease,
            hello,
            mut answers,
            over,
            left,
        } = begin(secure.stream, config, self.options.window_bytes);
        let (status, mut over) = minded(secure.program, over);
        let hello = match patience.spend(hello).await {
            Ok(hello) => hello,
            Err(_) => return Err(too_late(self.target, self.options)),
        };
        let Ok(hello) = hello else {
            wait_for(&mut over).await;
            let status = ended_with(status).await;
            return Err(no_hello(self.target, why(left).await, status, None));
        };
        let bound = self.bound(&hello, binding)?;
        let login = Login {
            lease: &lease,
            answers: &mut answers,
            bound: &bound,
            identities: self.identities,
            network: &self.options.network,
            progress,
            patience: &mut patience,
            tries: 0,
            hasty,
        };
        let came = match login.run().await {
            Ok(Ended::In(unanswered)) => {
                let line = Line {
                    lease,
                    hello,
                    over,
                    left,
                };
                let said = unanswered.map(|key| Said {
                    key,
                    answers,
                    patience,
                });
                return Ok(Came::In(Box::new(line), said));
            }
            Ok(Ended::Locked(keys)) => Ok(Came::Locked(keys)),
            Ok(Ended::Denied) => Ok(Came::Denied),
            Err(Broken::HungUp) => self.hung_up(why(left).await, progress),
            Err(Broken::OutOfTime) => Err(too_late(self.target, self.options)),
            Err(Broken::Rules(rule)) => Err(login_failed(self.target, LoginError::Rules(rule))),
        };
        // Nothing of this connection is left when the next begins.
        drop(lease);
        wait_for(&mut over).await;
        came
    }

    /// What a proof is bound to, if the server asks for one at all.
    fn bound(&self, hello: &ServerHello, binding: Binding) -> Result<Bound, ConnectError> {
        if !hello.auth {
            return Err(login_failed(self.target, LoginError::NoAuthentication));
        }
        let nonce = hello.nonce.map(Into::into);
        let nonce = nonce.ok_or_else(|| login_failed(self.target, LoginError::NoNonce))?;
        Ok(Bound {
            user: self.route.user.clone(),
            host_key: binding.host_key,
            nonce,
            exporter: binding.exporter,
            until: binding.until,
        })
    }

    fn hung_up(&self, reason: Lost, progress: &mut Progress) -> Result<Came, ConnectError> {
        // It has had enough of our keys: which they were says more.
        if !reason.without_a_word && progress.has_failed() {
            progress.close(&reason.to_string());
            return Ok(Came::Denied);
        }
        Err(ConnectError::Handshake {
            target: self.target.clone(),
            reason,
        })
    }
}

/// Looks after the program that carries a line, if one does: how that ends, and when both are over.
fn minded(
    program: Option<Program>,
    over: watch::Receiver<bool>,
) -> (Option<oneshot::Receiver<ExitStatus>>, watch::Receiver<bool>) {
    match program {
        Some(program) => {
            let (status, gone) = mind(program, over);
            (Some(status), gone)
        }
        None => (None, over),
    }
}

fn config_over(transport: &Transport) -> Config {
    let mut config = Config::client();
    config.auth = true;
    // Through programs and brokers, what was said last may still be on this machine.
    config.waits_for_goodbye = transport.peer_addr().is_none();
    config.limits.keepalive_ms = KEEPALIVE_MS;
    config
}

/// What is known of a connection before its server has spoken.
struct Binding {
    host_key: PublicKey,
    exporter: [u8; 32],
    until: Instant,
}

/// No second host has answered to the name that was called.
fn is_alone(target: &Target, called: Option<&Called>) -> Result<(), ConnectError> {
    called.map_or(Ok(()), |called| judged(target, called.is_alone()))
}

/// The same, also when a second one has had its time: before a key is trusted that nobody has known.
pub(crate) async fn stays_alone(
    target: &Target,
    called: Option<&Called>,
) -> Result<(), ConnectError> {
    match called {
        Some(called) => judged(target, called.stays_alone().await),
        None => Ok(()),
    }
}

fn judged(target: &Target, alone: Result<(), NatsError>) -> Result<(), ConnectError> {
    alone.map_err(|source| ConnectError::Nats {
        target: target.clone(),
        source: Box::new(source),
    })
}

pub(crate) fn host_key(target: &Target, error: impl Into<HostKeyError>) -> ConnectError {
    ConnectError::HostKey {
        target: target.clone(),
        source: Box::new(error.into()),
    }
}

pub(super) fn login_failed(target: &Target, source: LoginError) -> ConnectError {
    ConnectError::Login {
        target: target.clone(),
        source: Box::new(source),
    }
}
