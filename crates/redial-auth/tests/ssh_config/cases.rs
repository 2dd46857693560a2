//! The cases that were thought of.

/// A settings file, what it includes, and who is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// `{dir}` is where the files are.
    pub(crate) text: Vec<u8>,
    pub(crate) files: &'static [(&'static str, &'static str)],
    pub(crate) host: &'static str,
    pub(crate) user: Option<&'static str>,
    /// Why we make something else of it than ssh 9.2.
    pub(crate) difference: Option<&'static str>,
}

impl Case {
    pub(crate) fn new(text: &str) -> Case {
        Case {
            text: text.as_bytes().to_vec(),
            files: &[],
            host: "web",
            user: None,
            difference: None,
        }
    }

    fn differs(self, why: &'static str) -> Case {
        Case {
            difference: Some(why),
            ..self
        }
    }

    fn with(text: &str, files: &'static [(&'static str, &'static str)]) -> Case {
        Case {
            files,
            ..Case::new(text)
        }
    }
}

/// All of them.
pub(crate) fn listed() -> Vec<Case> {
    let texts = [LINES, VALUES, PROXIES, HOSTS, MATCHES];
    let mut cases: Vec<Case> = texts.concat().iter().map(|text| Case::new(text)).collect();
    cases.extend(asked());
    cases.extend(includes());
    cases.extend(differences());
    cases
}

/// How lines are made of a keyword and values.
const LINES: &[&str] = &[
    "",
    "# User x\n  # User x\n\t#User x\n",
    "User x",
    "  \tUser \t x  \r\n",
    "User x\x0c\r\n",
    "user=x\n",
    "USER = x\n",
    "User= x\n",
    "User =x\n",
    "User= =x\n",
    "User = = x\n",
    "User==x\n",
    "=User x\n",
    "\"User\" x\n",
    "Us\"er\" x\n",
    "\"User\"=x\n",
    "User\n",
    "User \n",
    "User =\n",
    "User \"\"\n",
    "User # x\n",
    "User x # y\n",
    "User x #\"y\n",
    "User x# y\n",
    "User x#y\n",
    "User \"a b\"\n",
    "User 'a b'\n",
    "User \"a'b\"\n",
    "User a\\ b\n",
    "User a\\\\b\n",
    "User a\\\"b\n",
    "User a\\nb\n",
    "User \"a\\ b\"\n",
    "User \"a\n",
    "User a'\n",
    "User \"a\"'b'c\n",
    "User a b\n",
    "User a\\\n",
    "User a\tb\n",
    "User x\nUser y\n",
    "User x\n\n\nPort 3\n",
];

const VALUES: &[&str] = &[
    "Port 3\n",
    "Port 022\n",
    "Port 0\n",
    "Port 65535\n",
    "Port 65536\n",
    "Port -1\n",
    "Port 3x\n",
    "Port \"3\"\n",
    "Port 3 # x\n",
    "Port 3\nPort x\n",
    "Host other\nPort x\n",
    "HostName FOO.example\n",
    "HostName %h.example%%\n",
    "HostName a%n\n",
    "HostName a%\n",
    "HostName a\nHostName %n\n",
    "Host other\nHostName %n\n",
    "HostName 192.0.2.7\n",
    "HostName 2001:db8::1\n",
    "IdentityFile ~/.ssh/one\nIdentityFile ~/.ssh/two\nIdentityFile ~/.ssh/one\n",
    "IdentityFile none\n",
    "IdentityFile None\nIdentityFile x\n",
    "IdentityFile %d/a-%h\n",
    "IdentityFile \"a b\"\n",
    "IdentityFile a b\n",
    "IdentityFile\n",
    "IdentityFile2 x\n",
    "Host other\nIdentityFile x\n",
    "IdentityFile x\nMatch all\nIdentityFile y\n",
    "IdentityAgent none\n",
    "IdentityAgent SSH_AUTH_SOCK\n",
    "IdentityAgent $AGENT\n",
    "IdentityAgent $A-B\n",
    "IdentityAgent $\n",
    "IdentityAgent ${PATH\n",
    "IdentityAgent ${}\n",
    "IdentityAgent ~/agent-%h-%p-%r-%n-%u-%%\n",
    "User u\nPort 3\nHostName h\nIdentityAgent /run/%h-%p-%r-%n\n",
    "IdentityAgent %d/a\nIdentityAgent b\n",
    "IdentityAgent ${PATH}/a\n",
    "IdentityAgent /a$b\n",
    "IdentityAgent \"~/a b\"\n",
    "IdentitiesOnly yes\n",
    "IdentitiesOnly YES\n",
    "IdentitiesOnly true\n",
    "IdentitiesOnly no\nIdentitiesOnly yes\n",
    "IdentitiesOnly maybe\n",
    "IdentitiesOnly\n",
    "Host other\nIdentitiesOnly maybe\n",
    "ForwardAgent yes\nCompression no\nServerAliveInterval 5\nUser x\n",
];

