//! Our keys, what the server says to each, and whether one lets us in.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Instant;

use redial_client::network::probe::Login;
use redial_client::network::{Identity, Source};
use rustix::fs::OFlags;

use super::{Keys, Patient};
use crate::commands::doctor::finding::{Finding, Sheet};
use crate::commands::doctor::words;

/// A public key's file is a line; more than this of it is not read.
const PUBLIC_BYTES: u64 = 16_384;

/// Shows each key, and tries them if the server may be talked to. The one that was taken.
pub(super) async fn log_in(
    patient: &Patient<'_>,
    keys: &Keys,
    trusted: bool,
    sheet: &mut Sheet,
) -> Option<Source> {
    let began = Instant::now();
    let login = match keys.tried.is_empty() || !trusted {
        true => None,
        false => Some(patient.probe.log_in(keys).await),
    };
    let took = began.elapsed();
    let answers = login.as_ref().and_then(|login| login.as_ref().ok());
    for identity in &keys.tried {
        let said = answers.map_or("not tried", |login| answer(login, identity));
        let text = format!("{}: {said}", shown(identity));
        sheet.say(&match said {
            TAKEN => Finding::ok("key", text),
            _ => Finding::untried("key", text),
        });
    }
    for skipped in &keys.skipped {
        let text = format!("{}: not used: {}", skipped.path.display(), skipped.why);
        sheet.say(&Finding::untried("key", text));
    }
    if keys.tried.is_empty() {
        let found = Finding::wrong("key", "there is no key to log in with");
        sheet.say(&found.advice(
            "make one with 'redial keys new', and add its public half to ~/.ssh/authorized_keys \
             on the server",
        ));
    }
    let (found, taken) = match login? {
        Ok(login) => (verdict(patient, &login), login.taken),
        Err(error) => (words::failed("login", patient.target, &error), None),
    };
    sheet.say(&found.took(took));
    taken.map(|identity| identity.source)
}

const TAKEN: &str = "taken";

/// What became of a key.
fn answer<'a>(login: &'a Login, identity: &Identity) -> &'a str {
    let is_it = |key| key == &identity.key;
    if login.taken.as_ref().is_some_and(|it| is_it(&it.key)) {
        return TAKEN;
    }
    if login.locked.iter().any(|it| is_it(&it.key)) {
        return "the server would take it, but it needs a passphrase";
    }
    let tried = login.tried.iter().find(|it| is_it(&it.key));
    match (tried, &login.taken) {
        (Some(tried), _) => &tried.why,
        (None, Some(_)) => "not needed",
        (None, None) => "not tried, a connection has three tries",
    }
}

fn verdict(patient: &Patient<'_>, login: &Login) -> Finding {
    let route = patient.probe.route();
    let user = &route.user;
    if let Some(identity) = &login.taken {
        let key = identity.key.fingerprint();
        let text = format!("in as {user}, by {key}; what it may do is the server's to know");
        return Finding::ok("login", text);
    }
    if let Some(locked) = login.locked.first() {
        let text = "nobody is asked for a passphrase here".to_owned();
        return Finding::wrong("login", text).advice(match &locked.source {
            Source::File(path) => format!(
                "'ssh-add {}' gives the key to an agent; 'redial run' asks on the terminal",
                path.display()
            ),
            Source::Agent(_) => "unlock the agent (ssh-add -X)".to_owned(),
        });
    }
    Finding::wrong(
        "login",
        format_args!("the server lets {user} in with none of our keys"),
    )
    .advice(format_args!(
        "one of them must stand in ~/.ssh/authorized_keys of {user} on the server, in a line that \
         is valid for us (from=, expiry-time=); the server's log says more with 'redial serve -vv'"
    ))
}

fn shown(identity: &Identity) -> String {
    let key = &identity.key;
    let comment = match &identity.source {
        Source::File(path) => comment(path).map(|comment| format!(" ({comment})")),
        // It is in the source's own text.
        Source::Agent(_) => None,
    };
    format!(
        "{} {}, {}{}",
        key.fingerprint(),
        key.algorithm(),
        identity.source,
        comment.unwrap_or_default()
    )
}

/// What stands behind the public key beside a private one.
fn comment(private: &Path) -> Option<String> {
    let mut path = private.as_os_str().to_owned();
    path.push(".pub");
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).ok()?;
    let mut options = OpenOptions::new();
    let file = options.read(true).custom_flags(nonblocking).open(path);
    let mut text = String::new();
    file.ok()?
        .take(PUBLIC_BYTES)
        .read_to_string(&mut text)
        .ok()?;
    let mut words = text.lines().next()?.splitn(3, ' ');
    let comment = words.nth(2)?.trim();
    (!comment.is_empty()).then(|| comment.to_owned())
}
