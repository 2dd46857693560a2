//! Whose jobs the server runs.

use std::path::Path;

use redial_keeper::account::{Account, Barred};
use redial_keeper::keeper::ManyUsers;
use redial_keeper::spawn::Identity;

use crate::args::ServeArgs;
use crate::settings::SettingsError;
use crate::settings::file::File;

/// Who the front is, if nobody says otherwise: the package makes that user.
const FRONT_USER: &str = "redial";

/// Processes of many programs are that one.
const NOBODY: u32 = 65_534;

/// Several, if that was asked for.
///
/// # Errors
///
/// Something it needs is not there.
pub(super) fn users(args: &ServeArgs, file: &File) -> Result<Option<ManyUsers>, SettingsError> {
    let file = &file.serve;
    let named = args.front_user.as_deref().or(file.front_user.as_deref());
    let allow_root = args.allow_root || file.allow_root;
    if !args.multi_user && !file.multi_user {
        let only =
            "--front-user and --allow-root are about a server of many users; say --multi-user too";
        return match args.front_user.is_some() || args.allow_root {
            true => Err(only.to_owned().into()),
            false => Ok(None),
        };
    }
    if !rustix::process::geteuid().is_root() {
        let text = "--multi-user: only root can run commands as other users";
        return Err(text.to_owned().into());
    }
    let keys = match &args.authorized_keys[..] {
        [] => &file.authorized_keys[..],
        named => named,
    };
    if let Some(path) = keys.iter().find(|path| is_everybodys(path)) {
        return Err(SettingsError(format!(
            "--authorized-keys {}: with --multi-user its keys would be every user's; say whose with %u \
             (the user's name) or %h (the home directory)",
            path.display()
        )));
    }
    Ok(Some(ManyUsers {
        front: front(named.unwrap_or(FRONT_USER))?,
        allow_root,
    }))
}

fn is_everybodys(path: &Path) -> bool {
    let text = path.to_string_lossy().replace("%%", "");
    !text.contains("%u") && !text.contains("%h")
}

/// That user, and no group but its own.
fn front(name: &str) -> Result<Identity, SettingsError> {
    let wrong = |why: &str| Err(SettingsError(format!("--front-user {name}: {why}")));
    match Account::find_name(name.as_bytes()) {
        Err(error) => wrong(&error.to_string()),
        Ok(None) => wrong(&format!(
            "there is no such user; make one for it: useradd --system --no-create-home \
             --shell /usr/sbin/nologin {name}"
        )),
        Ok(Some(account)) if account.uid == 0 || account.gid == 0 => {
            wrong("it must be a user without power, and this is root")
        }
        Ok(Some(account)) if account.uid == NOBODY => wrong(
            "it is whoever has no user of their own; the front needs one that is only its own",
        ),
        Ok(Some(account)) if !has_no_login(&account) => wrong(
            "somebody could log in as it; its shell must be one that is none (usermod -s /usr/sbin/nologin)",
        ),
        Ok(Some(account)) => Ok(Identity {
            uid: account.uid,
            gid: account.gid,
            groups: vec![account.gid],
        }),
    }
}

/// Where that cannot be found out, somebody may.
fn has_no_login(account: &Account) -> bool {
    matches!(account.barred(), Ok(Some(Barred::Shell(_))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_keys_has_to_say_whose_they_are() {
        for (path, everybodys) in [
            ("/etc/redial/keys", true),
            ("/etc/redial/keys/%u", false),
            ("%h/.keys", false),
            ("/etc/%%u", true),
        ] {
            assert_eq!(is_everybodys(Path::new(path)), everybodys, "{path}");
        }
    }
}
