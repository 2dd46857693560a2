//! The cases that were thought of.

use redial_auth::authorized_keys::Now;

use super::fill::{replace, stamp};

/// Which key a case uses.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Ed25519,
    /// Made by ssh-keygen with this `-t` and more.
    Keygen(&'static [&'static str]),
}

/// Lines of authorized_keys, and the address the login comes from.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) name: String,
    lines: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) source: &'static str,
    /// Why we refuse what sshd takes.
    pub(crate) stricter: Option<&'static str>,
    /// Why we take what sshd refuses.
    pub(crate) own: Option<&'static str>,
}

impl Case {
    pub(crate) fn new(lines: &str) -> Case {
        Case {
            name: lines.escape_debug().take(120).collect(),
            lines: lines.as_bytes().to_vec(),
            kind: Kind::Ed25519,
            source: "127.0.0.1",
            stricter: None,
            own: None,
        }
    }

    /// The login that shows that logins work.
    pub(crate) fn control() -> Case {
        Case::new("{key}")
    }

    fn from(lines: &str, source: &'static str) -> Case {
        Case {
            name: format!("{source}: {lines}"),
            source,
            ..Case::new(lines)
        }
    }

    fn of(kind: &'static [&'static str], lines: &str) -> Case {
        Case {
            name: format!("{kind:?}: {lines}"),
            kind: Kind::Keygen(kind),
            ..Case::new(lines)
        }
    }

    pub(crate) fn own(self, why: &'static str) -> Case {
        Case {
            own: Some(why),
            ..self
        }
    }

    fn stricter(self, why: &'static str) -> Case {
        Case {
            stricter: Some(why),
            ..self
        }
    }

    /// The lines with keys and times put in: `{key}` (kind and base64), `{blob}` (base64 only),
    /// `{other}` another key; `{soon}`, `{past}` two hours from now in the server's local time,
    /// `{soonZ}`, `{pastZ}` in UTC.
    pub(crate) fn lines(&self, key: &str, other: &str, now: Now) -> Vec<u8> {
        let mut words = key.split_whitespace();
        let (kind, blob) = (words.next().unwrap(), words.next().unwrap());
        let key = format!("{kind} {blob}");
        let local = now.unix_seconds + u64::from(now.utc_offset_seconds.unsigned_abs());
        let mut lines = self.lines.clone();
        for (name, value) in [
            ("{key}", key),
            ("{blob}", blob.to_owned()),
            ("{other}", other.to_owned()),
            ("{soon}", stamp(local + 7_200)),
            ("{past}", stamp(local - 7_200)),
            ("{soonZ}", stamp(now.unix_seconds + 7_200) + "Z"),
            ("{pastZ}", stamp(now.unix_seconds - 7_200) + "Z"),
        ] {
            lines = replace(&lines, name.as_bytes(), value.as_bytes());
        }
        lines
    }
}

/// All of them.
pub(crate) fn listed() -> Vec<Case> {
    [
        shape(),
        flags(),
        values(),
        sources(),
        expiries(),
        kinds(),
        differences(),
    ]
    .concat()
}

/// How lines are made of options, key and comment.
fn shape() -> Vec<Case> {
    let mut cases: Vec<Case> = [
        "{key} a comment",
        "  \t{key}\t comment",
        "# {key}",
        "{key}\r",
        "{key} comment\r",
        "ssh-ed25519\t  {blob}",
        "ssh-ed25519 {blob}x",
        "ssh-ed25519 {blob}=",
        "ssh-ed25519",
        "SSH-ED25519 {blob}",
        "ssh-rsa {blob}",
        "{blob}",
        "ssh-ed25519 AAAA {key}",
        "pty {key}",
        "pty\t \t{key}",
        "pty , {key}",
        "pty, {key}",
        ",pty {key}",
        "pty,,no-pty {key}",
        ", {key}",
        "\"\" {key}",
        "\"pty\" {key}",
        "pty \"x\" {key}",
        "pty pty {key}",
        "command=\"unended {key}",
        "command=\"echo a b\" {key}",
        "command=\"echo a\\\" b\\\"\" {key}",
        "command=\"echo \\\\\\\" b \\\"\" {key}",
        "command=\"a\"b\"c\" {key}",
        "\\\"pty {key}",
        "no-such-option {key}",
        "no-such-option=\"x\" {key}",
        "pty=\"x\" {key}",
        "pty= {key}",
        "ptyx {key}",
        "{other}\n{key}\n{other}",
        "no-such-option {key}\nno-pty {key}",
        "expiry-time=\"{pastZ}\" {key}\ncommand=\"echo second\" {key}\n{key}",
        "no-such-option {other}\n{key}",
        "{key}\u{e9}\u{ff}",
        "{key} #",
        "pty#{key}",
    ]
    .map(Case::new)
    .into();
    let mut nul = Case::new("{key} behind");
    nul.name = "a NUL in the comment".to_owned();
    nul.lines.extend_from_slice(b" a\0b");
    let mut before = Case::new("pty");
    before.name = "a NUL before the key".to_owned();
    before.lines.extend_from_slice(b"\0 {key}");
    let mut latin1 = Case::new("{key} ");
    latin1.name = "a comment that is not UTF-8".to_owned();
    latin1.lines.push(0xe9);
    cases.extend([nul, before, latin1]);
    cases
}

