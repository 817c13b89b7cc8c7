//! What an earlier leader began may go on without it: before the same is done again, that is waited out.

use super::{Engine, Flight};
use crate::journal::Body;
use crate::run::{State, StepState};
use crate::time::{Mono, Now};

impl Engine {
    /// From now on, on this leader's own clock, the acts linger whose end nobody has seen: of earlier
    /// leaders, and on the way back our own as well.
    pub(super) fn linger(&mut self, now: Now) {
        let back = self.run.state() == State::RollingBack;
        for (at, record) in self.run.steps.iter().enumerate() {
            let Some(epoch) = record.unsettled else { continue };
            let step = &self.run.plan.steps[at];
            let undo = step.undo_action().filter(|_| record.state == StepState::Undoing);
            let until = now.mono + undo.unwrap_or(&step.action).linger(step.timeout).0;
            if epoch < self.epoch {
                self.lingers.entry(at).or_insert(until);
            } else if back {
                self.lingers.insert(at, until);
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
