//! What the judge makes of a store that was restored from a backup: what was written since is gone, and
//! nobody can be blamed for that. But who has seen an epoch does not lead under it again.

use super::{Judge, Tracked};
use crate::cluster::store::{Key, Store, Value};
use crate::simulate::Checker;
use standfast_core::ids::Epoch;
use standfast_core::journal::Body;
use standfast_core::run::{Run, State};
use std::time::Duration;

impl Judge {
    /// A member has read an epoch of a leader, or leads under it.
    pub(in crate::cluster) fn sees(&mut self, member: usize, epoch: Epoch) {
        let seen = self.seen.entry(member).or_default();
        *seen = epoch.max(*seen);
    }

    /// A member has won a campaign.
    pub(super) fn wins(&mut self, member: usize, epoch: Epoch, now: Duration) {
        if let Some(seen) = self.seen.get(&member).filter(|seen| epoch <= **seen) {
            let what = format!("m{member} under {epoch}, and it has seen {seen}");
            self.note("nobody leads under an epoch that they have seen", what, now);
        }
    }

    /// Whether something is done under an epoch whose journal is lost.
    pub(super) fn is_lost(&mut self, epoch: Epoch) -> bool {
        let lost = self.lost.is_some_and(|lost| epoch <= lost);
        self.coverage.residual += u64::from(lost);
        lost
    }

    /// The store was restored: it is known what stands there, and nothing else is promised.
    pub(in crate::cluster) fn restored(&mut self, store: &Store, now: Duration) {
        let epoch = match store.get(&Key::Epoch).map(|kv| &kv.value) {
            Some(Value::Epoch(epoch)) => Epoch(*epoch),
            _ => Epoch(0),
        };
        self.lost = self.lost.max(Some(self.epoch));
        self.epoch = epoch;
        self.leaders.clear();
        self.begun.retain(|begun, _| *begun <= epoch);
        self.acknowledged.clear();
        self.holds.clear();
        self.asks = store.asks().map(|(request, asked)| (request, asked.ask.clone())).collect();
        if let Some(Value::Bundle(bundle)) = store.get(&Key::Bundle).map(|kv| &kv.value) {
            self.bundle = *bundle;
        }
        self.told.restored(store, now);
        let runs: Vec<_> = store.heads().map(|(run, head)| (run.clone(), head.plan.clone())).collect();
        self.runs.clear();
        for (id, plan) in runs {
            let Ok(run) = Run::fold(id.clone(), plan.clone(), store.journal(&id)) else {
                self.note("what is written can be read back", format!("run {id} cannot be folded"), now);
                continue;
            };
            let mut checker = Checker::new(plan);
            // Whose approval it was does not matter for what has begun.
            let mut second = false;
            for event in store.journal(&id) {
                let step = event.step().and_then(|step| run.step_index(step));
                second |= matches!(event.body, Body::Approved { .. });
                if event.sequence > 1 {
                    checker.durable(event, step, now);
                }
            }
            let ended = matches!(run.state(), State::Ended(_)).then_some(now);
            self.runs.insert(id, Tracked { run, checker, ended, second });
        }
    }
}
