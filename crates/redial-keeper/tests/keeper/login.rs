//! Keys, proofs and connections from the network, as tests need them.

use std::ffi::OsString;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use minicbor::bytes::ByteVec;
use redial_auth::{PrivateKey, PublicKey, Statement, sign_proof};
use redial_keeper::HostKey;
use redial_keeper::keeper::NetworkConfig;
use redial_keeper::login::{KeyReader, Whose, report_key_files};
use redial_keeper::wire::{Capability, ConnectionKind, Login, TcpPeer, ToFront, ToKeeper, Verdict};

use crate::front::Front;
use crate::harness::Keeper;

pub(crate) fn private(seed: u8) -> PrivateKey {
    PrivateKey::ed25519(&[seed; 32], "")
}

/// A line of authorized_keys for the key of that seed.
pub(crate) fn line(seed: u8, options: &str) -> String {
    format!(
        "{options} {} key {seed}\n",
        private(seed).public_key().to_text()
    )
}

/// Who runs the tests, and so the keeper.
pub(crate) fn user() -> String {
    String::from_utf8(redial_keeper::account::Account::own().unwrap().name).unwrap()
}

/// What both ends of a TLS connection would know.
pub(crate) const EXPORTER: [u8; 32] = [5; 32];

/// A connection from the network, as far as the front has been told of it.
pub(crate) struct Caller {
    pub(crate) who: Capability,
    pub(crate) peer: TcpPeer,
    pub(crate) _socket: TcpStream,
}

/// Dials, and hears of it.
pub(crate) fn dial(keeper: &Keeper, front: &mut Front) -> Caller {
    let socket = TcpStream::connect(keeper.address()).unwrap();
    let (who, peer) = front.hear(|message| match message {
        ToFront::Connection(who, ConnectionKind::Tcp(peer)) => Some((*who, *peer)),
        _ => None,
    });
    Caller {
        who,
        peer,
        _socket: socket,
    }
}

/// What is different from a login as it should be.
#[derive(Default)]
pub(crate) struct Wrong {
    pub(crate) user: Option<String>,
    pub(crate) host_key: Option<PublicKey>,
    pub(crate) nonce: Option<[u8; 32]>,
    pub(crate) exporter: Option<[u8; 32]>,
    /// The key that is named, in place of the one that signs.
    pub(crate) key: Option<PublicKey>,
}

/// A proof of the key of that seed, right but for `wrong`.
pub(crate) fn proof(caller: &Caller, seed: u8, wrong: &Wrong) -> Login {
    let (key, host) = (private(seed), host_key().public_key().clone());
    let user = wrong.user.clone().unwrap_or_else(user);
    let statement = Statement {
        user: &user,
        key: key.public_key(),
        host_key: wrong.host_key.as_ref().unwrap_or(&host),
        nonce: wrong.nonce.as_ref().unwrap_or(&caller.peer.nonce),
        exporter: wrong.exporter.as_ref().unwrap_or(&EXPORTER),
    };
    let named = wrong.key.as_ref().unwrap_or(key.public_key());
    Login {
        keys: vec![named.blob().to_vec().into()],
        signature: Some(sign_proof(&key, &statement).unwrap().into()),
        user,
        exporter: EXPORTER.into(),
    }
}

/// Which of these keys might be proved?
pub(crate) fn question(seeds: &[u8]) -> Login {
    let blob = |seed: &u8| ByteVec::from(private(*seed).public_key().blob().to_vec());
    Login {
        user: user(),
        keys: seeds.iter().map(blob).collect(),
        signature: None,
        exporter: EXPORTER.into(),
    }
}

pub(crate) fn log_in(front: &mut Front, caller: &Caller, login: Login) -> Verdict {
    front.say(&ToKeeper::Login(caller.who, Box::new(login)));
    let who = caller.who;
    front.hear(|message| match message {
        ToFront::Verdict(about, verdict) if *about == who => Some(verdict.clone()),
        _ => None,
    })
}

/// A connection that has come in by the key of that seed.
pub(crate) fn come_in(keeper: &Keeper, front: &mut Front, seed: u8) -> Caller {
    let caller = dial(keeper, front);
    let login = proof(&caller, seed, &Wrong::default());
    assert_eq!(log_in(front, &caller, login), Verdict::In);
    caller
}

/// The key of keepers on the network.
pub(crate) fn host_key() -> HostKey {
    HostKey::generate(&[9; 32])
}

pub(crate) fn network() -> NetworkConfig {
    NetworkConfig {
        listen: vec![([127, 0, 0, 1], 0).into()],
        host_key: host_key(),
        door: None,
    }
}

/// One that says what is written in a directory, in a file named for whom it is asked for.
pub(crate) fn reader(directory: OsString) -> KeyReader {
    // Of whom there is no file, there is no such user: `login::Report`, as CBOR.
    let read = r#"if [ "$2" = own ] || [ -e "$0/$2.cbor" ]; then cat "$0/$2.cbor"
        else printf '\242\000\202\001\200\001\200'; fi"#;
    let read = read.into();
    KeyReader::of(Path::new("/bin/sh"), vec!["-c".into(), read, directory]).unwrap()
}

/// Whole at once, as an editor does it.
pub(crate) fn write_keys(directory: &Path, text: &str) {
    let (named, new) = (directory.join("authorized_keys"), directory.join("new"));
    std::fs::write(&named, text).unwrap();
    let mut report = Vec::new();
    report_key_files(&Whose::Own, &[named], &mut report).unwrap();
    std::fs::write(&new, report).unwrap();
    std::fs::rename(new, directory.join("own.cbor")).unwrap();
}

/// Of the IPv4 sockets that listen, the one that this process has.
pub(crate) fn listening_address(pid: u32) -> Option<SocketAddr> {
    let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let links = fds.filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok());
    let links: Vec<String> = links.map(|it| it.display().to_string()).collect();
    let table = std::fs::read_to_string(format!("/proc/{pid}/net/tcp")).ok()?;
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, local, _, "0A", ..] = fields[..] else {
            return None;
        };
        let socket = format!("socket:[{}]", fields.get(9)?);
        let port = u16::from_str_radix(local.split_once(':')?.1, 16).ok()?;
        links
            .contains(&socket)
            .then(|| ([127, 0, 0, 1], port).into())
    })
}
