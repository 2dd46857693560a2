//! The first bytes of a line, looked at before TLS is let near them.

use std::fmt;

/// `ContentType` handshake and alert (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 22;
const ALERT: u8 = 21;

/// `TLSPlaintext.length` is at most 2^14 before keys are agreed (RFC 8446 section 5.1).
const MAX_PLAIN_BYTES: u16 = 1 << 14;

/// Which side looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

/// What spoke instead of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stranger {
    /// A browser, a probe, a proxy; or a web server.
    Http,
    /// ssh or sshd: the port is another service's.
    Ssh,
    /// Anything else.
    Unknown,
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stranger::Http => "HTTP",
            Stranger::Ssh => "SSH",
            Stranger::Unknown => "no TLS",
        })
    }
}

/// What the bytes so far can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    /// TLS may begin so, but more is needed to tell.
    Undecided,
    Tls,
    Stranger(Stranger),
}

/// Judges the first bytes that `side` has received.
pub(super) fn judge(side: Side, bytes: &[u8]) -> Opening {
    let may_be =
        |at: usize, fits: &dyn Fn(u8) -> bool| bytes.get(at).is_none_or(|byte| fits(*byte));
    let hello = match side {
        Side::Client => 2,
        Side::Server => 1,
    };
    // A server may answer with an alert; a client never begins with one.
    let alert = side == Side::Client && bytes.first() == Some(&ALERT);
    let tls = may_be(0, &|kind| kind == HANDSHAKE || alert)
        && may_be(1, &|major| major == 3)
        && may_be(2, &|minor| minor <= 3)
        && (alert || may_be(5, &|kind| kind == hello));
    let length = match bytes {
        [_, _, _, high, low, ..] => {
            (1..=MAX_PLAIN_BYTES).contains(&u16::from_be_bytes([*high, *low]))
        }
        _ => true,
    };
    match (tls && length, bytes.len()) {
        (true, 6..) => Opening::Tls,
        (true, _) => Opening::Undecided,
        (false, _) => Opening::Stranger(stranger(bytes)),
    }
}

/// Only for the message: by what has come, which may be a part of the word.
fn stranger(bytes: &[u8]) -> Stranger {
    const METHODS: [&[u8]; 11] = [
        b"GET ",
        b"POST ",
        b"HEAD ",
        b"PUT ",
        b"DELETE ",
        b"OPTIONS ",
        b"CONNECT ",
        b"TRACE ",
        b"PATCH ",
        b"PRI * HTTP/2",
        b"HTTP/",
    ];
    let begins = |word: &&[u8]| bytes.starts_with(word) || word.starts_with(bytes);
    if METHODS.iter().any(begins) {
        Stranger::Http
    } else if begins(&&b"SSH-"[..]) {
        Stranger::Ssh
    } else {
        Stranger::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_is_tls_once_its_sixth_byte_is_there() {
        let hello = [22, 3, 1, 0x02, 0, 1, 0];
        for len in 0..6 {
            assert_eq!(judge(Side::Server, &hello[..len]), Opening::Undecided);
        }
        assert_eq!(judge(Side::Server, &hello[..6]), Opening::Tls);
        assert_eq!(judge(Side::Client, &[22, 3, 3, 0, 90, 2]), Opening::Tls);
        assert_eq!(judge(Side::Client, &[21, 3, 3, 0, 2, 2]), Opening::Tls);
    }

    #[test]
    fn what_http_begins_with_is_known_at_its_first_byte() {
        for method in [
            "GET /",
            "POST /",
            "HEAD / HTTP/1.1",
            "PRI * HTTP/2.0",
            "OPTIONS *",
        ] {
            for len in 1..method.len() {
                let judged = judge(Side::Server, &method.as_bytes()[..len]);
                assert_eq!(judged, Opening::Stranger(Stranger::Http), "{method} {len}");
            }
        }
    }

    #[test]
    fn what_is_no_tls_is_turned_away_at_the_byte_that_shows_it() {
        let cases: [(&[u8], Stranger); 9] = [
            (b"SSH-2.0-OpenSSH_9.2", Stranger::Ssh),
            (&[0x80, 0x2e, 1, 0, 2], Stranger::Unknown),
            (&[22, 2], Stranger::Unknown),
            (&[22, 3, 4], Stranger::Unknown),
            (&[22, 3, 1, 0, 0], Stranger::Unknown),
            (&[22, 3, 1, 0x40, 1], Stranger::Unknown),
            (&[22, 3, 1, 1, 0, 2], Stranger::Unknown),
            (&[21, 3, 3, 0, 2, 1], Stranger::Unknown),
            (&[23, 3, 3], Stranger::Unknown),
        ];
        for (bytes, stranger) in cases {
            let judged = judge(Side::Server, bytes);
            assert_eq!(judged, Opening::Stranger(stranger), "{bytes:02x?}");
        }
    }
}
