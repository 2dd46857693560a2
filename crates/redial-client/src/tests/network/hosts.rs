//! Who the server is: known, unknown, changed, revoked, confirmed by ssh.

use std::sync::Arc;
use std::time::Duration;

use super::home::{Home, Person, key, with};
use super::server::Rules;
use super::{Server, refused};
use crate::network::auth::PublicKey;
use crate::network::{HostQuestion, forget, known_name, list, trust};
use crate::{Interaction, NewHost};

/// A server that lets the home's key in.
async fn pair() -> (Home, Server) {
    let home = Home::new();
    let server = Server::start(vec![home.write_key("id_ed25519", 1)]).await;
    (home, server)
}

fn line(server: &Server, key: &PublicKey) -> String {
    format!("{} {}\n", server.known_name(), key.to_text())
}

/// The same host as ssh knows it.
fn ssh_line(key: &PublicKey) -> String {
    format!("127.0.0.1 {}\n", key.to_text())
}

#[tokio::test]
async fn a_script_stops_at_an_unknown_host_and_says_what_to_do() {
    let (home, server) = pair().await;
    let text = refused(&server, home.options()).await;
    let shown = server.key().fingerprint();
    for needle in [
        "127.0.0.1:",
        &shown,
        "--accept-new",
        &format!("--host-key {shown}"),
        &format!("redial keys trust {}", server.name()),
    ] {
        assert!(text.contains(needle), "{needle}: {text}");
    }
    assert_eq!((home.recorded().as_str(), server.seen().len()), ("", 0));
    // Nobody is there to be asked, which is the default.
    let text = refused(&server, with(home.network().new_host(NewHost::Ask))).await;
    assert!(text.contains(&shown), "{text}");
}

#[tokio::test]
async fn a_new_host_is_accepted_once_and_known_from_then_on() {
    let (home, server) = pair().await;
    let options = with(home.network().new_host(NewHost::Accept));
    server.connect(options).await.unwrap();
    assert_eq!(home.recorded(), line(&server, server.key()));
    server.connect(home.options()).await.unwrap();
    assert_eq!(home.recorded(), line(&server, server.key()));
}

