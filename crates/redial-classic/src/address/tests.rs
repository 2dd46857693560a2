//! Tests of reading, showing and resolving addresses.

use super::*;

fn tcp(host: &str, port: u16) -> Address {
    Address::Tcp(place(host, port))
}

fn place(host: &str, port: u16) -> HostPort {
    let host = host.to_owned();
    HostPort { host, port }
}

#[test]
fn every_accepted_form_is_read_and_shown_with_its_scheme() {
    for (text, address, shown) in [
        (
            "127.0.0.1:8080",
            tcp("127.0.0.1", 8080),
            "tcp:127.0.0.1:8080",
        ),
        ("tcp:web1:80", tcp("web1", 80), "tcp:web1:80"),
        ("localhost:0", tcp("localhost", 0), "tcp:localhost:0"),
        ("[::1]:8080", tcp("::1", 8080), "tcp:[::1]:8080"),
        ("tcp:[::]:1", tcp("::", 1), "tcp:[::]:1"),
        (
            "[fe80::1%eth0]:7",
            tcp("fe80::1%eth0", 7),
            "tcp:[fe80::1%eth0]:7",
        ),
        ("tcp:udp:80", tcp("udp", 80), "tcp:udp:80"),
        (
            "udp:[::1]:53",
            Address::Udp(place("::1", 53)),
            "udp:[::1]:53",
        ),
        (
            "unix:/a:b",
            Address::Unix(PathBuf::from("/a:b")),
            "unix:/a:b",
        ),
        (
            "unixgram:x",
            Address::UnixDatagram(PathBuf::from("x")),
            "unixgram:x",
        ),
    ] {
        let read: Address = text.parse().unwrap();
        assert_eq!(read, address, "{text}");
        assert_eq!(read.to_string(), shown);
        assert_eq!(shown.parse::<Address>().unwrap(), address, "{shown}");
    }
}

#[test]
fn a_text_that_is_no_address_says_what_is_wrong_and_what_is_accepted() {
    for (text, says) in [
        ("", "no port"),
        ("web1", "no port"),
        ("tcp:8080", "no port"),
        ("[::1]", "no port"),
        (":8080", "no host"),
        ("tcp::8080", "no host"),
        ("::1:8080", "brackets"),
        ("[localhost]:80", "IPv6"),
        ("web1:http", "no port: a number"),
        ("web1:65536", "no port: a number"),
        ("web1:+80", "no port: a number"),
        ("web1:", "no port: a number"),
        ("unix:", "path"),
        ("unixgram:", "path"),
    ] {
        let error = text.parse::<Address>().unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn a_path_may_be_any_bytes_but_nul_up_to_the_systems_limit() {
    let of = |len: usize| format!("unix:{}", "x".repeat(len)).parse::<Address>();
    assert!(of(MAX_UNIX_PATH_BYTES).is_ok());
    let one_more = MAX_UNIX_PATH_BYTES + 1;
    assert_eq!(of(one_more), Err(AddressError::LongPath { len: one_more }));
    assert_eq!("unix:a\0b".parse::<Address>(), Err(AddressError::NulInPath));
    assert!(Address::parse(OsStr::from_bytes(b"unix:/\xff")).is_ok());
    let host = Address::parse(OsStr::from_bytes(b"\xff:1"));
    assert_eq!(host, Err(AddressError::NotUtf8));
}

#[test]
fn loopback_and_unix_sockets_are_local_and_nothing_else_is() {
    for (text, local) in [
        ("127.0.0.1:1", true),
        ("127.9.9.9:1", true),
        ("[::1]:1", true),
        ("[::ffff:127.0.0.1]:1", true),
        ("udp:127.0.0.1:1", true),
        ("unix:/x", true),
        ("0.0.0.0:1", false),
        ("[::]:1", false),
        ("[::ffff:192.0.2.1]:1", false),
        ("192.0.2.1:1", false),
        ("[2001:db8::1]:1", false),
    ] {
        let address: Address = text.parse().unwrap();
        assert_eq!(address.is_local().unwrap(), local, "{text}");
    }
}

#[test]
fn a_name_nobody_knows_is_named() {
    // RFC 2606: never registered.
    let address: Address = "host.invalid:1".parse().unwrap();
    let error = address.resolve().unwrap_err().to_string();
    assert!(error.contains("\"host.invalid\""), "{error}");
}
