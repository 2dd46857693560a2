//! What a service manager is told (sd_notify(3)): that we serve, that we are being replaced, that we
//! end, and, if it wants to know, that we still turn.

mod passed;

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::time::ClockId;

/// A manager that takes no message now gets the next.
const PATIENCE: Duration = Duration::from_millis(100);

pub use passed::PassedSockets;

/// Tells the service manager that has started us.
#[derive(Debug)]
pub struct ServiceManager {
    socket: UnixDatagram,
    address: SocketAddr,
    /// It wants to hear of us at least this often.
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// The one that the environment names; none if it names none.
    ///
    /// # Errors
    /// What it names is no socket that could be sent to.
    pub fn from_environment() -> io::Result<Option<Self>> {
        let variable = |name| std::env::var_os(name);
        let Some(name) = variable("NOTIFY_SOCKET") else {
            return Ok(None);
        };
        let own = std::process::id().to_string();
        let is_ours = variable("WATCHDOG_PID").is_none_or(|pid| pid == own.as_str());
        let micros = variable("WATCHDOG_USEC").filter(|_| is_ours);
        let micros = micros.and_then(|text| text.to_str()?.parse().ok());
        let watchdog = micros.map(Duration::from_micros).filter(|it| !it.is_zero());
        Self::at(&name, watchdog).map(Some)
    }

    fn at(name: &OsStr, watchdog: Option<Duration>) -> io::Result<Self> {
        let address = match name.as_bytes() {
            [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest)?,
            [b'/', ..] => SocketAddr::from_pathname(name)?,
            _ => return Err(io::Error::other("NOTIFY_SOCKET names no socket")),
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            socket,
            address,
            watchdog,
        })
    }

    /// Between two messages that we still turn: twice as often as is asked for.
    pub(crate) fn interval(&self) -> Option<Duration> {
        self.watchdog.map(|it| it / 2)
    }

    /// Clients are served.
    pub(crate) fn ready(&self) {
        self.tell("READY=1\nSTATUS=serving");
    }

    /// Another program takes our place.
    pub(crate) fn reloading(&self) {
        let now = rustix::time::clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec.unsigned_abs() * 1_000_000 + now.tv_nsec.unsigned_abs() / 1_000;
        self.tell(&format!(
            "RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=upgrading"
        ));
    }

    /// Jobs are being ended.
    pub(crate) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=ending");
    }

    /// We still turn.
    pub(crate) fn alive(&self, jobs: usize) {
        self.tell(&format!("WATCHDOG=1\nSTATUS=serving, {jobs} jobs"));
    }

    fn tell(&self, text: &str) {
        // A manager that has gone is no reason to end.
        if let Err(error) = self.socket.send_to_addr(text.as_bytes(), &self.address) {
            tracing::debug!(%error, text, "the service manager is not told");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_what_sd_notify_says() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let service = ServiceManager::at(path.as_os_str(), Some(Duration::from_secs(4))).unwrap();
        assert_eq!(service.interval(), Some(Duration::from_secs(2)));
        service.ready();
        service.reloading();
        service.alive(3);
        service.stopping();
        let mut buffer = [0; 256];
        let mut next = || {
            let len = manager.recv(&mut buffer).unwrap();
            String::from_utf8(buffer[..len].to_vec()).unwrap()
        };
        assert!(next().starts_with("READY=1\n"));
        let reloading = next();
        assert!(
            reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="),
            "{reloading}"
        );
        assert_eq!(next(), "WATCHDOG=1\nSTATUS=serving, 3 jobs");
        assert!(next().starts_with("STOPPING=1\n"));
        drop(manager);
        service.ready();
    }

    #[test]
    fn an_abstract_name_will_do_and_a_relative_one_not() {
        let name = format!("redial-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        ServiceManager::at(OsStr::new(&format!("@{name}")), None)
            .unwrap()
            .ready();
        assert!(manager.recv(&mut [0; 256]).unwrap() > 0);
        assert!(ServiceManager::at(OsStr::new("notify"), None).is_err());
    }
}