fn flags() -> Vec<Case> {
    [
        "restrict {key}",
        "restrict,pty {key}",
        "pty,restrict {key}",
        "no-pty {key}",
        "no-pty,pty {key}",
        "NO-PTY {key}",
        "ReStRiCt {key}",
        "no-restrict {key}",
        "no-no-pty {key}",
        "no-agent-forwarding,no-port-forwarding,no-X11-forwarding,no-user-rc {key}",
        "restrict,agent-forwarding,port-forwarding,x11-forwarding,user-rc {key}",
        "no-touch-required {key}",
        "touch-required {key}",
        "verify-required {key}",
        "no-verify-required {key}",
        "no-cert-authority {key}",
        "cert-authority {key}",
        "cert-authority,no-pty {key}\n{key}",
        "principals=\"root\" {key}",
        "cert-authority,principals=\"root\" {key}",
    ]
    .map(Case::new)
    .into()
}

fn values() -> Vec<Case> {
    let many = format!("{} {{key}}", ["environment=\"A=1\""; 300].join(","));
    let mut cases: Vec<Case> = [
        "command=\"echo forced:$A:$SSH_ORIGINAL_COMMAND\" {key}",
        "COMMAND=\"echo forced\",no-pty {key}",
        "command=\"true\" {key}",
        "command=\"\" {key}",
        "command=\"echo a\",command=\"echo a\" {key}",
        "command=echo {key}",
        "command {key}",
        "command=\"echo one\", {key}",
        "environment=\"A=1\",environment=\"B=two words\" {key}",
        "environment=\"A=1\",environment=\"A=2\" {key}",
        "environment=\"AB=1\",environment=\"A=2\" {key}",
        "environment=\"A=\" {key}",
        "environment=\"A=b=c\" {key}",
        "environment=\"A\" {key}",
        "environment=\"=1\" {key}",
        "environment=\"A-B=1\" {key}",
        "environment=\"A=say \\\"x\\\"\",command=\"echo $A\" {key}",
        "environment=\"\" {key}",
        "environment=A=1 {key}",
        "permitopen=\"web:80\" {key}",
        "permitopen=\"[::1]:80\",permitopen=\"*:*\" {key}",
        "permitopen=\"web\" {key}",
        "permitopen=\"web:\" {key}",
        "permitopen=\"web:0\" {key}",
        "permitopen=\"web:65535\" {key}",
        "permitopen=\"web:65536\" {key}",
        "permitopen=\"web:80x\" {key}",
        "permitopen=\"web/80\" {key}",
        "permitopen=\":80\" {key}",
        "permitopen=\"[::1]80\" {key}",
        "permitopen=\"[::1\" {key}",
        "permitopen=\"a:b:80\" {key}",
        "permitlisten=\"8080\" {key}",
        "permitlisten=\"localhost:8080\" {key}",
        "permitlisten=\"*\" {key}",
        "permitlisten=\"\" {key}",
        "permitlisten=\"x\" {key}",
    ]
    .map(Case::new)
    .into();
    cases.push(Case::new(&many));
    cases
}

