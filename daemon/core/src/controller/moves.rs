//! What the runs of the last day have left, on this leader's clock.

use crate::ids::RunId;
use crate::limits::{DAY, Moved};
use crate::time::{Mono, Now, Span};
use std::time::Duration;

/// How often the ages are stored.
const STORE_EVERY: Duration = Duration::from_secs(60);

/// The moves of this term.
#[derive(Debug, Default)]
pub(super) struct Moves {
    moved: Vec<Moved>,
    /// When the ages were those.
    at: Mono,
    stored: Mono,
    changed: bool,
}

impl Moves {
    /// Goes on from what the leader before has stored.
    pub(super) fn from(moved: Vec<Moved>, now: Now) -> Self {
        Self { moved, at: now.mono, stored: now.mono, changed: false }
    }

    /// Those of the last day.
    pub(super) fn today(&self, now: Now) -> Vec<Moved> {
        let passed = now.mono.since(self.at);
        let aged =
            self.moved.iter().map(|moved| Moved { age: Span::from(moved.age.0 + passed), ..moved.clone() });
        aged.filter(|moved| moved.age < DAY).collect()
    }

    /// A run has begun; one that is known already goes on.
    pub(super) fn begins(&mut self, new: Moved, now: Now) {
        if self.moved.iter().all(|moved| moved.run != new.run) {
            *self = Self { moved: self.today(now), at: now.mono, ..*self };
            self.moved.push(new);
            self.changed = true;
        }
    }

    /// A run was taken back before it did anything.
    pub(super) fn returns(&mut self, run: &RunId) {
        let before = self.moved.len();
        self.moved.retain(|moved| moved.run != *run);
        self.changed |= self.moved.len() != before;
    }

    /// What is to be stored, when it is time.
    pub(super) fn due(&mut self, now: Now) -> Option<Vec<Moved>> {
        let aged = !self.moved.is_empty() && now.mono.since(self.stored) >= STORE_EVERY;
        (self.changed || aged).then(|| {
            *self = Self::from(self.today(now), now);
            self.moved.clone()
        })
    }
}
