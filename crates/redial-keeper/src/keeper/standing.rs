//! What the files of authorised keys say of a key: may it come in, and does it still stand.

use std::net::IpAddr;
use std::sync::Arc;

use redial_auth::authorized_keys::{KeyLine, Problem};
use redial_auth::{Decision, PublicKey, Refusal, decide};

use super::grant::Grant;
use super::time::wall_clock;
use crate::login::{Found, KeyFile};
use crate::wire::Login;

/// Keys of one offer that are looked up.
const MAX_KEYS: usize = redial_auth::limits::OFFER_KEYS;

/// What became of a grant.
#[derive(Debug, Clone)]
pub(super) enum Standing {
    /// As before; so it is, too, when nobody can tell.
    Good,
    /// Its line says something else now.
    Changed(Arc<Grant>),
    /// Its key is listed no more.
    Gone,
}

pub(super) fn key(blob: &[u8]) -> Option<PublicKey> {
    PublicKey::from_blob(blob).ok()
}

/// Which of the keys offered might be proved, by their places.
pub(super) fn acceptable(files: &[KeyFile], login: &Login, source: IpAddr) -> Vec<u8> {
    let offered = login.keys.iter().take(MAX_KEYS).zip(0_u8..);
    offered
        .filter(|(blob, _)| key(blob).is_some_and(|key| find(files, &key, source).is_ok()))
        .map(|(_, index)| index)
        .collect()
}

/// The line that lets this key in, from the first file that has the key at all.
///
/// # Errors
/// None does; why the one that has it does not, if there is one.
pub(super) fn find(
    files: &[KeyFile],
    key: &PublicKey,
    source: IpAddr,
) -> Result<Grant, Option<String>> {
    for file in files {
        let Found::Text(text) = &file.found else {
            continue;
        };
        match decide(text, key, Some(source), wall_clock()) {
            Decision::Allowed(line) => return Ok(Grant::new(*line, source)),
            Decision::Refused(Refusal::Lines(reasons)) if reasons.is_empty() => {}
            Decision::Refused(reason) => {
                let file = file.path().display().to_string();
                let file = file.escape_debug();
                tracing::warn!(%file, %reason, "a line grants nothing");
                // What the next file may say was not meant for a key that this one has.
                return Err(Some(reason.to_string()));
            }
        }
    }
    Err(None)
}

/// What the files say of a key that has let somebody in. Only a file that was read says anything:
/// while one cannot be, nothing is taken from anybody.
///
/// An expired line is no revocation: what runs, runs. But it is that line that counts from now on,
/// and it starts nothing more.
pub(super) fn standing(files: &[KeyFile], grant: &Grant) -> Standing {
    let now = wall_clock();
    let mut expired = None;
    for file in files {
        let text = match &file.found {
            Found::Text(text) => text,
            Found::Missing => continue,
            Found::Refused(_) => return Standing::Good,
        };
        let lines = redial_auth::authorized_keys::lines(text).flatten();
        for line in lines.filter(|line| line.key == grant.line.key) {
            match line.check(Some(grant.source), now) {
                Ok(()) => return as_now(line, grant),
                Err(Problem::Expired) => expired = expired.or(Some(line)),
                Err(_) => {}
            }
        }
        let decision = decide(text, &grant.line.key, Some(grant.source), now);
        let is_named = match decision {
            Decision::Refused(Refusal::Lines(reasons)) => !reasons.is_empty(),
            _ => true,
        };
        if is_named {
            break;
        }
    }
    expired.map_or(Standing::Gone, |line| as_now(line, grant))
}

fn as_now(line: KeyLine, grant: &Grant) -> Standing {
    if says_the_same(&line, grant) {
        Standing::Good
    } else {
        Standing::Changed(Arc::new(grant.with_line(line)))
    }
}

/// It may have moved to another line.
fn says_the_same(line: &KeyLine, grant: &Grant) -> bool {
    line.options == grant.line.options
}

#[cfg(test)]
mod tests {
    use redial_auth::PrivateKey;

    use super::*;

    fn public(seed: u8) -> PublicKey {
        PrivateKey::ed25519(&[seed; 32], "").public_key().clone()
    }