const PROXIES: &[&str] = &[
    "ProxyJump jump\n",
    "ProxyJump ada@jump:2222\n",
    "ProxyJump = jump\n",
    "ProxyJump == jump\n",
    "ProxyJump ssh://ada@jump:2222\n",
    "ProxyJump ssh://ada@jump/\n",
    "ProxyJump ssh://jump/x\n",
    "ProxyJump ssh://\n",
    "ProxyJump ssh://[::1]:3\n",
    "ProxyJump SSH://jump:3\n",
    "ProxyJump one,ada@two:3,three\n",
    "ProxyJump one,two # three\n",
    "ProxyJump one#two\n",
    "ProxyJump #\n",
    "ProxyJump one,,two\n",
    "ProxyJump one,\n",
    "ProxyJump one, two\n",
    "ProxyJump [2001:db8::1]:3\n",
    "ProxyJump ada@[2001:db8::1]\n",
    "ProxyJump [2001:db8::1\n",
    "ProxyJump ::1\n",
    "ProxyJump 192.0.2.1:3\n",
    "ProxyJump a:x\n",
    "ProxyJump a:0\n",
    "ProxyJump a:70000\n",
    "ProxyJump a:\n",
    "ProxyJump @a\n",
    "ProxyJump a@b@c:3\n",
    "ProxyJump a/3\n",
    "ProxyJump none\n",
    "ProxyJump None\nProxyJump x\n",
    "ProxyJump none\nProxyCommand x\n",
    "ProxyJump none\nProxyJump x\n",
    "ProxyJump none\nProxyCommand none\nProxyJump x\n",
    "ProxyJump none\nProxyCommand x\nProxyJump y\n",
    "ProxyCommand none\nProxyJump none\nProxyCommand x\n",
    "ProxyJump none,a\n",
    "ProxyJump a\nProxyCommand b\n",
    "ProxyCommand a\nProxyJump b\n",
    "ProxyCommand none\nProxyJump b\n",
    "ProxyCommand nc %h %p\n",
    "ProxyCommand nc \"a  b\" # c  \n",
    "ProxyCommand=nc\n",
    "ProxyCommand = = nc\n",
    "ProxyCommand \"nc a\"\n",
    "ProxyCommand it's\n",
    "ProxyCommand a \\\"b\n",
    "ProxyCommand #x\n",
    "ProxyCommand none # x\nProxyJump a\n",
    "ProxyCommand\n",
    "Host other\nProxyJump a:x\n",
    "Host other\nProxyCommand it's\n",
];

