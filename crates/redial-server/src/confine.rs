//! A front shuts itself in: what it will never need, it gives up before it hears the first stranger.
//!
//! It is handed all descriptors that it works on. So it opens no file, connects to nobody, listens on
//! nothing and signals nobody; the kernel keeps it to that (landlock(7), PR_SET_NO_NEW_PRIVS(2const)).
//!
//! An agent does so too, as far as its work allows: it dials a broker again, whose name it has to look up,
//! and reads its own files again.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError,
    RulesetStatus, Scope, path_beneath_rules,
};
use redial_keeper::wire::Confinement;

/// Shuts this thread in, and those that it starts, for good; as far as the kernel can.
pub fn confine() -> Confinement {
    hide();
    Confinement {
        no_new_privileges: rustix::thread::set_no_new_privs(true).is_ok(),
        files: files().is_ok_and(is_enforced),
        network: network().is_ok_and(is_enforced),
        others: others().is_ok_and(is_enforced),
    }
}

/// Where names are looked up, and certificates lie; nothing that is secret.
const SYSTEM: [&str; 27] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/passwd",
    "/etc/group",
    "/etc/localtime",
    "/etc/ld.so.cache",
    "/etc/ssl/certs",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",
    "/etc/ca-certificates",
    "/usr",
    "/lib",
    "/lib64",
    "/nix/store",
    "/gnu/store",
    "/var/lib/ca-certificates",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/dev/null",
    "/dev/urandom",
];

/// Where a file of those is a link, or another one is named: as OpenSSL has it.
fn elsewhere() -> impl Iterator<Item = PathBuf> {
    let links = ["/etc/resolv.conf", "/etc/ssl/certs/ca-certificates.crt"];
    let targets = links
        .into_iter()
        .filter_map(|it| std::fs::canonicalize(it).ok());
    let named = ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter();
    targets.chain(named.filter_map(|name| Some(std::env::var_os(name)?.into())))
}

/// The same for an agent: it reads what dialling takes and these files, writes none, and listens on no port of TCP.
pub fn confine_agent(files: &[PathBuf]) -> Confinement {
    hide();
    Confinement {
        no_new_privileges: rustix::thread::set_no_new_privs(true).is_ok(),
        files: reading(files).is_ok_and(is_enforced),
        network: listening().is_ok_and(is_enforced),
        others: others().is_ok_and(is_enforced),
    }
}

/// Where it is a user of its own, no other process of that user's may look into it (ptrace(2)).
fn hide() {
    if is_apart() {
        let undumpable = rustix::process::DumpableBehavior::NotDumpable;
        let _ = rustix::process::set_dumpable_behavior(undumpable);
    }
}

/// Whether it is another user than who has started it. To be asked while files may still be opened.
fn is_apart() -> bool {
    let Some(parent) = rustix::process::getppid() else {
        return false;
    };
    let about = std::fs::metadata(format!("/proc/{}", parent.as_raw_nonzero()));
    about.is_ok_and(|about| about.uid() != rustix::process::geteuid().as_raw())
}

fn is_enforced(status: RulesetStatus) -> bool {
    // Rights that are newer than the kernel belong to things that it does not have either.
    status != RulesetStatus::NotEnforced
}

// One set of rules each, so that what an older kernel lacks is told apart.

fn files() -> Result<RulesetStatus, RulesetError> {
    let rules = Ruleset::default().handle_access(AccessFs::from_all(ABI::V6))?;
    Ok(rules.create()?.restrict_self()?.ruleset)
}

fn reading(files: &[PathBuf]) -> Result<RulesetStatus, RulesetError> {
    let all = SYSTEM
        .iter()
        .map(PathBuf::from)
        .chain(files.iter().cloned());
    let all = all.chain(elsewhere());
    let rules = Ruleset::default().handle_access(AccessFs::from_all(ABI::V6))?;
    let rules = rules.create()?;
    // What is not there needs no rule.
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let rules = rules.add_rules(path_beneath_rules(all, read))?;
    Ok(rules.restrict_self()?.ruleset)
}

