//! Asks the person in front of the program, on threads that may block, while no line is open.

use std::sync::Arc;

use redial_net::auth::PrivateKeyError;

use super::connect::host_key;
use super::error::HostKeyError;
use super::identity::{Identities, UnlockError, unlock};
use super::interaction::HostQuestion;
use super::options::NetworkOptions;
use super::progress::Progress;
use crate::error::ConnectError;
use crate::target::Target;

/// Times that a passphrase may be typed, as with ssh.
const PASSPHRASES: usize = 3;

const WRONG: &str = "the passphrase was wrong three times";

/// Asks whether a host is the one that is meant.
pub(crate) async fn confirm(
    target: &Target,
    question: &HostQuestion,
    options: &NetworkOptions,
) -> Result<(), ConnectError> {
    let (asked, about) = (options.asked(), question.clone());
    let answer = tokio::task::spawn_blocking(move || asked.confirm_host(&about)).await;
    match answer {
        Ok(true) => Ok(()),
        _ => Err(host_key(target, HostKeyError::from(question))),
    }
}

/// Asks for the passphrases of these keys in turn, until one is unlocked.
pub(crate) async fn ask_passphrases(
    keys: &[usize],
    identities: &Identities,
    progress: &mut Progress,
    options: &NetworkOptions,
) {
    let mut no_more = options.turn_to_ask().await;
    // Another connection may have asked meanwhile.
    if let Some((key, private)) = options.unlocked()
        && let Some(&at) = keys.iter().find(|at| identities.keys[**at].key == key)
    {
        progress.unlocked = Some((at, private));
        return;
    }
    if let Some(why) = *no_more {
        return keys.iter().for_each(|&at| progress.give_up(at, why));
    }
    for (turn, &at) in keys.iter().enumerate() {
        let Some(path) = identities.keys[at].file.clone() else {
            continue;
        };
        let asked = options.asked();
        let unlocked = tokio::task::spawn_blocking(move || {
            for time in 0..PASSPHRASES {
                let Some(typed) = asked.passphrase(&path, time > 0) else {
                    let why = format!(
                        "encrypted, and nobody to ask for its passphrase: ssh-add {}",
                        path.display()
                    );
                    return Err((why, true));
                };
                match unlock(&path, Some(&typed)) {
                    Err(UnlockError::Key(PrivateKeyError::Passphrase)) => {}
                    Err(error) => return Err((error.to_string(), false)),
                    Ok(private) => return Ok(private),
                }
            }
            Err((WRONG.to_owned(), false))
        });
        match unlocked.await {
            Ok(Ok(private)) => {
                let private = Arc::new(private);
                options.keep_unlocked(identities.keys[at].key.clone(), Arc::clone(&private));
                progress.unlocked = Some((at, private));
                return;
            }
            Ok(Err((why, nobody))) => {
                if why == WRONG {
                    *no_more = Some(WRONG);
                }
                progress.give_up(at, why.clone());
                if nobody {
                    let rest = &keys[turn + 1..];
                    let text = "encrypted, and nobody to ask for its passphrase: ssh-add it";
                    *no_more = Some(text);
                    rest.iter().for_each(|&at| progress.give_up(at, text));
                    return;
                }
            }
            Err(error) => progress.give_up(at, error.to_string()),
        }
    }
}