const HOSTS: &[&str] = &[
    "Host web\nUser x\n",
    "Host WEB\nUser x\n",
    "Host other web\nUser x\n",
    "Host other,web\nUser x\n",
    "Host w*\nUser x\n",
    "Host w?b\nUser x\n",
    "Host w?\nUser x\n",
    "Host *\nUser x\n",
    "Host * !web\nUser x\n",
    "Host !web *\nUser x\n",
    "Host !other\nUser x\n",
    "Host !other *\nUser x\n",
    "Host \"web\"\nUser x\n",
    "Host 'w'eb\nUser x\n",
    "Host web # other\nUser x\n",
    "Host # web\nUser x\n",
    "Host web#x\nUser x\n",
    "Host\nUser x\n",
    "Host \"\"\nUser x\n",
    "Host web \"\"\nUser x\n",
    "Host * !web \"\"\nUser x\n",
    "Host=web\nUser x\n",
    "Host other\nUser x\nHost web\nUser y\nHost *\nUser z\nPort 3\n",
    "User a\nHost web\nUser b\n",
    "HostName other\nHost other\nUser x\n",
];

const MATCHES: &[&str] = &[
    "Match all\nUser x\n",
    "Match ALL # y\nUser x\n",
    "Match !all\nUser x\n",
    "Match all host web\nUser x\n",
    "Match host web all\nUser x\n",
    "Match host other all\nUser x\n",
    "Match host web user * all\nUser x\n",
    "Match host web\nUser x\n",
    "Match HOST WEB\nUser x\n",
    "Match host=web\nUser x\n",
    "Match host = web user=*\nUser x\n",
    "Match host \"other,web\"\nUser x\n",
    "Match host 'web'\nUser x\n",
    "Match host !other,web\nUser x\n",
    "Match host *,!web\nUser x\n",
    "Match host !other\nUser x\n",
    "Match !host other\nUser x\n",
    "Match !host web\nUser x\n",
    "Match ! host web\nUser x\n",
    "Match host web,\nUser x\n",
    "Match host\nUser x\n",
    "Match host #web\nUser x\n",
    "Match host \"\"\nUser x\n",
    "Match host web \"\"\nUser x\n",
    "Match host web \"\" y\nUser x\n",
    "Match host web # \"y\nUser x\n",
    "Match host \"web\nUser x\n",
    "Match\nUser x\n",
    "Match # all\nUser x\n",
    "Match \"\"\nUser x\n",
    "Match host web originalhost w*\nUser x\n",
    "Match host web originalhost other\nUser x\n",
    "HostName Real\nMatch host real\nUser x\nMatch originalhost WEB\nPort 3\n",
    "HostName real\nMatch host web\nUser x\n",
    "User bob\nMatch user bob\nPort 3\n",
    "User bob\nMatch user BOB\nPort 3\n",
    "Match user !bob,*\nPort 3\n",
    "Match localuser *\nPort 3\n",
    "User bob\nMatch localuser bob\nPort 3\n",
    "Match canonical\nUser x\n",
    "Match !canonical\nUser x\n",
    "Match !canonical all\nUser x\n",
    "Match canonical host web\nUser x\nMatch host web\nUser y\n",
    "Match exec false\nUser x\nMatch all\nPort 3\n",
    "Match exec\nUser x\n",
    "Match host other exec true\nUser x\n",
    "Match exec true host other\nUser x\n",
];

/// Who is asked for.
fn asked() -> Vec<Case> {
    let of = |host, user, text| Case {
        host,
        user,
        ..Case::new(text)
    };
    vec![
        of("WEB", None, "Host web\nUser x\nHost WEB\nUser y\n"),
        of(
            "WEB",
            None,
            "HostName %h.Example\nMatch host web.example\nUser y\n",
        ),
        of("WEB", None, "Match originalhost web\nUser y\n"),
        of(
            "web",
            Some("ada"),
            "User x\nMatch user ada\nPort 3\nMatch user x\nPort 4\n",
        ),
        of("web", Some("ada"), "Match !user ada,bob\nPort 3\n"),
        of("2001:db8::1", None, "Host 2001:db8:*\nUser x\n"),
        of(
            "192.0.2.7",
            None,
            "Host 192.0.2.?\nUser x\nIdentityAgent /%h\n",
        ),
        of(
            "a.b.example",
            None,
            "Host *.example !*.b.*\nUser x\nHost a.*\nUser y\n",
        ),
    ]
}

