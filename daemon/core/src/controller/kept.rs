//! What a leader keeps in the store beside runs and hold-downs, for the one after it.
//!
//! What lasts for a time is stored as what is left or has passed of it, every now and then, and
//! counted on by whoever leads, on their own clock. While nobody leads no time passes.

use super::Moves;
use super::{Controller, Effect, Flapping, Flaps, Lasting, Locked, Order, Orders};
use crate::ids::SiteId;
use crate::limits::Moved;
use crate::time::{Now, Span};
use crate::timing::Timing;
use std::collections::BTreeMap;

/// All of it, as it was found at the begin of a term.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Whether nothing may run by itself.
    pub freeze: Option<Order>,
    /// Sites that come and go.
    pub flaps: Flaps,
    /// Sites in maintenance.
    pub maintenance: BTreeMap<SiteId, Order>,
    /// Switches that are on.
    pub switches: BTreeMap<String, Order>,
    /// What the runs of the last day have left.
    pub moves: Vec<Moved>,
}

/// One part of it, as it is to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Why nothing may run by itself; none: it may.
    Freeze(Option<Order>),
    /// Sites that come and go.
    Flaps {
        /// All of them.
        flaps: Flaps,
        /// Those that are locked since this was stored last.
        locked: Vec<Locked>,
    },
    /// All sites in maintenance.
    Maintenance(BTreeMap<SiteId, Order>),
    /// All switches that are on.
    Switches(BTreeMap<String, Order>),
    /// What the runs of the last day have left.
    Moves(Vec<Moved>),
}

impl Controller {
    /// Goes on with what the leader before has kept.
    pub(super) fn keep(&mut self, kept: Kept, now: Now) {
        let Kept { freeze, flaps, maintenance, switches, moves } = kept;
        self.frozen = Lasting::from(freeze, now);
        self.maintained = Orders::from(maintenance, now);
        self.switched = switches;
        self.moves = Moves::from(moves, now);
        self.flaps = Flapping::from(flaps, now);
    }

    /// What is to be stored because it has changed, or grown older.
    pub(super) fn kept_due(&mut self, now: Now) -> Vec<Effect> {
        let freeze = self.frozen.due(now).map(Keep::Freeze);
        let flaps = self.flaps.due(self.flaps_within(), now);
        let maintenance = self.maintained.due(now).map(Keep::Maintenance);
        let moves = self.moves.due(now).map(Keep::Moves);
        let due = freeze.into_iter().chain(flaps).chain(maintenance).chain(moves);
        due.map(|keep| Effect::Keep { keep, request: None }).collect()
    }

    /// How long a site that went down is counted.
    pub(super) fn flaps_within(&self) -> Span {
        let timing = self.bundle.as_ref().map_or_else(Timing::default, |(_, rules)| rules.timing);
        timing.flaps_within
    }
}
