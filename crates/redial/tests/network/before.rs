//! Before somebody has proven a key nothing is done for him, whatever he says in whatever order.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use redial_net::auth::{PrivateKey, PublicKey, Statement, sign_proof};
use redial_net::proto::Kind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use crate::sshd::user;
use crate::stranger::{
    Stranger, array, authenticate, bytes, dial, frame, hello, map, source, start, text, uint,
};
use crate::support::network::NetworkServer;
use crate::support::noise;
use crate::support::processes::descendants;
use crate::support::server::terminate;

/// A flag of frames: who does not know the kind may skip it.
const OPTIONAL: u8 = 1;
const SEED: u64 = 0x5eed_0009;
/// Conversations at a time, fewer than the server lets one source have.
const AT_ONCE: usize = 8;

/// A good message of each kind.
fn message(kind: Kind, canary: &Path, key: &[u8]) -> Vec<u8> {
    let (yes, job, none) = (vec![0xf5], bytes(&[0x5a; 16]), array(&[]));
    let done = array(&[uint(0), array(&[uint(0)])]);
    let digest = map(&[uint(0), bytes(&[0; 16]), yes.clone()]);
    match kind {
        Kind::Hello => hello("test"),
        Kind::Authenticate => authenticate(&user(), key, None),
        Kind::Authenticated => map(&[uint(0)]),
        Kind::Goodbye => map(&[uint(0), text("")]),
        Kind::Start => start(&["touch", canary.to_str().unwrap()]),
        Kind::Query => map(&[array(&[uint(3), array(&[job])])]),
        Kind::Answer => map(&[array(&[uint(1), none])]),
        Kind::Attach => map(&[job, yes, uint(0), uint(0), uint(9), uint(9)]),
        Kind::Control => map(&[uint(1), done]),
        Kind::Close | Kind::Holder => map(&[yes]),
        Kind::Ping | Kind::Pong | Kind::Eof | Kind::Credit | Kind::Acknowledge => vec![0; 8],
        Kind::Data => vec![0; 9],
        Kind::StdinClosed => Vec::new(),
        Kind::Missed => map(&[uint(1), uint(0), uint(1)]),
        Kind::Attached => {
            let zero = || uint(0);
            map(&[
                yes.clone(),
                uint(1),
                yes.clone(),
                yes,
                zero(),
                zero(),
                zero(),
                zero(),
                zero(),
            ])
        }
        Kind::Refused => map(&[uint(1), text("")]),
        Kind::Applied => map(&[uint(1)]),
        Kind::Exited => map(&[done]),
        Kind::Ended => {
            let digests = [digest.clone(), digest.clone(), digest];
            let [stdin, stdout, stderr] = digests;
            let cause = array(&[uint(0), none.clone()]);
            map(&[
                done,
                cause,
                stdin,
                stdout,
                stderr,
                none,
                uint(0),
                yes,
                uint(0),
                uint(0),
            ])
        }
    }
}

/// What is said on each connection, four frames long. With the first frame that is not
/// due the server hangs up, so what stands behind such a frame need not be varied in full:
/// all pairs; all triples that begin with a hello; all fours that begin with a hello and
/// authenticate; what follows is chance.
fn conversations() -> Vec<[Kind; 4]> {
    let mut chance = noise(SEED, 100_000).into_iter();
    let mut any = || Kind::ALL[usize::from(chance.next().unwrap()) % Kind::ALL.len()];
    let mut all = Vec::new();
    for &second in Kind::ALL {
        for &first in Kind::ALL {
            all.push([first, second, any(), any()]);
        }
        for &third in Kind::ALL {
            all.push([Kind::Hello, second, third, any()]);
            all.push([Kind::Hello, Kind::Authenticate, second, third]);
        }
    }
    all
}