#[tokio::test]
async fn a_person_is_asked_once_between_two_lines() {
    let (home, server) = pair().await;
    let person = Person::agreeing();
    let network = home.network().new_host(NewHost::Ask);
    let options = with(network.interaction(person.clone()));
    server.connect(options.clone()).await.unwrap();
    let asked = person.asked_hosts.lock().unwrap().clone();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].name, server.name());
    assert_eq!(asked[0].key, *server.key());
    assert_eq!(asked[0].doubt, None);
    assert_eq!((server.connections(), server.seen().len()), (2, 1));
    server.connect(options).await.unwrap();
    assert_eq!(person.asked_hosts.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_yes_is_for_the_key_that_was_shown() {
    let home = Home::new();
    let mut rules = Rules::authorized(vec![home.write_key("id_ed25519", 1)]);
    rules.later_host_key = Some(101);
    let server = Server::with(rules).await;
    let person = Person::agreeing();
    let network = home.network().new_host(NewHost::Ask);
    let text = refused(&server, with(network.interaction(person.clone()))).await;
    assert!(text.contains("not known"), "{text}");
    assert_eq!(person.asked_hosts.lock().unwrap().len(), 1);
    assert_eq!((home.recorded().as_str(), server.connections()), ("", 2));
}

#[tokio::test]
async fn what_a_person_takes_to_answer_does_not_count() {
    let (home, server) = pair().await;
    const LIMIT: Duration = Duration::from_secs(2);
    /// Who thinks for longer than the machines may take.
    struct Slow;
    impl Interaction for Slow {
        fn confirm_host(&self, _: &HostQuestion) -> bool {
            let (_never, said) = std::sync::mpsc::channel::<()>();
            said.recv_timeout(LIMIT + Duration::from_millis(100))
                .is_err()
        }
    }
    let network = home.network().new_host(NewHost::Ask);
    let options = with(network.interaction(Arc::new(Slow)));
    server
        .connect(options.connect_timeout(LIMIT))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_person_who_says_no_stops_it() {
    let (home, server) = pair().await;
    let network = home.network().new_host(NewHost::Ask);
    let options = with(network.interaction(Arc::new(Person::default())));
    refused(&server, options).await;
    assert_eq!(home.recorded(), "");
}

#[tokio::test]
async fn a_pinned_host_is_accepted_by_its_fingerprint_alone() {
    let (home, server) = pair().await;
    let pin = |key: &PublicKey| with(home.network().new_host(NewHost::Pinned(key.fingerprint())));
    let wrong = pin(key(9).public_key());
    let text = refused(&server, wrong.clone()).await;
    assert!(text.contains(&key(9).public_key().fingerprint()), "{text}");
    assert!(text.contains(&server.key().fingerprint()), "{text}");
    server.connect(pin(server.key())).await.unwrap();
    assert_eq!(home.recorded(), line(&server, server.key()));
    // Known or not: this is not the one that was asked for.
    let text = server
        .connect(wrong)
        .await
        .map(drop)
        .unwrap_err()
        .to_string();
    assert!(text.contains("not the one asked for"), "{text}");
}

#[tokio::test]
async fn a_changed_key_stops_whatever_is_said() {
    let (home, server) = pair().await;
    let other = key(9).public_key().clone();
    home.write(
        ".config/redial/known_hosts",
        &format!("# mine\n{}", line(&server, &other)),
    );
    // ssh may know the new key; redial's own file counts.
    home.write(".ssh/known_hosts", &ssh_line(server.key()));
    let person = Person::agreeing();
    for new_host in [
        NewHost::Ask,
        NewHost::Accept,
        NewHost::Refuse,
        NewHost::Pinned(server.key().fingerprint()),
    ] {
        let network = home
            .network()
            .new_host(new_host)
            .interaction(person.clone());
        let text = refused(&server, with(network)).await;
        for needle in [
            home.known_hosts().to_str().unwrap(),
            "line 2",
            &other.fingerprint(),
            &server.key().fingerprint(),
            &format!("redial keys forget {}", server.name()),
        ] {
            assert!(text.contains(needle), "{needle}: {text}");
        }
    }
    assert!(person.asked_hosts.lock().unwrap().is_empty());
    // As the error says.
    let crate::Target::Network(host) = server.target() else {
        unreachable!()
    };
    let name = known_name(&host, &home.network()).unwrap();
    assert_eq!(forget(&home.known_hosts(), &name).unwrap(), 1);
    assert!(trust(&home.known_hosts(), &name, server.key()).unwrap());
    assert_eq!(list(&home.known_hosts()).unwrap().len(), 1);
    server.connect(home.options()).await.unwrap();
}

#[tokio::test]
async fn a_revoked_key_stops_in_our_file_and_in_ssh_s() {
    let (home, server) = pair().await;
    home.know(&server);
    let revoked = format!("@revoked * {}\n", server.key().to_text());
    for file in [
        ".config/redial/known_hosts",
        ".ssh/known_hosts",
        ".ssh/known_hosts2",
        "ssh_known_hosts",
    ] {
        let before = std::fs::read_to_string(home.path(file)).unwrap_or_default();
        let path = home.write(file, &format!("{before}{revoked}"));
        for new_host in [NewHost::Accept, NewHost::Refuse] {
            let text = refused(&server, with(home.network().new_host(new_host))).await;
            assert!(text.contains("revoked"), "{text}");
            assert!(text.contains(path.to_str().unwrap()), "{text}");
        }
        home.write(file, &before);
    }
    server.connect(home.options()).await.unwrap();
}

#[tokio::test]
async fn a_host_that_ssh_knows_by_this_key_is_known() {
    for file in [".ssh/known_hosts", ".ssh/known_hosts2", "ssh_known_hosts"] {
        let (home, server) = pair().await;
        home.write(file, &ssh_line(server.key()));
        server.connect(home.options()).await.unwrap();
        assert_eq!(home.recorded(), line(&server, server.key()), "{file}");
    }
}

#[tokio::test]
async fn another_key_that_ssh_knows_is_a_doubt_and_no_alarm() {
    let (home, server) = pair().await;
    let path = home.write(".ssh/known_hosts", &ssh_line(key(9).public_key()));
    let text = refused(&server, home.options()).await;
    assert!(text.contains("ssh knows another key"), "{text}");
    assert!(text.contains(path.to_str().unwrap()), "{text}");
    let person = Person::agreeing();
    let network = home.network().new_host(NewHost::Ask);
    let options = with(network.interaction(person.clone()));
    server.connect(options).await.unwrap();
    assert!(person.asked_hosts.lock().unwrap()[0].doubt.is_some());
}

#[tokio::test]
async fn a_file_of_hosts_that_cannot_be_read_stops_it() {
    let (home, server) = pair().await;
    let long = "#".repeat(crate::network::auth::limits::KNOWN_HOSTS_BYTES + 1);
    for file in [".config/redial/known_hosts", ".ssh/known_hosts"] {
        let path = home.write(file, &long);
        let text = refused(&server, with(home.network().new_host(NewHost::Accept))).await;
        assert!(text.contains(path.to_str().unwrap()), "{text}");
        assert!(text.contains("cannot be read"), "{text}");
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        let text = refused(&server, with(home.network().new_host(NewHost::Accept))).await;
        assert!(text.contains("cannot be read"), "{text}");
        std::fs::remove_dir(&path).unwrap();
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_new_host_that_cannot_be_recorded_is_not_accepted() {
    let (home, server) = pair().await;
    home.write(".config/redial", "no directory");
    let text = refused(&server, with(home.network().new_host(NewHost::Accept))).await;
    assert!(text.contains("cannot be written"), "{text}");
    // What is said every time need not be remembered.
    let pinned = NewHost::Pinned(server.key().fingerprint());
    server
        .connect(with(home.network().new_host(pinned)))
        .await
        .unwrap();
}