fn includes() -> Vec<Case> {
    let users: &[_] = &[("a1", "User x\n"), ("a2", "User y\nPort 3\n")];
    let blocks: &[_] = &[("a", "Host other\nUser x\nMatch all\nPort 3\nHost other\n")];
    let bad: &[_] = &[("a", "Port x\n")];
    let nested: &[_] = &[
        ("a", "Include {dir}/b\nUser x\n"),
        ("b", "Match all\nUser y\n"),
    ];
    let itself: &[_] = &[("a", "Include {dir}/a\n")];
    vec![
        Case::with("Include {dir}/a1\n", users),
        Case::with("Include {dir}/a*\nUser z\n", users),
        Case::with("Include {dir}/a2 \"{dir}/a1\" # {dir}/a1\n", users),
        Case::with("Include {dir}/none {dir}/a1\n", users),
        Case::with("Host other\nInclude {dir}/a*\n", users),
        Case::with("Host web\nInclude {dir}/a*\nUser z\n", users),
        Case::with("Include {dir}/a\nUser z\n", blocks),
        Case::with("Host other\nInclude {dir}/a\nPort 4\n", blocks),
        Case::with("Match host web\nInclude {dir}/a\nIdentityFile y\n", blocks),
        Case::with("Include {dir}/a\n", bad),
        Case::with("Host other\nInclude {dir}/a\n", bad),
        Case::with("Include {dir}/a\n", nested),
        Case::with("Include {dir}/a\n", itself),
        Case::with("Include \"\"\n", users),
        Case::with("Include\n", users),
    ]
}

/// What is made otherwise here.
fn differences() -> Vec<Case> {
    let mut cases = Vec::new();
    for (text, why) in [
        ("Match exec true\nUser x\n", "nothing is run"),
        ("Match !exec false\nUser x\n", "nothing is run"),
        ("Match final\nUser x\n", "one reading only"),
        (
            "HostName b\nHost b\nUser x\nMatch final host b\nPort 3\n",
            "one reading only",
        ),
        (
            "Match host web tagged y\nUser x\n",
            "a criterion of later ones",
        ),
        ("Match hostx web\nUser x\n", "a criterion that is not known"),
        ("NoSuchKeyword x\nUser x\n", "a keyword that is not taken"),
        ("ForwardAgent\nUser x\n", "a keyword that is not taken"),
        ("ForwardAgent \"x\nUser x\n", "a keyword that is not taken"),
        ("\"User x\nPort 3\n", "a quote in a keyword"),
        ("Port ssh\n", "a name of a service"),
        ("Port +3\n", "a sign"),
        ("User a\0b\n", "a NUL"),
        ("IdentityAgent None\n", "`none` in any case of letters"),
        ("ProxyJump none # x\n", "a comment behind `none`"),
        ("ProxyJump a b\n", "a blank in a name"),
        ("ProxyJump \"a\"\n", "a quote in a name"),
        ("ProxyJump -a\n", "an option"),
        ("ProxyJump a;b\n", "something for a shell"),
        ("ProxyJump %h\n", "a token, which is none there"),
        ("ProxyJump a:ssh\n", "a name of a service"),
        ("ProxyCommand ==\n", "an empty command"),
        (
            "ProxyJump web\n",
            "the host through itself: the caller refuses",
        ),
    ] {
        cases.push(Case::new(text).differs(why));
    }
    let mut latin1 = Case::new("User ").differs("not UTF-8");
    latin1.text.extend_from_slice(b"\xe9\n");
    let mut passed = Case::new("Host other\nUser ");
    passed.text.extend_from_slice(b"\xe9\n");
    cases.extend([latin1, passed]);
    cases
}
