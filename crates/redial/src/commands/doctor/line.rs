//! Servers that are reached without a network of ours: a socket, a program, one of our own.

use std::time::Instant;

use redial_client::{Client, ConnectOptions, Target, default_socket};

use super::finding::{Finding, Sheet};
use super::words;

/// Connects; nothing if that is wrong.
pub(super) async fn connect(
    target: &Target,
    options: &ConnectOptions,
    sheet: &mut Sheet,
) -> Option<Client> {
    let way = match target {
        Target::Unix(None) => match default_socket() {
            Ok(path) => format!("the default socket, {}", path.display()),
            Err(error) => {
                sheet.say(&Finding::wrong("settings", error));
                return None;
            }
        },
        Target::Unix(Some(path)) => format!("the socket {}", path.display()),
        Target::Local => "a private server of our own".to_owned(),
        Target::Exec(command) => format!("the stdio of: {}", command.display()),
        Target::Network(host) => host.to_string(),
    };
    sheet.say(&Finding::ok("settings", way));
    let began = Instant::now();
    match Client::connect(target, options.clone()).await {
        Ok(client) => {
            let found = Finding::ok("connect", "a redial server has said hello");
            sheet.say(&found.took(began.elapsed()));
            Some(client)
        }
        Err(error) => {
            sheet.say(&words::failed("connect", target, &error).took(began.elapsed()));
            None
        }
    }
}
