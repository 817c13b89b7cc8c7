//! What a leader keeps in the store beside runs and hold-downs, for the one after it.
//!
//! What lasts for a time is stored as what is left or has passed of it, every now and then, and
//! counted on by whoever leads, on their own clock. While nobody leads no time passes.

use super::{Controller, Effect, Flapping, Flaps, Freeze, Frozen};
use crate::time::{Now, Span};
use crate::timing::Timing;

/// All of it, as it was found at the begin of a term.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Whether nothing may run by itself.
    pub freeze: Option<Freeze>,
    /// Sites that come and go.
    pub flaps: Flaps,
}

/// One part of it, as it is to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Why nothing may run by itself; none: it may.
    Freeze(Option<Freeze>),
    /// Sites that come and go.
    Flaps(Flaps),
}

impl Controller {
    /// Goes on with what the leader before has kept.
    pub(super) fn keep(&mut self, kept: Kept, now: Now) {
        let Kept { freeze, flaps } = kept;
        self.frozen = Frozen::from(freeze, now);
        self.flaps = Flapping::from(flaps, now);
    }

    /// What is to be stored because it has changed, or grown older.
    pub(super) fn kept_due(&mut self, now: Now) -> Vec<Effect> {
        let freeze = self.frozen.due(now).map(Keep::Freeze);
        let flaps = self.flaps.due(self.flaps_within(), now).map(Keep::Flaps);
        freeze.into_iter().chain(flaps).map(|keep| Effect::Keep { keep, request: None }).collect()
    }

    /// How long a site that went down is counted.
    pub(super) fn flaps_within(&self) -> Span {
        let timing = self.bundle.as_ref().map_or_else(Timing::default, |(_, rules)| rules.timing);
        timing.flaps_within
    }
}
