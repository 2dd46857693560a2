//! What runs in the child: finds the files, checks them, writes down what it found.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use super::MAX_FILES;
use super::strict::{StrictError, open_strictly};
use crate::account::Account;

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

/// Reads the files of authorised keys, those named or else the usual two below our own home
/// directory, and writes what it found to `out`: a list of [`KeyFile`], CBOR.
///
/// # Errors
/// `out` takes no more, or nobody knows who we are.
pub fn report_key_files(named: &[PathBuf], out: &mut impl Write) -> io::Result<()> {
    let account = Account::own()?;
    let home = PathBuf::from(OsString::from_vec(account.home.clone()));
    let usual;
    let paths = if named.is_empty() {
        usual = USUAL.map(|path| home.join(path));
        &usual[..]
    } else {
        named
    };
    let files: Vec<KeyFile> = paths
        .iter()
        .take(MAX_FILES)
        .map(|path| KeyFile {
            path: path.as_os_str().as_bytes().to_vec().into(),
            found: found(path, account.uid, &home),
        })
        .collect();
    let mut bytes = Vec::new();
    // Writing to a `Vec` cannot fail.
    let _ = minicbor::encode(files, &mut bytes);
    out.write_all(&bytes)?;
    out.flush()
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
        report_key_files(&named, &mut out).unwrap();
        let files: Vec<KeyFile> = minicbor::decode(&out).unwrap();
        assert_eq!(files[0].found, Found::Text(b"a key\n".to_vec().into()));
        assert_eq!(files[0].path(), path("good"));
        assert_eq!(files[1].found, Found::Missing);
        let refused = |file: &KeyFile| matches!(&file.found, Found::Refused(_));
        assert!(refused(&files[2]) && refused(&files[3]));
    }
}
