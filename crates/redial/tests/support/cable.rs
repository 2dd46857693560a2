//! Two machines, as far as the network goes.

use std::process::Command;

/// Two network namespaces with a cable between them.
pub(crate) struct Cable {
    pub(crate) client: String,
    pub(crate) server: String,
}

impl Cable {
    /// Says why it cannot be had here.
    pub(crate) fn lay() -> Result<Self, String> {
        let number = std::process::id();
        let (client, server) = (format!("rdc{number}"), format!("rds{number}"));
        let cable = Cable { client, server };
        let (client, server) = (&cable.client, &cable.server);
        for line in [
            format!("netns add {client}"),
            format!("netns add {server}"),
            format!("-n {client} link add rd0 type veth peer name rd0 netns {server}"),
            format!("-n {client} addr add 10.99.0.2/24 dev rd0"),
            format!("-n {client} addr add 10.99.0.3/24 dev rd0"),
            format!("-n {client} addr add fd99::2/64 dev rd0 nodad"),
            format!("-n {server} addr add 10.99.0.1/24 dev rd0"),
            format!("-n {server} addr add 10.99.0.9/24 dev rd0"),
            format!("-n {server} addr add fd99::1/64 dev rd0 nodad"),
            format!("-n {client} link set rd0 up"),
            format!("-n {server} link set rd0 up"),
            format!("-n {client} link set lo up"),
            format!("-n {server} link set lo up"),
        ] {
            ip(&line)?;
        }
        Ok(cable)
    }

    /// Cut, or whole again.
    pub(crate) fn set(&self, state: &str) {
        ip(&format!("-n {} link set rd0 {state}", self.client)).unwrap();
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for name in [&self.client, &self.server] {
            // It may not have been made.
            let _ = Command::new("ip").args(["netns", "del", name]).output();
        }
    }
}

fn ip(line: &str) -> Result<(), String> {
    let done = Command::new("ip").args(line.split(' ')).output();
    let done = done.map_err(|error| format!("ip: {error}"))?;
    match done.status.success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&done.stderr).into_owned();
            Err(format!("ip {line}: {}", said.trim()))
        }
    }
}