/// Says it, and what the server does with it: nothing but hello, "no", and goodbye.
///
/// Every fourth says all at once. The others wait for the answer to each frame that is due,
/// so that what is not comes to every state; of these, some mark it as optional.
async fn says(port: u16, number: u32, kinds: [Kind; 4], canary: &Path, key: &[u8]) {
    let mut stranger = Stranger::new(port, source(number)).await;
    let mut frames = kinds.map(|kind| frame(kind, &message(kind, canary, key)));
    let due = |at: usize| match at {
        0 => kinds[0] == Kind::Hello,
        at => kinds[0] == Kind::Hello && kinds[1..=at].iter().all(|it| *it == Kind::Authenticate),
    };
    let (good, mut said) = ((0..4).take_while(|at| due(*at)).count(), Vec::new());
    if !number.is_multiple_of(4) {
        for at in 0..good {
            stranger.send(&frames[at..=at]).await;
            let answer = stranger.next().await.expect("an answer");
            let expected = if at == 0 {
                Kind::Hello
            } else {
                Kind::Authenticated
            };
            assert_eq!(answer.kind, expected as u8, "{kinds:?}");
            said.push(answer);
        }
        if number.is_multiple_of(3) {
            frames[good..]
                .iter_mut()
                .for_each(|frame| frame[5] |= OPTIONAL);
        }
        stranger.send(&frames[good..]).await;
    } else {
        stranger.send(&frames).await;
    }
    while let Some(frame) = stranger.next().await {
        said.push(frame);
    }
    for frame in &said {
        match Kind::try_from(frame.kind) {
            Ok(Kind::Hello | Kind::Goodbye) => {}
            // The key is a good one, but nothing is proven.
            Ok(Kind::Authenticated) => assert_eq!(frame.payload[1..3], [0, 1], "{frame:?}"),
            other => panic!("{kinds:?}: {other:?}"),
        }
    }
    let left = said
        .last()
        .is_some_and(|last| last.kind == Kind::Goodbye as u8);
    assert!(left, "{kinds:?}: {said:?}");
}

