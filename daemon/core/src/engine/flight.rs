//! What is under way, by step.
//!
//! Every input leads to the question which deadline is next and which step may start. Both are
//! kept here, so that neither walks over all steps: a run of many steps asks it many times.

use crate::time::Mono;
use std::collections::BTreeSet;

/// What is under way for a step. Never journaled: a new leader begins with an inspection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flight {
    Inspecting {
        unknown: bool,
    },
    Journaling,
    Acting,
    Verifying {
        already: bool,
    },
    Backoff {
        until: Mono,
    },
    Approving {
        until: Mono,
    },
    Lingering {
        until: Mono,
    },
    /// `acted`: after an attempt that ended well (true), or unclear (false).
    UndoInspecting {
        acted: Option<bool>,
    },
    Undoing,
    UndoWaiting {
        until: Mono,
    },
}

impl Flight {
    fn until(self) -> Option<Mono> {
        match self {
            Self::Backoff { until }
            | Self::Approving { until }
            | Self::Lingering { until }
            | Self::UndoWaiting { until } => Some(until),
            _ => None,
        }
    }
}

/// Everything that is under way.
#[derive(Clone, Debug)]
pub(super) struct Flights {
    by_step: Vec<Option<Flight>>,
    count: usize,
    deadlines: BTreeSet<(Mono, usize)>,
    /// Steps that may be ready and have nothing under way: something has changed about them
    /// since they were last looked at.
    stirred: BTreeSet<usize>,
}

impl Flights {
    /// Nothing is under way for any of so many steps.
    pub(super) fn none(steps: usize) -> Self {
        Self { by_step: vec![None; steps], count: 0, deadlines: BTreeSet::new(), stirred: BTreeSet::new() }
    }

    pub(super) fn of(&self, step: usize) -> Option<Flight> {
        self.by_step[step]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn begin(&mut self, step: usize, flight: Flight) {
        let before = self.by_step[step].replace(flight);
        self.count += usize::from(before.is_none());
        self.forget(step, before);
        self.deadlines.extend(flight.until().map(|until| (until, step)));
    }

    /// Nothing is under way any more: it may be looked at again.
    pub(super) fn end(&mut self, step: usize) {
        let before = self.by_step[step].take();
        self.count -= usize::from(before.is_some());
        self.forget(step, before);
        self.stirred.insert(step);
    }

    fn forget(&mut self, step: usize, flight: Option<Flight>) {
        if let Some(until) = flight.and_then(Flight::until) {
            self.deadlines.remove(&(until, step));
        }
    }

    /// Something has changed about these steps.
    pub(super) fn stir(&mut self, steps: impl IntoIterator<Item = usize>) {
        self.stirred.extend(steps);
    }

    /// The steps to look at, in plan order; each is given once.
    pub(super) fn stirred(&mut self) -> BTreeSet<usize> {
        std::mem::take(&mut self.stirred)
    }

    pub(super) fn next_deadline(&self) -> Option<Mono> {
        self.deadlines.first().map(|(until, _)| *until)
    }

    /// The flights whose time is over, in plan order.
    pub(super) fn due(&self, now: Mono) -> Vec<(usize, Flight)> {
        let over = self.deadlines.iter().take_while(|(until, _)| *until <= now);
        let steps: BTreeSet<usize> = over.map(|(_, step)| *step).collect();
        steps.into_iter().filter_map(|step| Some((step, self.of(step)?))).collect()
    }

    /// Ends what only waits for its time; what waits on the way back only if that ends too.
    pub(super) fn end_waiting(&mut self, undo: bool) {
        let steps = self.deadlines.iter().map(|(_, step)| *step);
        let back = |step: &usize| matches!(self.of(*step), Some(Flight::UndoWaiting { .. }));
        let waiting: Vec<usize> = steps.filter(|step| undo || !back(step)).collect();
        waiting.into_iter().for_each(|step| self.end(step));
    }
}
