//! The files that say which hosts there are.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use redial_fleet::inventory::{
    Inventory, InventoryError, Source, SshNames, ansible, clustershell, hosts_toml, ssh_config,
};

use rustix::fs::OFlags;

use super::SettingsError;
use super::file::config_dir;
use crate::report;

/// Of a file: a million hosts of 64 bytes.
const FILE_MAX_BYTES: u64 = 64 << 20;
/// Files that `Include` of ~/.ssh/config may mean, all together.
const INCLUDED: usize = 64;

/// Place and text of a file in, sources out.
type Parse<'p> = dyn Fn(&str, &str) -> Result<Vec<Source>, InventoryError> + 'p;

/// Reads redial's own, then those of others. What is wrong in those of others is no reason to stop: it
/// is said when `says`, and they are passed over.
///
/// # Errors
///
/// Redial's own cannot be used.
pub(crate) fn inventory(says: bool) -> Result<Inventory, SettingsError> {
    let mut sources = own()?.sources;
    let note = |what: String| {
        if says {
            report::note(format_args!("{what}; passed over"));
        }
    };
    let mut add = |path: &Path, parse: &Parse<'_>| match read(path) {
        Ok(Some(text)) => match parse(&path.display().to_string(), &text) {
            Ok(found) => sources.extend(found),
            Err(error) => note(error.to_string()),
        },
        Ok(None) => {}
        Err(error) => note(format!("{}: {error}", path.display())),
    };
    for path in clustershell_files() {
        add(&path, &clustershell);
    }
    for path in ansible_files() {
        add(&path, &|place, text| Ok(vec![ansible(place, text)?]));
    }
    if let Some(home) = home() {
        let path = home.join(".ssh/config");
        add(&path, &|place, text| {
            let names = ssh_names(text, &home);
            Ok(vec![names.source(place)])
        });
    }
    Ok(Inventory { sources })
}

/// Redial's own alone: it counts for a single host, too.
///
/// # Errors
///
/// It cannot be used.
pub(crate) fn own() -> Result<Inventory, SettingsError> {
    let Some(path) = config_dir().map(|dir| dir.join("hosts.toml")) else {
        return Ok(Inventory::default());
    };
    let shown = path.display();
    let text = match read(&path) {
        Ok(text) => text,
        // As after su: what belongs to somebody else is not ours. A file that is ours and cannot be
        // read is another matter.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !path.exists() => None,
        Err(error) => return Err(format!("{shown}: {error}").into()),
    };
    let source = text.map(|text| hosts_toml(&shown.to_string(), &text, &at_once));
    let source = source.transpose().map_err(|error| error.to_string())?;
    Ok(Inventory {
        sources: source.into_iter().collect(),
    })
}

/// On two threads.
fn at_once(first: &mut (dyn FnMut() + Send), second: &mut (dyn FnMut() + Send)) {
    std::thread::scope(|scope| {
        // Where there can be none, what it would have read is read otherwise.
        let _ = std::thread::Builder::new().spawn_scoped(scope, second);
        first();
    });
}

/// None if there is no such file.
fn read(path: &Path) -> io::Result<Option<String>> {
    // A pipe without a writer is no reason to wait.
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(nonblocking)
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(io::Error::other("is no regular file"));
    }
    let said = usize::try_from(about.len().min(FILE_MAX_BYTES)).unwrap_or_default();
    let mut text = String::with_capacity(said + 1);
    file.take(FILE_MAX_BYTES + 1).read_to_string(&mut text)?;
    match text.len() as u64 > FILE_MAX_BYTES {
        true => Err(io::Error::other("more than 64 MiB")),
        false => Ok(Some(text)),
    }
}

fn is_absent(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}

fn from_env(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
}

fn home() -> Option<PathBuf> {
    from_env("HOME")
}

/// Where ClusterShell looks, first the user's.
fn clustershell_files() -> Vec<PathBuf> {
    let config = from_env("XDG_CONFIG_HOME").or_else(|| Some(home()?.join(".config")));
    let dirs = [
        from_env("CLUSTERSHELL_CFGDIR"),
        config.map(|dir| dir.join("clustershell")),
        Some(PathBuf::from("/etc/clustershell")),
    ];
    let mut files = Vec::new();
    for dir in dirs.into_iter().flatten().map(|dir| dir.join("groups.d")) {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        let mut paths: Vec<PathBuf> = paths
            .filter(|path| path.extension().is_some_and(|it| it == "yaml"))
            .collect();
        paths.sort();
        files.extend(paths);
    }
    files
}

/// Where Ansible looks. Only INI is read.
fn ansible_files() -> Vec<PathBuf> {
    let named = std::env::var("ANSIBLE_INVENTORY")
        .ok()
        .filter(|named| !named.is_empty());
    let named = named.unwrap_or_else(|| "/etc/ansible/hosts".to_owned());
    let files = named.split(',').map(|path| PathBuf::from(path.trim()));
    files
        .filter(|path| {
            !path
                .extension()
                .is_some_and(|it| it == "yaml" || it == "yml" || it == "json")
        })
        .collect()
}

/// With those of the files that it includes.
fn ssh_names(text: &str, home: &Path) -> SshNames {
    let mut all = SshNames::default();
    let (mut texts, mut left) = (vec![text.to_owned()], INCLUDED);
    while let Some(text) = texts.pop() {
        let names = ssh_config(&text);
        all.hosts.extend(names.hosts);
        for pattern in names.includes {
            let path = match pattern.strip_prefix("~/") {
                Some(rest) => home.join(rest),
                None => home.join(".ssh").join(pattern),
            };
            for path in redial_client::network::files_like(&path, left) {
                left = left.saturating_sub(1);
                texts.extend(read(&path).ok().flatten().filter(|_| left > 0));
            }
        }
    }
    all
}