fn listening() -> Result<RulesetStatus, RulesetError> {
    let rules = Ruleset::default().handle_access(AccessNet::BindTcp)?;
    Ok(rules.create()?.restrict_self()?.ruleset)
}

fn network() -> Result<RulesetStatus, RulesetError> {
    let rules = Ruleset::default().handle_access(AccessNet::from_all(ABI::V6))?;
    Ok(rules.create()?.restrict_self()?.ruleset)
}

fn others() -> Result<RulesetStatus, RulesetError> {
    let rules = Ruleset::default().scope(Scope::from_all(ABI::V6))?;
    Ok(rules.create()?.restrict_self()?.ruleset)
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::{TcpListener, TcpStream};
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

    use super::*;

    /// Where the kernel can do a thing, it is done; where not, it is not claimed.
    #[test]
    fn a_front_that_was_taken_over_opens_nothing_and_reaches_nobody() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let name = SocketAddr::from_abstract_name(format!("redial-{address}")).unwrap();
        let _abstract = UnixListener::bind_addr(&name).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_owned();
        let tried = std::thread::spawn(move || {
            let reached = confine();
            eprintln!("kept {reached}");
            let denied = |error: std::io::Error| error.kind() == ErrorKind::PermissionDenied;
            let opened = std::fs::File::open(&path).is_err_and(denied);
            let made = std::fs::write(path.with_extension("new"), "x").is_err_and(denied);
            let listed = std::fs::read_dir("/").is_err_and(denied);
            let dialled = TcpStream::connect(address).is_err_and(denied);
            let bound = TcpListener::bind("127.0.0.1:0").is_err_and(denied);
            let met = UnixStream::connect_addr(&name).is_err_and(denied);
            let parent = rustix::process::getppid().unwrap();
            let signalled = rustix::process::test_kill_process(parent).is_err();
            let files = [opened, made, listed];
            assert_eq!(files, [reached.files; 3]);
            assert_eq!([dialled, bound], [reached.network; 2]);
            assert_eq!([met, signalled], [reached.others; 2]);
            assert!(reached.no_new_privileges);
            // What it was handed it can still use.
            assert!(file.as_file().metadata().is_ok());
        });
        tried.join().unwrap();
        std::fs::File::open("/").unwrap();
    }

    #[test]
    fn an_agent_that_was_taken_over_reads_what_the_system_has_and_dials_and_no_more() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (own, other) = (
            tempfile::NamedTempFile::new().unwrap(),
            tempfile::NamedTempFile::new().unwrap(),
        );
        let (its, path) = (own.path().to_owned(), other.path().to_owned());
        let tried = std::thread::spawn(move || {
            let reached = confine_agent(std::slice::from_ref(&its));
            eprintln!("kept {reached}");
            let denied = |error: std::io::Error| error.kind() == ErrorKind::PermissionDenied;
            let opened = std::fs::File::open(&path).is_err_and(denied);
            let made = std::fs::write(its.with_extension("new"), "x").is_err_and(denied);
            let written = std::fs::write(&its, "x").is_err_and(denied);
            assert_eq!([opened, made, written], [reached.files; 3]);
            let secret = std::fs::File::open("/etc/shadow").is_err_and(denied);
            assert_eq!(secret, reached.files);
            std::fs::File::open("/etc/passwd").unwrap();
            std::fs::File::open(&its).unwrap();
            TcpStream::connect(address).unwrap();
            let bound = TcpListener::bind("127.0.0.1:0").is_err_and(denied);
            let parent = rustix::process::getppid().unwrap();
            let signalled = rustix::process::test_kill_process(parent).is_err();
            assert_eq!([bound, signalled], [reached.network, reached.others]);
            assert!(reached.no_new_privileges);
        });
        tried.join().unwrap();
    }
}