    fn file(text: &str) -> KeyFile {
        KeyFile {
            path: b"/keys".to_vec().into(),
            found: Found::Text(text.as_bytes().to_vec().into()),
        }
    }

    fn here() -> IpAddr {
        [192, 0, 2, 1].into()
    }

    #[test]
    fn what_the_first_file_that_has_a_key_says_of_it_is_final() {
        let (key, other) = (public(1).to_text(), public(2).to_text());
        let [first, second] = [
            &format!("{other}\n"),
            &format!("command=\"second\" {key}\n"),
        ];
        let last = format!("{key}\n");
        let files = [file(first), file(second), file(&last)];
        let grant = find(&files, &public(1), here()).unwrap();
        assert_eq!(grant.line.options.command.as_deref(), Some(&b"second"[..]));
        assert!(find(&files, &public(3), here()).is_err());
        // Of several lines in one file, the first that lets it in.
        for (options, lets_in) in [
            ("from=\"10.0.0.1\"", false),
            ("bogus-option", false),
            ("expiry-time=\"20200101\"", false),
            ("restrict", true),
        ] {
            let first = format!("{options} {key}\n");
            let files = [file(&first), file(&last)];
            let found = find(&files, &public(1), here());
            assert_eq!(found.is_ok(), lets_in, "{options}");
            assert!(find(&[file(&(first + &last))], &public(1), here()).is_ok());
            // The same for who is in already; but what is expired only starts nothing more.
            let stands = standing(&files, &grant);
            let expired = options.starts_with("expiry");
            assert_eq!(matches!(stands, Standing::Changed(_)), lets_in || expired);
            assert_eq!(matches!(stands, Standing::Gone), !lets_in && !expired);
        }
    }

    #[test]
    fn a_key_that_is_asked_about_is_named_by_its_place() {
        let files = [file(&format!(
            "{}\n{}\n",
            public(2).to_text(),
            public(4).to_text()
        ))];
        let mut login = Login {
            user: "ada".to_owned(),
            keys: (1..=5)
                .map(|seed| public(seed).blob().to_vec().into())
                .collect(),
            signature: None,
            exporter: [0; 32].into(),
        };
        login.keys[0] = b"no key".to_vec().into();
        assert_eq!(acceptable(&files, &login, here()), [1, 3]);
        login.keys.truncate(1);
        assert!(acceptable(&files, &login, here()).is_empty());
    }

    #[test]
    fn a_removed_line_is_a_revocation_and_a_moved_one_is_none() {
        let key = public(1).to_text();
        let at_first = [file(&format!("{key}\n"))];
        let grant = find(&at_first, &public(1), here()).unwrap();
        let stands = |text: &str| standing(&[file(text)], &grant);
        assert!(matches!(
            stands(&format!("\n# moved\n{key} x\n")),
            Standing::Good
        ));
        assert!(matches!(
            stands(&format!("restrict {key}\n")),
            Standing::Changed(_)
        ));
        for gone in ["# nothing\n".to_owned(), format!("bogus-option {key}\n")] {
            assert!(matches!(stands(&gone), Standing::Gone));
        }
        assert!(matches!(standing(&[], &grant), Standing::Gone));
    }

    #[test]
    fn an_expired_line_is_what_counts_when_it_is_all_there_is() {
        let key = public(1).to_text();
        let grant = find(&[file(&format!("{key}\n"))], &public(1), here()).unwrap();
        let old = format!("expiry-time=\"20200101\",command=\"x\" {key}\n");
        let Standing::Changed(now) = standing(&[file(&old)], &grant) else {
            panic!("the old line is the only one");
        };
        assert!(now.line.options.expiry.is_some() && now.line.options.command.is_some());
        // With another that is good, it has no say.
        let both = standing(&[file(&(old + &key + "\n"))], &grant);
        assert!(matches!(both, Standing::Good));
    }

    #[test]
    fn a_file_that_cannot_be_read_takes_nothing_from_anybody() {
        let key = public(1).to_text();
        let grant = find(&[file(&format!("{key}\n"))], &public(1), here()).unwrap();
        let mut unreadable = file("");
        unreadable.found = Found::Refused("its mode is 0666".to_owned());
        assert!(matches!(standing(&[unreadable], &grant), Standing::Good));
    }
}
