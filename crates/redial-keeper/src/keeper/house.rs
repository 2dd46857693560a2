//! What is nobody's in particular, once in every turn: a front to be started,
//! orphans, memory that is not needed, what is due next.

use super::config::KeeperError;
use super::turn::Keeper;
use super::users::Users;
use crate::wire::Confinement;

impl Keeper<'_> {
    /// What is nobody's in particular.
    pub(super) fn keep_house(&mut self) -> Result<(), KeeperError> {
        let now = self.ground.now;
        if self.front.start_at().is_some_and(|at| at <= now) && self.wants_front() {
            self.start_front()?;
        }
        if self.orphans.are_due(now) {
            self.reap_orphans();
        }
        self.records.forget(now);
        self.expire_kept();
        self.free_late();
        self.cool_pools();
        self.listen_if_possible();
        self.keep_network();
        self.advance_upgrade();
        self.advance_phase();
        self.show_life();
        Ok(())
    }

    fn wants_front(&self) -> bool {
        self.phase.wants_front() && !self.is_settling()
    }

    /// Sees to it that the house is kept again in time.
    pub(super) fn set_house_timer(&mut self) {
        let due = [
            self.front.start_at().filter(|_| self.wants_front()),
            self.upgrade_due(),
            self.orphans.at,
            self.cool_at,
            self.listen_at,
            self.keeping.expire_at,
            self.network_due(),
            self.phase.due(),
            self.life.due(),
        ];
        let due = due.into_iter().flatten().min();
        self.ground.timers.set(0, self.house_due, due);
        self.house_due = due;
    }

    fn start_front(&mut self) -> Result<(), KeeperError> {
        self.front.begin(self.ground.now);
        // To wait does no harm: without a front nobody waits for us.
        let started = self.ground.workers.start_apart(|| (self.start_front)());
        let started = started.and_then(|handle| self.front.take(handle, &self.ground.poll));
        match started.and_then(|()| self.welcome()) {
            Ok(()) => {
                self.ground.counts.front_started();
                Ok(())
            }
            Err(error) if self.private => Err(KeeperError::Setup {
                what: "start the front",
                source: error,
            }),
            Err(error) => {
                tracing::error!(%error, "cannot start a front");
                self.front.failed();
                Ok(())
            }
        }
    }

    /// A front says how far it has shut itself in. The first one's word will do: all are alike.
    pub(super) fn note_confined(&mut self, confinement: Confinement) {
        if std::mem::replace(&mut self.people.told_confinement, true) {
            return;
        }
        match &*self.people.users {
            Users::Own => tracing::info!("the front is kept {confinement}"),
            Users::Many(many) if confinement.files => {
                tracing::info!(uid = many.front.uid, "the front is kept {confinement}");
            }
            Users::Many(many) => tracing::warn!(
                uid = many.front.uid,
                "the front is kept {confinement}: this kernel has no Landlock, or it is not enabled"
            ),
        }
    }

    fn cool_pools(&mut self) {
        let now = self.ground.now;
        let due = [&mut self.ground.output, &mut self.ground.stdin].map(|pool| pool.cool(now));
        self.cool_at = due.into_iter().flatten().min();
    }
}