fn sources() -> Vec<Case> {
    let mut cases: Vec<Case> = [
        "127.0.0.1",
        "127.0.0.2",
        "127.0.0.0/8",
        "127.0.0.0/08",
        "127.0.0.1/8",
        "127.0.0.1/32",
        "127.0.0.0/33",
        "127.0.0.0/129",
        "127.0.0.0/",
        "0.0.0.0/0",
        "::/0",
        "127.*",
        "127.0.0.?",
        "128.*",
        "*",
        "!127.0.0.1",
        "!127.0.0.2",
        "*,!127.0.0.1",
        "!127.0.0.2,127.0.0.*",
        "127.0.0.0/8,!127.0.0.0/31",
        "127.0.0.0/8,!127.0.0.1/8",
        "!!127.0.0.1,*",
        "",
        ",",
        "127.0.0.1,",
        ",127.0.0.1",
        "127.0.0.1,!",
        "10.0.0.1, 127.0.0.1",
        "127.0.0.1 ,10.0.0.1",
        "localhost",
        "!localhost,*",
        "*.example.org,127.0.0.1",
        "::1,127.0.0.1",
        "::ffff:127.0.0.1",
        "127.0.0.1.",
        "fe80::1/10,127.0.0.1",
    ]
    .map(|patterns| Case::new(&format!("from=\"{patterns}\" {{key}}")))
    .into();
    cases.push(Case::from("from=\"127.0.0.2\" {key}", "127.0.0.2"));
    cases.push(Case::from(
        "from=\"127.0.0.1\" {key}\nno-pty {key}",
        "127.0.0.2",
    ));
    cases.push(Case::from("from=\"127.0.0.0/31\" {key}", "127.0.0.2"));
    cases.push(Case::from("FROM=\"*\",from=\"*\" {key}", "127.0.0.1"));
    if std::net::TcpListener::bind("[::1]:0").is_ok() {
        for patterns in [
            "::1",
            "::/127",
            "::2",
            "0:0::1",
            "*:1",
            "!::1,*",
            "127.0.0.1,0.0.0.0/0",
        ] {
            cases.push(Case::from(&format!("from=\"{patterns}\" {{key}}"), "::1"));
        }
    }
    cases
}

fn expiries() -> Vec<Case> {
    [
        "{soon}",
        "{past}",
        "{soonZ}",
        "{pastZ}",
        "29991231",
        "20000101",
        "299912312359",
        "20000101Z",
        "29991231235960z",
        "29991231utc",
        "2999123123",
        "299912310",
        "29991301",
        "29990100",
        "299912312400",
        "299912312360",
        "tomorrow",
        "",
        "Z",
        "UTC",
        "19700101",
        "19700101Z",
        "2999-12-31",
        "30001231 ",
        " 9991231",
        "{soonZ}\",expiry-time=\"{past}",
        "{past}\",expiry-time=\"{soon}",
        "29991231\",expiry-time=\"29981231",
    ]
    .map(|time| Case::new(&format!("expiry-time=\"{time}\" {{key}}")))
    .into()
}

fn kinds() -> Vec<Case> {
    vec![
        Case::of(&["ecdsa", "-b", "256"], "no-pty {key}"),
        Case::of(&["ecdsa", "-b", "384"], "{key}"),
        Case::of(&["ecdsa", "-b", "521"], "restrict {key}"),
        Case::of(
            &["ecdsa", "-b", "384", "-C", "b"],
            "ecdsa-sha2-nistp256 {blob}",
        ),
        Case::of(&["rsa", "-b", "2048"], "{key}"),
        Case::of(&["rsa", "-b", "3072"], "rsa-sha2-512 {blob}"),
        Case::of(&["rsa", "-b", "2056"], "rsa-sha2-256 {blob} comment"),
        Case::of(&["rsa", "-b", "2064"], "ssh-dss {blob}"),
    ]
}

/// What sshd takes and we do not.
fn differences() -> Vec<Case> {
    let long = "c".repeat(redial_auth::limits::LINE_BYTES);
    vec![
        Case::new("tunnel=\"0\" {key}").stricter("an option that is not known here"),
        Case::of(&["rsa", "-b", "1024"], "{key}").stricter("RSA of less than 2048 bits"),
        Case::new("from=\"127.1\" {key}").stricter("an address in an unusual form"),
        Case::new("from=\"0x7f.0.0.1\" {key}").stricter("an address in an unusual form"),
        Case::new("from=\"127.0.0.1,fe80::1%lo\" {key}").stricter("an address with a zone"),
        Case::new("expiry-time=\"29990231\" {key}").stricter("no day of the calendar"),
        Case::new("from=\"256.0.0.1,127.0.0.1\" {key}").stricter("an address in an unusual form"),
        Case::new("permitopen=\"web:ssh\" {key}").stricter("a service's name for a port"),
        Case::new("permitlisten=\"web:ssh\" {key}").stricter("a service's name for a port"),
        Case::new(&format!("{{key}} {long}")).stricter("a line of more than 64 KiB"),
    ]
}
