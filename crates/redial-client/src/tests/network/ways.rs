//! The way to a server as ~/.ssh/config and redial's settings have it.

use std::os::unix::fs::PermissionsExt;

use redial_net::auth::PrivateKey;

use super::super::soon;
use super::files::has;
use super::home::{Home, key, with};
use super::server::named;
use super::{ConnectError, Server, refused};
use crate::network::probe::Probe;
use crate::network::{Reason, Route, Verdict, Via};
use crate::{Client, Command, HostOverrides, HostTarget, NewHost, Target};

#[tokio::test]
async fn user_and_address_are_those_of_ssh_s_settings() {
    let home = Home::new();
    let key = home.write_key("work", 1);
    let server = Server::start(vec![key]).await;
    home.write(
        ".ssh/config.d/10-web",
        "Host web*\n HostName 127.0.0.1\n User deploy\n IdentityFile ~/.ssh/work\n Port 22\n",
    );
    home.write(".ssh/config", "Include config.d/*\nHost *\n User nobody\n");
    let target = named("web1", server.port());
    let line = format!("[web1]:{} {}\n", server.port(), server.key().to_text());
    home.write(".config/redial/known_hosts", &line);
    soon(Client::connect(&target, home.options()))
        .await
        .unwrap();
    assert!(
        server.seen()[0].starts_with("deploy proves"),
        "{:?}",
        server.seen()
    );
    // What was typed goes before redial's settings, and those before ssh's.
    let overrides = HostOverrides {
        user: Some("own".to_owned()),
        address: Some("localhost".to_owned()),
        ..HostOverrides::default()
    };
    let options = with(home.network().overrides(overrides));
    soon(Client::connect(&target, options.clone()))
        .await
        .unwrap();
    assert!(
        server.seen()[1].starts_with("own proves"),
        "{:?}",
        server.seen()
    );
    let Target::Network(mut host) = target else {
        unreachable!()
    };
    host.user = Some("me".to_owned());
    let target = Target::Network(host);
    soon(Client::connect(&target, options)).await.unwrap();
    assert!(
        server.seen()[2].starts_with("me proves"),
        "{:?}",
        server.seen()
    );
}

#[tokio::test]
async fn a_host_known_to_ssh_by_its_address_is_known_by_any_name() {
    let home = Home::new();
    let server = Server::start(vec![home.write_key("id_ed25519", 1)]).await;
    home.write(".ssh/config", "Host web1\n HostName 127.0.0.1\n");
    let line = format!("127.0.0.1 {}\n", server.key().to_text());
    home.write(".ssh/known_hosts", &line);
    let target = named("web1", server.port());
    soon(Client::connect(&target, home.options()))
        .await
        .unwrap();
    assert!(
        home.recorded()
            .starts_with(&format!("[web1]:{} ", server.port()))
    );
}

#[tokio::test]
async fn settings_that_cannot_be_trusted_or_understood_stop_it() {
    let home = Home::new();
    let server = Server::start(vec![home.write_key("id_ed25519", 1)]).await;
    home.know(&server);
    for (config, needle) in [
        ("HostName $(id)\n", "neither a name nor an address"),
        ("User a;b\n", "no user's name"),
        ("IdentityFile ~/%z\n", "%z"),
        ("ProxyJump a b\n", "ProxyJump"),
        ("ProxyCommand nc %Z\n", "%Z"),
    ] {
        home.write(".ssh/config", config);
        let text = refused(&server, home.options()).await;
        assert!(text.contains(needle), "{config}: {text}");
    }
    let path = home.write(".ssh/config", "User ada\n");
    let writable = std::fs::Permissions::from_mode(0o620);
    std::fs::set_permissions(&path, writable).unwrap();
    let text = refused(&server, home.options()).await;
    assert!(text.contains("others may write it"), "{text}");
    std::fs::remove_file(&path).unwrap();
    let text = refused(&server, with(home.network().local_user(None))).await;
    assert!(text.contains("write user@127.0.0.1"), "{text}");
}

const RELAY: &str = "
import os, socket, sys, threading
line = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def out():
    while data := line.recv(65536):
        os.write(1, data)
    os._exit(0)
threading.Thread(target=out).start()
while data := os.read(0, 65536):
    line.sendall(data)
line.shutdown(socket.SHUT_WR)
";

