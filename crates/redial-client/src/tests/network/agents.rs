//! Keys that an agent holds: the real one, security keys, and agents that go wrong.

use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};
use std::sync::Arc;
use std::time::Duration;

use redial_net::auth::PublicKey;
use ring::digest::{SHA256, digest};
use ring::signature::{Ed25519KeyPair, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

use super::files::{has, keygen};
use super::home::{Home, key, with};
use super::{Server, refused};

const SK: &str = "sk-ssh-ed25519@openssh.com";
const FAILURE: [u8; 1] = [5];

/// ssh-agent, until the test is over.
struct RealAgent {
    process: std::process::Child,
    socket: PathBuf,
}

impl RealAgent {
    fn start(home: &Home) -> Self {
        let socket = home.path("agent");
        let process = Process::new("ssh-agent")
            .arg("-D")
            .arg("-a")
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        RealAgent { process, socket }
    }

    fn add(&self, file: &Path) -> bool {
        let mut add = Process::new("ssh-add");
        add.arg("-q").arg(file).env("SSH_AUTH_SOCK", &self.socket);
        let added = add.stdin(Stdio::null()).stderr(Stdio::null()).status();
        added.unwrap().success()
    }

    /// Adds keys, once the agent listens.
    async fn hold(&self, files: &[PathBuf]) {
        super::super::soon(async {
            while !files.iter().all(|file| self.add(file)) {
                tokio::time::sleep(Duration::from_millis(20)).await; // bounded poll
            }
        })
        .await;
    }
}

impl Drop for RealAgent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn keys_of_ssh_agent_let_us_in_without_their_files() {
    let name = "keys_of_ssh_agent_let_us_in_without_their_files";
    if !(has("ssh-agent", name) && has("ssh-add", name) && has("ssh-keygen", name)) {
        return;
    }
    let home = Home::new();
    let agent = RealAgent::start(&home);
    let kinds: [(&str, &[&str]); 3] = [
        ("a", &["ed25519"]),
        ("b", &["rsa", "-b", "2048"]),
        ("c", &["ecdsa"]),
    ];
    let keys = kinds.map(|(name, kind)| keygen(&home, name, kind));
    let files = kinds.map(|(name, _)| home.path(&format!(".ssh/{name}")));
    agent.hold(&files).await;
    for file in &files {
        std::fs::remove_file(file).unwrap();
        std::fs::remove_file(file.with_extension("pub")).unwrap();
    }
    let options = with(home.network().agent(Some(agent.socket.clone())));
    for key in keys {
        let server = Server::start(vec![key.clone()]).await;
        home.know(&server);
        server.connect(options.clone()).await.unwrap();
        let proves = format!("ada proves {}", key.fingerprint());
        assert_eq!(server.seen(), ["ada asks about 3".to_owned(), proves]);
    }
}

/// An agent that answers each request as it is told.
fn fake_agent(home: &Home, answer: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static) -> PathBuf {
    let socket = home.path("fake");
    let _ = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).unwrap();
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((mut line, _)) = listener.accept().await {
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                let Ok(len) = line.read_u32().await else {
                    return;
                };
                let mut request = vec![0; len as usize];
                line.read_exact(&mut request).await.unwrap();
                let answered = tokio::task::spawn_blocking(move || answer(&request));
                // The client may have gone.
                let _ = line.write_all(&answered.await.unwrap()).await;
                // It waits for more, as agents do.
                let _ = line.read_u8().await;
            });
        }
    });
    socket
}

