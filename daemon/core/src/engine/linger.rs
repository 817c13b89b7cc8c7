//! What an earlier leader began may go on without it: before the same is done again, that is waited out.

use super::{Engine, Flight};
use crate::journal::Body;
use crate::run::StepState;
use crate::time::{Mono, Now};

impl Engine {
    /// From now on, on this leader's own clock, the acts linger whose end nobody has seen.
    pub(super) fn linger(&mut self, now: Now) {
        for (at, record) in self.run.steps.iter().enumerate() {
            if record.unsettled.is_some_and(|epoch| epoch < self.epoch) {
                let step = &self.run.plan.steps[at];
                self.lingers.insert(at, now.mono + step.action.linger(step.timeout).0);
            }
        }
    }

    /// Until when a step may not act, because an earlier leader's act of it may still take effect.
    pub(super) fn lingering(&self, at: usize, now: Now) -> Option<Mono> {
        self.lingers.get(&at).copied().filter(|until| now.mono < *until)
    }

    /// A step that is to act begins to, or waits first.
    pub(super) fn start(&mut self, at: usize, inspected: String, now: Now) {
        match self.lingering(at, now) {
            Some(until) => self.flights.begin(at, Flight::Lingering { until }),
            None => {
                let (step, attempt) = (self.id(at), self.run.steps[at].attempt + 1);
                self.queue.push(Body::StepStarted { step, attempt, inspected });
            }
        }
    }

    /// A step has waited long enough: it is looked at again.
    pub(super) fn lingered(&mut self, at: usize, effects: &mut Vec<super::Effect>) {
        // One that is pending is looked at anyway, once it is ready.
        if self.run.steps[at].state == StepState::Unknown {
            self.flights.begin(at, Flight::Inspecting { unknown: true });
            effects.push(super::Effect::Inspect { step: at });
        }
    }
}
