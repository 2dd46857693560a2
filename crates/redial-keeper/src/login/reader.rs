//! What runs in the child: finds the files, checks them, writes down what it found.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use super::MAX_FILES;
use super::strict::{StrictError, open_strictly};
use crate::account::{Account, Barred, User, UserEntry};

/// Where a user's keys are listed, below the home directory. redial's own file first: what it says of a
/// key is meant for redial, whatever sshd lets that key do.
const USUAL: [&str; 2] = [".config/redial/authorized_keys", ".ssh/authorized_keys"];

/// One file of authorised keys, as the child found it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct KeyFile {
    /// Where it is.
    #[n(0)]
    pub path: ByteVec,
    /// What was found there.
    #[n(1)]
    pub found: Found,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Found {
    /// Its text.
    #[n(0)]
    Text(#[n(0)] ByteVec),
    /// Nothing.
    #[n(1)]
    Missing,
    /// Something that does not count, and why.
    #[n(2)]
    Refused(#[n(0)] String),
}

impl KeyFile {
    /// Where it is.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(OsString::from_vec(self.path.to_vec()))
    }
}

/// Whose files are read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Whose {
    /// Our own, as who we are.
    Own,
    /// Those of the user of this name, as that user: needs root.
    Named(String),
    /// None: who the user of this uid is, and whether it may log in.
    Uid(u32),
}

/// What the child has to say.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Report {
    #[n(0)]
    pub(crate) who: Who,
    /// What was found in the user's files.
    #[n(1)]
    pub files: Vec<KeyFile>,
}

/// Who that user is.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Who {
    /// Who we are.
    #[n(0)]
    Own,
    /// There is no such user.
    #[n(1)]
    Unknown,
    /// There is, and it may not log in.
    #[n(2)]
    Barred(#[n(0)] Barred),
    #[n(3)]
    User(#[n(0)] UserEntry),
}

/// Reads the files of authorised keys, those named or else the usual two below the user's home
/// directory, and writes what it found to `out`: a [`Report`], CBOR. Of another user than who we
/// are, this process becomes that one for good before it looks at the first of them. In the files'
/// names `%h` stands for the home directory, `%u` for the user's name, `%%` for `%`.
///
/// # Errors
/// `out` takes no more, or nobody knows who that is.
pub fn report_key_files(whose: &Whose, named: &[PathBuf], out: &mut impl Write) -> io::Result<()> {
    let report = match whose {
        Whose::Own => Report {
            who: Who::Own,
            files: files_of(&Account::own()?, named),
        },
        Whose::Named(name) => of_user(Account::find_name(name.as_bytes())?, |account| {
            files_of(account, named)
        })?,
        Whose::Uid(uid) => of_user(Account::find_uid(*uid)?, |_| Vec::new())?,
    };
    let mut bytes = Vec::new();
    // Writing to a `Vec` cannot fail.
    let _ = minicbor::encode(report, &mut bytes);
    out.write_all(&bytes)?;
    out.flush()
}

fn of_user(
    account: Option<Account>,
    files: impl FnOnce(&Account) -> Vec<KeyFile>,
) -> io::Result<Report> {
    let nothing = |who| Report {
        who,
        files: Vec::new(),
    };
    let Some(account) = account else {
        return Ok(nothing(Who::Unknown));
    };
    if let Some(why) = account.barred()? {
        return Ok(nothing(Who::Barred(why)));
    }
    let user = User::of(account)?;
    crate::spawn::take_identity(&user.identity())?;
    Ok(Report {
        files: files(&user.account),
        who: Who::User(UserEntry::from(&user)),
    })
}

fn files_of(account: &Account, named: &[PathBuf]) -> Vec<KeyFile> {
    let home = PathBuf::from(OsString::from_vec(account.home.clone()));
    let paths: Vec<PathBuf> = if named.is_empty() {
        USUAL.iter().map(|path| home.join(path)).collect()
    } else {
        named.iter().map(|path| expand(path, account)).collect()
    };
    let files = paths.iter().take(MAX_FILES).map(|path| KeyFile {
        path: path.as_os_str().as_bytes().to_vec().into(),
        found: found(path, account.uid, &home),
    });
    files.collect()
}

/// As sshd has it for AuthorizedKeysFile (sshd_config(5), TOKENS).
fn expand(path: &Path, account: &Account) -> PathBuf {
    let mut bytes = path.as_os_str().as_bytes().iter();
    let mut expanded = Vec::new();
    while let Some(&byte) = bytes.next() {
        if byte != b'%' {
            expanded.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'h') => expanded.extend_from_slice(&account.home),
            Some(b'u') => expanded.extend_from_slice(&account.name),
            Some(b'%') => expanded.push(b'%'),
            other => expanded.extend([b'%'].into_iter().chain(other.copied())),
        }
    }
    PathBuf::from(OsString::from_vec(expanded))
}

fn found(path: &Path, uid: u32, home: &Path) -> Found {
    let file = match open_strictly(path, uid, Some(home)) {
        Ok(file) => file,
        Err(StrictError::Missing) => return Found::Missing,
        Err(error) => return Found::Refused(error.to_string()),
    };
    // One byte more than is taken: then it is seen that there is more.
    let limit = redial_auth::limits::FILE_BYTES as u64;
    let mut text = Vec::new();
    match file.take(limit + 1).read_to_end(&mut text) {
        Ok(_) if text.len() as u64 > limit => {
            Found::Refused(format!("it has more than {limit} bytes"))
        }
        Ok(_) => Found::Text(text.into()),
        Err(error) => Found::Refused(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_file_is_reported_with_what_was_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("good"), "a key\n").unwrap();
        fs::write(
            path("long"),
            vec![b'#'; redial_auth::limits::FILE_BYTES + 1],
        )
        .unwrap();
        let mut out = Vec::new();
        let named = ["good", "none", "long", "."].map(path);
        report_key_files(&Whose::Own, &named, &mut out).unwrap();
        let Report { who, files } = minicbor::decode(&out).unwrap();
        assert_eq!(who, Who::Own);
        assert_eq!(files[0].found, Found::Text(b"a key\n".to_vec().into()));
        assert_eq!(files[0].path(), path("good"));
        assert_eq!(files[1].found, Found::Missing);
        let refused = |file: &KeyFile| matches!(&file.found, Found::Refused(_));
        assert!(refused(&files[2]) && refused(&files[3]));
    }
    #[test]
    fn a_named_file_may_be_each_users_own() {
        let account = Account {
            name: b"ada".to_vec(),
            uid: 7,
            gid: 7,
            home: b"/ada".to_vec(),
            shell: b"/bin/sh".to_vec(),
        };
        for (path, expected) in [
            ("/etc/redial/keys/%u", "/etc/redial/keys/ada"),
            ("%h/keys", "/ada/keys"),
            ("/100%%/%x%", "/100%/%x%"),
        ] {
            assert_eq!(expand(Path::new(path), &account), Path::new(expected));
        }
    }
}
