//! Signs of life for the service manager, where there is one.

use super::time::Millis;
use super::turn::Keeper;
use crate::service::ServiceManager;

/// Who is told, and when next.
#[derive(Debug)]
pub(super) struct Life {
    manager: Option<ServiceManager>,
    next_at: Millis,
}

impl Life {
    pub(super) fn new(manager: Option<ServiceManager>) -> Self {
        Self {
            manager,
            next_at: 0,
        }
    }

    /// The manager, if there is one.
    pub(super) fn manager(&self) -> Option<&ServiceManager> {
        self.manager.as_ref()
    }

    /// When the next sign is due.
    pub(super) fn due(&self) -> Option<Millis> {
        let wanted = self.manager.as_ref()?.interval();
        wanted.map(|_| self.next_at)
    }
}

impl Keeper<'_> {
    /// Says that the loop turns, when that is due.
    pub(super) fn show_life(&mut self) {
        let now = self.ground.now;
        let Life { manager, next_at } = &mut self.life;
        let Some(manager) = manager.as_ref().filter(|_| *next_at <= now) else {
            return;
        };
        if let Some(interval) = manager.interval() {
            manager.alive(self.jobs.len());
            let interval = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
            *next_at = now.saturating_add(interval.max(1));
        }
    }
}
