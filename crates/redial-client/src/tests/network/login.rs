//! Which key lets us in, and who answers the questions.

use redial_net::auth::PublicKey;

use super::home::{Home, Person, key, with};
use super::server::{Rules, answer};
use super::{ConnectError, Server, refused};
use crate::network::LoginError;

#[tokio::test]
async fn several_keys_are_asked_about_and_the_one_that_is_taken_is_proved() {
    let home = Home::new();
    home.write_key("id_ed25519", 1);
    let taken = home.write_key("id_ecdsa", 2);
    let server = Server::start(vec![taken.clone()]).await;
    home.know(&server);
    server.connect(home.options()).await.unwrap();
    let proves = format!("ada proves {}", taken.fingerprint());
    assert_eq!(server.seen(), ["ada asks about 2".to_owned(), proves]);
}

#[tokio::test]
async fn without_a_key_nothing_is_dialled() {
    let home = Home::new();
    let server = Server::start(Vec::new()).await;
    home.know(&server);
    let text = refused(&server, home.options()).await;
    assert!(text.contains("no key to log in with as ada"), "{text}");
    assert!(text.contains("ssh-keygen"), "{text}");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn keys_that_are_not_listed_are_named_one_by_one() {
    let home = Home::new();
    let keys = [home.write_key("id_ed25519", 1), home.write_key("id_rsa", 2)];
    let server = Server::start(Vec::new()).await;
    home.know(&server);
    let text = refused(&server, home.options()).await;
    for needle in [
        "not let in as ada: ",
        home.path(".ssh/id_ed25519").to_str().unwrap(),
        &keys[0].fingerprint(),
        home.path(".ssh/id_rsa").to_str().unwrap(),
        &keys[1].fingerprint(),
        "not taken",
        "no such key",
        "~/.ssh/authorized_keys of ada",
    ] {
        assert!(text.contains(needle), "{needle}: {text}");
    }
    assert_eq!(server.seen(), ["ada asks about 2"]);
}

#[tokio::test]
async fn forty_keys_are_offered_in_two_parts() {
    let home = Home::new();
    let mut options = home.network();
    for seed in 1..=40 {
        home.write_key(&format!("k{seed}"), seed);
        options = options.identity(home.path(&format!(".ssh/k{seed}")));
    }
    let last = key(40).public_key().clone();
    let server = Server::start(vec![last.clone()]).await;
    home.know(&server);
    server.connect(with(options.clone())).await.unwrap();
    let proves = format!("ada proves {}", last.fingerprint());
    let seen = ["ada asks about 32", "ada asks about 8", &proves];
    assert_eq!(server.seen(), seen);
    let server = Server::start(Vec::new()).await;
    home.know(&server);
    let text = refused(&server, with(options)).await;
    assert!(text.contains("and 28 more"), "{text}");
}

#[tokio::test]
async fn a_connection_has_three_tries() {
    let home = Home::new();
    for (name, seed) in [("id_ed25519", 1), ("id_ecdsa", 2), ("id_rsa", 3)] {
        home.write_key(name, seed);
    }
    let mut rules = Rules::authorized(Vec::new());
    // Every key will do, and none does.
    rules.always = Some(answer(1, vec![0]));
    let server = Server::with(rules).await;
    home.know(&server);
    let text = refused(&server, home.options()).await;
    assert!(text.contains("not taken"), "{text}");
    assert!(server.seen().len() <= 3, "{:?}", server.seen());
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_passphrase_is_asked_for_only_when_the_key_is_taken() {
    let home = Home::new();
    let locked = home.write_locked_key("id_ed25519", 1, "horse");
    let open = home.write_key("id_ecdsa", 2);
    let person = Person::typing(&["wrong", "horse"]);
    let options = with(home.network().interaction(person.clone()));
    let server = Server::start(vec![open]).await;
    home.know(&server);
    server.connect(options.clone()).await.unwrap();
    assert!(person.asked_keys.lock().unwrap().is_empty());

    let server = Server::start(vec![locked.clone()]).await;
    home.know(&server);
    server.connect(options).await.unwrap();
    let path = home.path(".ssh/id_ed25519");
    let asked = person.asked_keys.lock().unwrap().clone();
    assert_eq!(asked, [(path.clone(), false), (path, true)]);
    // Nobody types while a line waits.
    let proves = format!("ada proves {}", locked.fingerprint());
    assert_eq!(server.seen(), ["ada asks about 2".to_owned(), proves]);
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn connections_of_one_run_ask_once_for_all_of_them() {
    let home = Home::new();
    let locked = home.write_locked_key("id_ed25519", 1, "horse");
    let server = Server::start(vec![locked]).await;
    home.know(&server);
    let person = Person::typing(&["horse"]);
    let options = with(home.network().interaction(person.clone()).together());
    let (one, two, three) = tokio::join!(
        server.connect(options.clone()),
        server.connect(options.clone()),
        server.connect(options.clone())
    );
    one.and(two).and(three).unwrap();
    assert_eq!(person.asked_keys.lock().unwrap().len(), 1);
    // Where there is nobody, all are told so.
    let nobody = with(home.network().together());
    let (one, two) = tokio::join!(
        server.connect(nobody.clone()),
        server.connect(nobody.clone())
    );
    for refused in [one.unwrap_err(), two.unwrap_err()] {
        assert!(refused.to_string().contains("nobody to ask"), "{refused}");
    }
}

#[tokio::test]
async fn the_only_key_is_asked_about_first_if_it_is_locked() {
    let home = Home::new();
    let locked = home.write_locked_key("id_ed25519", 1, "horse");
    let person = Person::typing(&["horse"]);
    let options = with(home.network().interaction(person.clone()));
    let server = Server::start(Vec::new()).await;
    home.know(&server);
    refused(&server, options.clone()).await;
    assert!(person.asked_keys.lock().unwrap().is_empty());
    let server = Server::start(vec![locked]).await;
    home.know(&server);
    server.connect(options).await.unwrap();
    assert_eq!(person.asked_keys.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_passphrase_is_asked_for_three_times() {
    let home = Home::new();
    let locked = home.write_locked_key("id_ed25519", 1, "horse");
    let server = Server::start(vec![locked]).await;
    home.know(&server);
    let person = Person::typing(&["a", "b", "c", "horse"]);
    let text = refused(&server, with(home.network().interaction(person.clone()))).await;
    assert!(text.contains("wrong three times"), "{text}");
    assert_eq!(person.asked_keys.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn with_nobody_to_ask_a_locked_key_is_named_with_what_helps() {
    let home = Home::new();
    let both = ["id_ed25519", "id_ecdsa"];
    let keys: Vec<PublicKey> = (1..)
        .zip(both)
        .map(|(seed, name)| home.write_locked_key(name, seed, "horse"))
        .collect();
    let server = Server::start(keys).await;
    home.know(&server);
    let text = refused(&server, home.options()).await;
    let path = home.path(".ssh/id_ed25519");
    let needle = format!("ssh-add {}", path.display());
    assert!(text.contains(&needle), "{text}");
    assert!(text.contains("nobody to ask"), "{text}");
    // The server takes it: nothing is to be done there.
    assert!(!text.contains("authorized_keys"), "{text}");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_server_that_breaks_the_login_s_rules_is_left() {
    let home = Home::new();
    home.write_key("id_ed25519", 1);
    home.write_key("id_rsa", 2);
    for always in [answer(0, Vec::new()), answer(1, vec![2])] {
        let mut rules = Rules::authorized(Vec::new());
        rules.always = Some(always);
        let server = Server::with(rules).await;
        home.know(&server);
        let error = server.connect(home.options()).await.map(drop).unwrap_err();
        let ConnectError::Login { source, .. } = &error else {
            panic!("{error}")
        };
        assert!(matches!(**source, LoginError::Rules(_)), "{error}");
        assert_eq!(server.commands(), 0);
    }
}
