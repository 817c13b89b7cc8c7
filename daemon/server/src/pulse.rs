//! Whether whoever holds the leader key still beats.
//!
//! The key goes with its lease, but a store that takes no writes lets nothing go: key and
//! judgement stay as they were for ever, and read well. So whoever shows them notes on its own
//! clock when they last changed.

use crate::clock;
use crate::store::Revision;
use standfast_core::time::Span;
use standfast_core::timing::Timing;
use std::time::Duration;

/// When the newest of leader key and judgement was first seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pulse(Option<(Revision, Duration)>);

impl Pulse {
    /// The newest of leader key and judgement is of `revision`.
    pub fn saw(&mut self, revision: Revision) {
        if self.0.is_none_or(|(seen, _)| revision != seen) {
            self.0 = Some((revision, clock::boot()));
        }
    }

    /// How long nothing new was seen, if that is longer than a lease lasts: whoever held the key
    /// leads no more.
    pub fn silent(&self, timing: &Timing) -> Option<Span> {
        let (_, at) = self.0?;
        let silence = Span(clock::boot().saturating_sub(at));
        (silence > timing.ttl).then_some(silence)
    }
}