#[tokio::test]
async fn a_proxy_command_carries_the_line() {
    if !has("python3", "a_proxy_command_carries_the_line") {
        return;
    }
    let home = Home::new();
    let server = Server::start(vec![home.write_key("id_ed25519", 1)]).await;
    let relay = home.write("relay.py", RELAY);
    let config = format!(
        "Host 127.0.0.1\n ProxyCommand python3 {} %h %p # %r\n",
        relay.display()
    );
    home.write(".ssh/config", &config);
    home.know(&server);
    let client = server.connect(home.options()).await.unwrap();
    let ran = soon(client.run(Command::new(["write", "300000"]))).await;
    assert_eq!(ran.unwrap().stdout.len(), 300_000);
    soon(client.close()).await;
    // redial's own settings can do without it.
    let overrides = HostOverrides {
        proxy_command: Some("none".to_owned()),
        ..HostOverrides::default()
    };
    home.write(".ssh/config", "ProxyCommand sh -c 'exit 3'\n");
    let options = with(home.network().overrides(overrides));
    server.connect(options).await.unwrap();
    let error = server.connect(home.options()).await.map(drop).unwrap_err();
    assert!(matches!(error, ConnectError::Tls { .. }), "{error}");
    assert!(error.to_string().contains("exit status: 3"), "{error}");
}

#[tokio::test]
async fn the_steps_can_be_taken_one_by_one() {
    let home = Home::new();
    home.write_key("id_ed25519", 1);
    let locked = home.write_locked_key("id_ecdsa", 2, "horse");
    let server = Server::start(vec![locked.clone()]).await;
    let host = HostTarget {
        user: Some("bob".to_owned()),
        host: "127.0.0.1".to_owned(),
        port: Some(server.port()),
    };
    let options = with(home.network().new_host(NewHost::Accept));
    let probe = Probe::new(&host, &options).await.unwrap();
    assert_eq!(probe.route().user, "bob");
    assert_eq!(probe.known_name(), server.known_name());
    assert_eq!(probe.resolve().await.unwrap().len(), 1);
    let link = probe.dial().await.unwrap();
    assert_eq!(link.peer().unwrap().port(), server.port());
    let shown = probe.look(link).await.unwrap();
    assert_eq!(shown.key, *server.key());
    assert!(shown.ciphers.contains("TLS13"), "{}", shown.ciphers);
    assert_eq!(probe.verdict(&shown.key), Verdict::Record(Reason::Accepted));
    let keys = probe.identities().await;
    assert_eq!(keys.tried.len(), 2);
    let login = soon(probe.log_in(&keys)).await.unwrap();
    assert_eq!(login.taken, None);
    assert_eq!(login.locked[0].key, locked);
    assert_eq!(login.tried[0].key, *key(1).public_key());
    assert_eq!(login.tried[0].why, "not taken");
    assert_eq!((home.recorded().as_str(), server.commands()), ("", 0));
}

#[tokio::test]
async fn a_probe_says_which_key_is_taken() {
    let home = Home::new();
    let private: PrivateKey = key(1);
    home.write_key("id_ed25519", 1);
    let server = Server::start(vec![private.public_key().clone()]).await;
    home.know(&server);
    let Target::Network(host) = server.target() else {
        unreachable!()
    };
    let probe = Probe::new(&host, &home.options()).await.unwrap();
    let keys = probe.identities().await;
    let login = soon(probe.log_in(&keys)).await.unwrap();
    assert_eq!(login.taken.unwrap().key, *private.public_key());
    assert!(login.tried.is_empty() && login.locked.is_empty());
}

#[test]
fn jump_hosts_are_gone_through_as_ssh_does_it() {
    let home = Home::new();
    let host = HostTarget::parse("web1").unwrap();
    let via = |jump: &str, network: crate::NetworkOptions| {
        home.write(".ssh/config", &format!("ProxyJump {jump}\n"));
        match Route::find(&host, &network).unwrap().via {
            Via::Jump(arguments) => arguments.join(" "),
            other => format!("{other:?}"),
        }
    };
    assert_eq!(via("gate", home.network()), "-W web1:7334 -- gate");
    assert_eq!(
        via("ssh://a@b:1,me@gate:2222", home.network()),
        "-J a@b:1 -l me -p 2222 -W web1:7334 -- gate"
    );
    assert_eq!(via("none", home.network()), "Tcp");
    let jump = |text: &str| HostOverrides {
        proxy_jump: Some(text.to_owned()),
        ..HostOverrides::default()
    };
    let own = home.network().overrides(jump("other"));
    assert_eq!(via("gate", own), "-W web1:7334 -- other");
    assert_eq!(via("gate", home.network().overrides(jump("none"))), "Tcp");
    let bad = home.network().overrides(jump("-oProxyCommand=x"));
    let error = Route::find(&host, &bad).unwrap_err().to_string();
    assert!(error.contains("ProxyJump"), "{error}");
}
