//! TLS with a server, and the decision whether it is the right one.

use std::process::ExitStatus;
use std::sync::{Arc, Mutex};

use redial_net::auth::PublicKey;
use redial_net::tls::{Decision, TlsClient, TlsError, TlsStream};
use redial_net::{Program, Transport};

use super::connect::host_key;
use super::dial::Link;
use super::error::HostKeyError;
use super::host_keys::{Known, Reason, Verdict};
use super::interaction::HostQuestion;
use super::known_file::{self, KnownFileError};
use super::patience::Patience;
use crate::connect::END_GRACE;
use crate::error::ConnectError;
use crate::lock::lock;
use crate::target::Target;

/// TLS with a server whose key is accepted.
pub(crate) struct Secure {
    pub(crate) stream: TlsStream<Transport>,
    pub(crate) program: Option<Program>,
    pub(crate) key: PublicKey,
    pub(crate) verdict: Verdict,
}

/// Makes TLS, and decides about the server's key; or has a question first.
pub(crate) async fn secure(
    target: &Target,
    link: Link,
    known: &Known,
    patience: &mut Patience,
) -> Result<Result<Secure, Box<HostQuestion>>, ConnectError> {
    let Link {
        transport,
        mut program,
        called: _,
    } = link;
    let decided = Arc::new(Mutex::new(None));
    let (known, place) = (known.clone(), Arc::clone(&decided));
    let client = TlsClient::new(move |shown| {
        let key = PublicKey::from_blob(shown.ssh_blob());
        let verdict = match &key {
            Ok(key) => known.decide(key),
            Err(error) => Verdict::Stop(HostKeyError::Key(error.to_string())),
        };
        let decision = match &verdict {
            Verdict::Known(..) | Verdict::Record(_) => Decision::Accept,
            Verdict::Ask(_) => Decision::Refuse("somebody has to be asked first".into()),
            Verdict::Stop(error) => Decision::Refuse(Box::new(error.clone())),
        };
        *lock(&place) = Some((key.ok(), verdict));
        decision
    })
    .finishes_with_first_write();
    let connected = client.connect(transport, patience.deadline());
    let connected = patience.measure(connected).await;
    let decided = lock(&decided).take();
    match (connected, decided) {
        (Ok(stream), Some((Some(key), verdict @ (Verdict::Known(..) | Verdict::Record(_)))))
            if stream.host_key().ssh_blob() == key.blob() =>
        {
            Ok(Ok(Secure {
                stream,
                program,
                key,
                verdict,
            }))
        }
        (Ok(_), _) => {
            let text = "TLS was made with another key than was decided about";
            Err(host_key(target, HostKeyError::Key(text.to_owned())))
        }
        (Err(TlsError::Refused { .. }), Some((_, Verdict::Ask(question)))) => {
            Ok(Err(Box::new(question)))
        }
        (Err(TlsError::Refused { .. }), Some((_, Verdict::Stop(error)))) => {
            Err(host_key(target, error))
        }
        (Err(source), _) => Err(ConnectError::Tls {
            target: target.clone(),
            status: ended(program.as_mut(), &source).await,
            source,
        }),
    }
}

/// How the program that carries the line ended, if the line did.
async fn ended(program: Option<&mut Program>, error: &TlsError) -> Option<ExitStatus> {
    match (program, error) {
        (Some(program), TlsError::Line { .. }) => program.wait_or_terminate(END_GRACE).await?.ok(),
        _ => None,
    }
}

/// Writes down that a key is the host's. Where something else says so every time, a file
/// that cannot be written is no reason to stop.
pub(crate) async fn record(
    known: &Known,
    key: &PublicKey,
    reason: &Reason,
) -> Result<(), KnownFileError> {
    let (path, name, key) = (known.path().clone(), known.name().clone(), key.clone());
    let written = tokio::task::spawn_blocking(move || known_file::trust(&path, &name, &key));
    let written = written.await.unwrap_or_else(|error| {
        Err(KnownFileError::Unwritable {
            path: known.path().clone(),
            source: std::io::Error::other(error),
        })
    });
    match (written, reason) {
        (Ok(_), _) => Ok(()),
        (Err(error @ KnownFileError::Unwritable { .. }), Reason::Ssh(..) | Reason::Pinned) => {
            tracing::warn!(%error, "the host's key is not recorded");
            Ok(())
        }
        (Err(error), _) => Err(error),
    }
}