#[test]
fn no_sequence_of_messages_starts_anything_before_a_key_is_proven() {
    let server = NetworkServer::start();
    let canary = server.home().join("canary");
    let key = PublicKey::from_text(&server.public_key())
        .unwrap()
        .blob()
        .to_vec();
    let all = conversations();
    let prefixes = |kinds: &[Kind; 4]| (1..=4).map(|len| kinds[..len].to_vec()).collect::<Vec<_>>();
    let distinct: HashSet<Vec<Kind>> = all.iter().flat_map(prefixes).collect();
    println!(
        "seed {SEED:#x}: {} sequences on {} connections",
        distinct.len(),
        all.len()
    );
    assert!(distinct.len() >= 2_000);
    runtime().block_on(async {
        let local = tokio::task::LocalSet::new();
        let (port, canary, key) = (server.port(), canary.as_path(), &key[..]);
        local
            .run_until(async {
                let mut numbered = (1..).zip(all.iter().copied());
                loop {
                    let some: Vec<_> = numbered.by_ref().take(AT_ONCE).collect();
                    if some.is_empty() {
                        break;
                    }
                    let tasks = some.into_iter().map(|(number, kinds)| {
                        let (canary, key) = (canary.to_owned(), key.to_owned());
                        tokio::task::spawn_local(async move {
                            says(port, number, kinds, &canary, &key).await;
                        })
                    });
                    for task in tasks.collect::<Vec<_>>() {
                        task.await.unwrap();
                    }
                }
            })
            .await;
    });
    assert!(!canary.exists(), "something was run");
    let front = |it: &crate::support::processes::Process| it.arguments.contains("--front");
    let reader = |it: &crate::support::processes::Process| it.arguments.contains("--read-keys");
    let children = descendants(server.pid());
    assert!(
        children.iter().all(|it| front(it) || reader(it)),
        "{children:?}"
    );
    let ran = server
        .run()
        .args(["-n", "--", "touch"])
        .args([&canary])
        .ran();
    assert!(
        ran.code == 0 && canary.exists(),
        "the server serves: {}",
        ran.stderr
    );
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

#[test]
fn what_speaks_no_tls_is_dropped_at_once() {
    let server = NetworkServer::start();
    let garbage = noise(SEED, 4_000);
    runtime().block_on(async {
        for (number, bytes) in (1..).zip([
            &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
            b"POST /run HTTP/1.0\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"SSH-2.0-OpenSSH_9.2p1\r\n",
            &frame(Kind::Hello, &hello("plain")),
            &garbage,
            b"\n",
        ]) {
            let began = Instant::now();
            let line = dial(server.port(), source(number)).await.unwrap();
            let mut line = tokio::net::TcpStream::from_std(line).unwrap();
            line.write_all(bytes).await.unwrap();
            let mut said = Vec::new();
            let end = timeout(Duration::from_secs(20), line.read_to_end(&mut said)).await;
            // The end or a reset, but not silence.
            assert!(end.is_ok(), "{bytes:?}");
            assert!(
                began.elapsed() < Duration::from_secs(1),
                "{:?}",
                began.elapsed()
            );
        }
    });
    assert_eq!(server.run().args(["-n", "--", "true"]).ran().code, 0);
}

/// The login of a stranger that is bound to its own connection.
async fn login(server: &NetworkServer, stranger: &mut Stranger) -> Vec<u8> {
    let text = std::fs::read_to_string(server.home().join(".ssh/id_ed25519")).unwrap();
    let key = PrivateKey::from_text(&text, None).unwrap();
    let me = user();
    let nonce = stranger.greet().await;
    let exporter = *stranger.stream.exporter().as_bytes();
    let statement = Statement {
        user: &me,
        key: key.public_key(),
        host_key: &stranger.host_key(),
        nonce: &nonce,
        exporter: &exporter,
    };
    let proof = sign_proof(&key, &statement).unwrap();
    let message = authenticate(&me, key.public_key().blob(), Some(&proof));
    frame(Kind::Authenticate, &message)
}

#[test]
fn a_command_that_comes_with_a_login_runs_if_that_is_a_good_one_and_only_then() {
    let server = NetworkServer::start();
    let canary = |name: &str| server.home().join(name).to_str().unwrap().to_owned();
    let touch = |name: &str, padding: usize| {
        let long = "x".repeat(padding);
        frame(
            Kind::Start,
            &start(&["touch", &canary(name), &canary(&long)]),
        )
    };
    runtime().block_on(async {
        let mut good = Stranger::new(server.port(), source(1)).await;
        let right = login(&server, &mut good).await;
        // Short, and longer than what is taken of a stranger.
        for (number, padding) in [(2, 1), (3, 200), (4, 20_000)] {
            let mut other = Stranger::new(server.port(), source(number)).await;
            other.greet().await;
            let canary = touch("canary", padding);
            other.send(&[right.clone(), canary.clone(), canary]).await;
            let no = other.next().await.unwrap();
            assert_eq!(no.kind, Kind::Authenticated as u8, "{padding}");
            assert_eq!(no.payload[1..3], [0, 2], "{padding}: refused");
            let goodbye = other.next().await.unwrap();
            assert_eq!(goodbye.kind, Kind::Goodbye as u8, "{padding}");
            assert_eq!(goodbye.payload[1..3], [0, 4], "{padding}");
            assert!(other.next().await.is_none(), "{padding}");
        }
        assert!(!server.home().join("canary").exists());
        good.send(&[right, touch("mark", 1)]).await;
        let yes = good.next().await.unwrap();
        assert_eq!(yes.payload, map(&[uint(0)]));
        while good.next().await.unwrap().kind != Kind::Ended as u8 {}
        assert!(server.home().join("mark").exists());
    });
}

#[test]
fn a_server_that_ends_says_goodbye_to_who_has_not_logged_in() {
    let server = NetworkServer::start();
    runtime().block_on(async {
        let mut stranger = Stranger::new(server.port(), source(1)).await;
        stranger.greet().await;
        terminate(server.pid());
        let goodbye = stranger.next().await.expect("a word");
        assert_eq!(goodbye.kind, Kind::Goodbye as u8);
        assert_eq!(goodbye.payload[1..3], [0, 5], "it is shutting down");
    });
}

#[test]
fn a_proof_is_good_on_its_own_connection_alone() {
    let server = NetworkServer::start();
    runtime().block_on(async {
        let mut first = Stranger::new(server.port(), source(1)).await;
        let login = login(&server, &mut first).await;
        // Another connection, while the first is open and before it is used.
        let mut second = Stranger::new(server.port(), source(2)).await;
        second.greet().await;
        second.send(std::slice::from_ref(&login)).await;
        let answer = second.next().await.unwrap();
        assert_eq!(answer.kind, Kind::Authenticated as u8);
        assert_eq!(answer.payload[1..3], [0, 2], "refused");
        first.send(std::slice::from_ref(&login)).await;
        let answer = first.next().await.unwrap();
        assert_eq!(answer.payload, map(&[uint(0)]), "it was a good one");
        // And afterwards.
        let mut third = Stranger::new(server.port(), source(3)).await;
        third.greet().await;
        third.send(std::slice::from_ref(&login)).await;
        assert_eq!(third.next().await.unwrap().payload[1..3], [0, 2], "refused");
    });
}