fn string(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

fn identities(keys: &[(&[u8], &str)]) -> Vec<u8> {
    let count = u32::try_from(keys.len()).unwrap();
    let mut answer = [&[12][..], &count.to_be_bytes()].concat();
    for (blob, comment) in keys {
        answer.extend(string(blob));
        answer.extend(string(comment.as_bytes()));
    }
    string(&answer)
}

fn ring_key(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

/// Blob and data of a request to sign.
fn asked(request: &[u8]) -> (&[u8], &[u8]) {
    let take = |from: usize| {
        let len = u32::from_be_bytes(request[from..from + 4].try_into().unwrap()) as usize;
        &request[from + 4..from + 4 + len]
    };
    let blob = take(1);
    (blob, take(5 + blob.len()))
}

fn signed(signature: &[u8]) -> Vec<u8> {
    string(&[&[14][..], &string(signature)].concat())
}

/// What a security key of the test's own signs (OpenSSH's PROTOCOL.u2f).
fn sk_signature(pair: &Ed25519KeyPair, data: &[u8]) -> Vec<u8> {
    let seen = [1, 0, 0, 0, 7];
    let message = [
        digest(&SHA256, b"ssh:").as_ref(),
        &seen,
        digest(&SHA256, data).as_ref(),
    ]
    .concat();
    let signature = pair.sign(&message);
    [
        string(SK.as_bytes()),
        string(signature.as_ref()),
        seen.to_vec(),
    ]
    .concat()
}

#[tokio::test]
async fn a_security_key_in_an_agent_lets_us_in() {
    let home = Home::new();
    let public = ring_key(5);
    let public = public.public_key().as_ref();
    let blob = [string(SK.as_bytes()), string(public), string(b"ssh:")].concat();
    let key = PublicKey::from_blob(&blob).unwrap();
    // Its file is of no use without the agent, and of none with it.
    home.write(".ssh/id_ed25519_sk.pub", &key.to_text());
    let socket = fake_agent(&home, move |request| match request[0] {
        11 => identities(&[(&blob, "token")]),
        _ => signed(&sk_signature(&ring_key(5), asked(request).1)),
    });
    let server = Server::start(vec![key.clone()]).await;
    home.know(&server);
    let options = with(home.network().agent(Some(socket)));
    server.connect(options).await.unwrap();
    assert_eq!(server.seen(), [format!("ada proves {}", key.fingerprint())]);
}

#[tokio::test]
async fn a_touch_may_take_longer_than_the_line() {
    const LIMIT: Duration = Duration::from_secs(2);
    let home = Home::new();
    let key = key(1).public_key().clone();
    let held = key.clone();
    let socket = fake_agent(&home, move |request| match request[0] {
        11 => identities(&[(held.blob(), "token")]),
        _ => {
            let (_never, touched) = std::sync::mpsc::channel::<()>();
            let _ = touched.recv_timeout(LIMIT + Duration::from_millis(100));
            let signature = ring_key(1).sign(asked(request).1);
            signed(&[string(b"ssh-ed25519"), string(signature.as_ref())].concat())
        }
    });
    let server = Server::start(vec![key]).await;
    home.know(&server);
    let options = with(home.network().agent(Some(socket)));
    server
        .connect(options.connect_timeout(LIMIT))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_key_that_the_agent_refuses_is_named_and_another_is_tried() {
    let home = Home::new();
    let (bound, free) = (key(1).public_key().clone(), key(2).public_key().clone());
    let held = bound.clone();
    let socket = fake_agent(&home, move |request| match request[0] {
        11 => identities(&[(held.blob(), "bound key")]),
        _ => string(&FAILURE),
    });
    home.write_key("id_ed25519", 2);
    let options = with(home.network().agent(Some(socket)));
    let server = Server::start(vec![bound.clone(), free]).await;
    home.know(&server);
    server.connect(options.clone()).await.unwrap();
    let server = Server::start(vec![bound.clone()]).await;
    home.know(&server);
    let text = refused(&server, options).await;
    for needle in [
        "bound key",
        &bound.fingerprint(),
        "refuses to sign",
        "ssh-add -h",
        "locked",
    ] {
        assert!(text.contains(needle), "{needle}: {text}");
    }
}

#[tokio::test]
async fn a_key_in_a_file_that_the_agent_refuses_is_used_from_the_file() {
    let home = Home::new();
    let key = home.write_key("id_ed25519", 1);
    let held = key.clone();
    let socket = fake_agent(&home, move |request| match request[0] {
        11 => identities(&[(held.blob(), "")]),
        _ => signed(b"nonsense"),
    });
    let server = Server::start(vec![key]).await;
    home.know(&server);
    let options = with(home.network().agent(Some(socket)));
    server.connect(options).await.unwrap();
}

#[tokio::test]
async fn a_signature_that_is_none_is_not_sent() {
    let home = Home::new();
    let key = key(1).public_key().clone();
    let held = key.clone();
    let socket = fake_agent(&home, move |request| match request[0] {
        11 => identities(&[(held.blob(), "liar")]),
        // A good signature of something else.
        _ => {
            let signature = ring_key(1).sign(b"something else");
            signed(&[string(b"ssh-ed25519"), string(signature.as_ref())].concat())
        }
    });
    let server = Server::start(vec![key]).await;
    home.know(&server);
    let text = refused(&server, with(home.network().agent(Some(socket)))).await;
    assert!(text.contains("does not fit"), "{text}");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn an_agent_that_answers_nonsense_or_nothing_is_passed_over() {
    let home = Home::new();
    let key = home.write_key("id_ed25519", 1);
    let server = Server::start(vec![key]).await;
    home.know(&server);
    let answers: [&[u8]; 10] = [
        &[],
        &[0, 0, 0, 0],
        &[0xff, 0xff, 0xff, 0xff],
        &[0, 4, 0, 1, 12],
        &[0, 0, 0, 1, 5],
        &[0, 0, 0, 1, 12],
        &[0, 0, 0, 5, 12, 0xff, 0xff, 0xff, 0xff],
        &[0, 0, 0, 9, 12, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff],
        &[0, 0, 0, 14, 12, 0, 0, 0, 1, 0, 0, 0, 1, 7, 0, 0, 0, 1],
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ];
    for answer in answers {
        let socket = fake_agent(&home, move |_| answer.to_vec());
        let options = with(home.network().agent(Some(socket)));
        server.connect(options).await.unwrap();
    }
    let nobody = with(home.network().agent(Some(home.path("nobody"))));
    server.connect(nobody).await.unwrap();
}

#[tokio::test]
async fn with_identities_only_an_agents_other_keys_stay_out() {
    let home = Home::new();
    let (named, other) = (key(1).public_key().clone(), key(2).public_key().clone());
    let (one, two) = (named.clone(), other.clone());
    let socket = fake_agent(&home, move |request| match request[0] {
        11 => identities(&[(two.blob(), "other"), (one.blob(), "named")]),
        _ => {
            let signature = ring_key(1).sign(asked(request).1);
            signed(&[string(b"ssh-ed25519"), string(signature.as_ref())].concat())
        }
    });
    home.write(".ssh/work.pub", &named.to_text());
    let config = format!(
        "IdentityFile ~/.ssh/work\nIdentitiesOnly yes\nIdentityAgent {}\n",
        socket.display()
    );
    home.write(".ssh/config", &config);
    let server = Server::start(vec![named.clone(), other]).await;
    home.know(&server);
    server.connect(home.options()).await.unwrap();
    assert_eq!(
        server.seen(),
        [format!("ada proves {}", named.fingerprint())]
    );
}
