//! The way back: what was done is taken back, one step at a time, the last one first.
//!
//! As on the way there: inspect, journal, act, and look whether it is so. What an earlier act of
//! the step may still do is waited out first, or it would come after its own undo.

use super::{Effect, Engine, Flight};
use crate::action::{Failure, FailureKind, Inspection};
use crate::journal::{Block, BlockKind, Body};
use crate::run::{State, StepState};
use crate::time::Now;

impl Engine {
    /// A step failed whose policy is the way back: it is begun, or a person is asked where there is
    /// none. Whether there was something to write.
    pub(super) fn retreat(&mut self) -> bool {
        let Some(at) = self.run.retreating() else { return false };
        if !matches!(self.run.state(), State::Running | State::Blocked) {
            return false;
        }
        let (step, detail) = (self.id(at), &self.run.steps[at].detail);
        let body = match self.run.no_way_back() {
            None => Body::RollbackBegun { by: None, why: format!("step {step} failed: {detail}") },
            Some(_) if self.run.blocks.contains_key(&Some(step.clone())) => return false,
            Some(why) => {
                let why = format!("{detail}; {why}");
                Body::Blocked(Block { step: Some(step), kind: BlockKind::Attempts, why })
            }
        };
        self.queue.push(body);
        true
    }

    /// Once nothing is under way any more, the next step is taken back.
    pub(super) fn roll_back(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.flights.end_waiting(false);
        if !self.flights.is_empty() {
            return;
        }
        match self.run.next_undo().filter(|at| self.run.steps[*at].state != StepState::UndoFailed) {
            None => {
                let (end, why) = self.run.outcome();
                self.queue.push(Body::Ended { end, why });
            }
            Some(at) => match self.lingering(at, now) {
                Some(until) if self.run.steps[at].state != StepState::Undoing => {
                    self.flights.begin(at, Flight::UndoWaiting { until });
                }
                _ => {
                    self.flights.begin(at, Flight::UndoInspecting { acted: None });
                    effects.push(Effect::InspectUndo { step: at });
                }
            },
        }
    }

    pub(super) fn undo_inspected(&mut self, at: usize, found: Inspection, now: Now) {
        let Some(Flight::UndoInspecting { acted }) = self.flights.of(at) else { return };
        let Some(action) = self.step(at).undo_action() else { return };
        let (previews, idempotent) = (action.previews(), action.idempotent());
        self.flights.begin(at, Flight::Journaling);
        let (step, record) = (self.id(at), &self.run.steps[at]);
        // An undo began whose end nobody has seen.
        let unclear = record.state == StepState::Undoing && record.unsettled.is_some();
        let next = record.undo_attempt + 1;
        match found {
            Inspection::Satisfied(evidence) => self.queue.push(Body::StepUndone { step, evidence }),
            Inspection::Conflict(message) => {
                self.undo_failed(at, next, Failure { kind: FailureKind::Refused, message });
            }
            Inspection::Needed(why) | Inspection::Unknown(why) if acted == Some(true) => {
                let message = format!("it acted, and is not taken back: {why}");
                self.undo_failed(at, next - 1, Failure { kind: FailureKind::Failed, message });
            }
            Inspection::Needed(why) | Inspection::Unknown(why) if unclear && !idempotent => {
                let message = format!("it may have been taken back, and may not be twice: {why}");
                self.queue.push(Body::UndoFailed {
                    step,
                    failure: Failure { kind: FailureKind::Ambiguous, message },
                });
            }
            Inspection::Unknown(message) if previews => {
                self.undo_failed(at, next, Failure { kind: FailureKind::Unreachable, message });
            }
            Inspection::Needed(inspected) | Inspection::Unknown(inspected) => match self.lingering(at, now) {
                Some(until) => self.flights.begin(at, Flight::UndoWaiting { until }),
                None => self.queue.push(Body::UndoStarted { step, attempt: next, inspected }),
            },
        }
    }

    pub(super) fn undo_acted(
        &mut self,
        at: usize,
        result: Result<String, Failure>,
        effects: &mut Vec<Effect>,
    ) {
        if self.flights.of(at) != Some(Flight::Undoing) {
            return;
        }
        let Some(action) = self.step(at).undo_action() else { return };
        let (previews, idempotent) = (action.previews(), action.idempotent());
        self.flights.begin(at, Flight::Journaling);
        let (step, attempt) = (self.id(at), self.run.steps[at].undo_attempt);
        let acted = match result {
            Ok(evidence) if !previews => return self.queue.push(Body::StepUndone { step, evidence }),
            Ok(_) => true,
            // It may be so, and may not be done twice: look.
            Err(failure) if failure.kind == FailureKind::Ambiguous && !idempotent => false,
            Err(failure) => return self.undo_failed(at, attempt, failure),
        };
        self.flights.begin(at, Flight::UndoInspecting { acted: Some(acted) });
        effects.push(Effect::InspectUndo { step: at });
    }

    /// An attempt to take a step back failed: another follows, or a person is needed.
    fn undo_failed(&mut self, at: usize, attempt: u32, failure: Failure) {
        let spec = &self.run.plan.steps[at];
        let idempotent = spec.undo_action().is_some_and(crate::action::Action::idempotent);
        let again = match failure.kind {
            FailureKind::Unreachable => true,
            FailureKind::Refused => false,
            FailureKind::Failed | FailureKind::Ambiguous => idempotent,
        };
        let step = spec.id.clone();
        self.queue.push(if again && attempt < spec.attempts {
            let retry_in = super::failure::backoff(&self.run, spec, attempt);
            Body::UndoAttemptFailed { step, attempt, failure, retry_in }
        } else {
            Body::UndoFailed { step, failure }
        });
    }
}
