//! Tests of listening: who gets an address, and what becomes of a socket's file.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;

use super::*;

fn bind_at(text: &str) -> Result<Listener, SocketError> {
    Listener::bind(&text.parse().unwrap(), 5, Reach::Anywhere)
}

fn at(path: &Path) -> String {
    format!("unix:{}", path.display())
}

#[test]
fn port_0_becomes_the_port_it_got_and_callers_get_through() {
    for text in ["127.0.0.1:0", "localhost:0"] {
        let listener = bind_at(text).unwrap();
        let mut caller = Stream::connect(listener.address()).unwrap();
        let (mut accepted, from) = listener.accept().unwrap();
        assert_eq!(from, caller.local().unwrap());
        caller.write_all(b"hello").unwrap();
        let mut heard = [0; 5];
        accepted.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"hello");
    }
}

#[test]
fn a_unix_caller_has_no_name_and_the_one_called_has_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let listener = bind_at(&at(&path)).unwrap();
    let caller = Stream::connect(listener.address()).unwrap();
    let (accepted, from) = listener.accept().unwrap();
    assert_eq!(from, Endpoint::Unnamed);
    assert_eq!(accepted.peer().unwrap(), Endpoint::Unnamed);
    assert_eq!(caller.peer().unwrap(), Endpoint::Path(path));
    let shown = accepted.facts().to_string();
    assert!(shown.ends_with("remote=(unnamed)"), "{shown}");
}

#[test]
fn an_address_that_is_in_use_is_refused_and_named() {
    let listener = bind_at("127.0.0.1:0").unwrap();
    let address = listener.address().to_string();
    let error = bind_at(&address).unwrap_err();
    assert!(matches!(error, SocketError::InUse { .. }), "{error}");
    assert!(error.to_string().contains(&address), "{error}");
}

#[test]
fn the_port_is_free_at_once_when_the_server_is_gone_although_a_caller_is_still_there() {
    let listener = bind_at("127.0.0.1:0").unwrap();
    let address = listener.address().clone();
    let _caller = Stream::connect(&address).unwrap();
    drop(listener.accept().unwrap());
    drop(listener);
    bind_at(&address.to_string()).unwrap();
}

#[test]
fn who_may_be_called_from_this_machine_only_is_refused_another_address() {
    for text in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let error = Listener::bind(&text.parse().unwrap(), 5, Reach::ThisMachine).unwrap_err();
        assert!(matches!(error, SocketError::NotLocal { .. }), "{error}");
        assert!(error.to_string().contains("redial serve"), "{error}");
    }
    Listener::bind(&"127.0.0.1:0".parse().unwrap(), 5, Reach::ThisMachine).unwrap();
}

#[test]
fn datagrams_are_not_listened_for_as_streams_nor_the_other_way_round() {
    let error = bind_at("udp:127.0.0.1:0").unwrap_err();
    assert!(matches!(error, SocketError::NoStream { .. }), "{error}");
    let error = Mailbox::bind(&"tcp:127.0.0.1:0".parse().unwrap(), Reach::Anywhere);
    assert!(matches!(error, Err(SocketError::NoDatagrams { .. })));
}

#[test]
fn a_socket_file_is_its_users_alone_and_goes_with_its_server() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let listener = bind_at(&at(&path)).unwrap();
    let about = fs::symlink_metadata(&path).unwrap();
    assert!(about.file_type().is_socket());
    assert_eq!(about.permissions().mode() & 0o777, 0o600);
    drop(listener);
    assert!(!path.exists());
}

#[test]
fn a_dead_servers_socket_file_is_replaced_by_streams_and_datagrams() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    drop(UnixListener::bind(&path).unwrap());
    drop(bind_at(&at(&path)).unwrap());
    drop(UnixDatagram::bind(&path).unwrap());
    let address = Address::UnixDatagram(path.clone());
    drop(Mailbox::bind(&address, Reach::ThisMachine).unwrap());
    assert!(!path.exists());
}

#[test]
fn a_live_servers_socket_file_is_left_alone_and_the_server_not_even_called() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let first = UnixListener::bind(&path).unwrap();
    first.set_nonblocking(true).unwrap();
    let error = bind_at(&at(&path)).unwrap_err();
    assert!(matches!(error, SocketError::InUse { .. }), "{error}");
    let nobody = first.accept().unwrap_err();
    assert_eq!(nobody.kind(), io::ErrorKind::WouldBlock);

    let mailbox = dir.path().join("d");
    let _second = UnixDatagram::bind(&mailbox).unwrap();
    let error = bind_at(&at(&mailbox)).unwrap_err();
    assert!(matches!(error, SocketError::InUse { .. }), "{error}");
}

#[test]
fn what_is_no_socket_is_never_removed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("precious");
    fs::write(&path, "data").unwrap();
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for place in [&path, &link, &dir.path().to_owned()] {
        let error = bind_at(&at(place)).unwrap_err();
        assert!(matches!(error, SocketError::NoSocket { .. }), "{error}");
    }
    assert_eq!(fs::read(&link).unwrap(), b"data");
}

#[test]
fn a_file_that_took_the_sockets_place_is_not_removed_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let listener = bind_at(&at(&path)).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, "mine").unwrap();
    drop(listener);
    assert_eq!(fs::read(&path).unwrap(), b"mine");
}
