//! A store that is restored from a backup: revisions, epochs and all that was written since go back.
//!
//! Nobody stops the members for it. What they have seen of the epochs is on their disks; who has seen a
//! higher one leads under none that is lower, until people raise the store's. Nothing in the store says
//! which sites were fenced since: who restores it closes them by hand.

use super::net::SITES;
use super::store::{Compare, Key, Op, Request, Txn, Value};
use super::{Cluster, Happening, Then};
use std::sync::Arc;
use std::time::Duration;

/// How long that takes.
const TAKES: Duration = Duration::from_secs(12);

impl Cluster<'_> {
    /// A backup is made, or the store is restored from it.
    pub(super) fn backup(&mut self, place: usize, begins: bool) {
        if begins {
            self.backups.insert(place, self.store.clone());
            return;
        }
        let Some(backup) = self.backups.remove(&place) else { return };
        let now = self.clock.elapsed();
        self.tell(|_| "the store is restored from a backup".into());
        let fenced = |cluster: &Self, site| cluster.store.get(&Key::Fenced(site)).is_some();
        let before: Vec<usize> = (0..SITES).filter(|site| fenced(self, *site)).collect();
        for (lease, ttl) in self.store.go_back(backup) {
            self.clock.after(ttl, Happening::LeaseDue(lease));
        }
        for site in before {
            if !fenced(self, site) {
                self.gates[site].by_hand = true;
                self.stands(site);
            }
        }
        // All endpoints are stopped for it, for longer than anybody leads without them.
        self.service.history += 1;
        self.service.past = None;
        self.service.down.iter_mut().for_each(|down| *down += 1);
        self.clock.after(TAKES, Happening::Restored);
        self.judge.restored(&self.store, now);
        self.hint_bundle();
    }

    /// The endpoints are started again.
    pub(super) fn restored(&mut self) {
        self.service.down.iter_mut().for_each(|down| *down = down.saturating_sub(1));
        self.rewired();
    }

    /// Somebody sees that a member does not lead for the store's epoch, and raises that.
    pub(super) fn bump(&mut self) {
        let regressed = |member: &usize| self.members[*member].regressed && self.members[*member].runs();
        let Some(member) = (0..self.members.len()).find(regressed) else { return };
        let Some(stored) = self.store.get(&Key::Epoch) else { return };
        let seen = self.members[member].seen.0;
        // Whoever has read an old state of the store is not in need of it.
        let lower = matches!(stored.value, Value::Epoch(stored) if stored < seen);
        if !lower || self.store.get(&Key::Leader).is_some() {
            return;
        }
        let txn = Txn {
            when: vec![Compare::Modified(Key::Epoch, stored.modified), Compare::Absent(Key::Leader)],
            then: vec![Op::Put(Key::Epoch, Value::Epoch(seen))],
            ..Txn::default()
        };
        self.tell(|_| format!("somebody raises the epoch to {seen}"));
        self.call(member, None, Request::Txn(Arc::new(txn)), Then::Nothing);
    }
}
