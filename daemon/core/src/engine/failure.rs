//! An attempt failed: what then.

use super::{Engine, Flight};
use crate::action::{Action, Failure, FailureKind, FenceProof, Inspection};
use crate::check::Answer;
use crate::ids::Digest;
use crate::journal::{Block, BlockKind, Body, Evidence};
use crate::plan::{OnFailure, PAUSE, Step, Unreachable};
use crate::run::{Run, StepState};
use crate::time::{Now, Span};

impl Engine {
    /// What may have been acted upon was inspected. Found done, it is verified. What a leader left
    /// behind is done again if that does no harm, once what that leader began can no longer take
    /// effect; otherwise a person is asked. An attempt of our own with an unclear end has failed as
    /// far as the playbook goes.
    pub(super) fn looked_again(&mut self, at: usize, found: Inspection, now: Now) {
        let step = self.id(at);
        if let (Inspection::Needed(seen) | Inspection::Unknown(seen), None) = (&found, self.unclear.get(&at))
            && self.step(at).action.idempotent()
        {
            if let Some(until) = self.lingering(at, now) {
                return self.flights.begin(at, Flight::Lingering { until });
            }
            let attempt = self.run.steps[at].attempt;
            let message = format!("its leader was lost in mid-attempt, and what it did is over: {seen}");
            let failure = Failure { kind: FailureKind::Ambiguous, message };
            return self.queue.push(Body::AttemptFailed {
                step,
                attempt,
                failure,
                retry_in: Span::default(),
            });
        }
        let unclear = self.unclear.remove(&at);
        let seen = match found {
            Inspection::Satisfied(evidence) => return self.queue.push(Body::StepActed { step, evidence }),
            Inspection::Needed(why) | Inspection::Conflict(why) | Inspection::Unknown(why) => why,
        };
        let why = match &unclear {
            Some(failure) => format!("{}; looked at again: {seen}", failure.message),
            None => format!("it may have been acted upon before its leader was lost: {seen}"),
        };
        self.queue.push(if unclear.is_some() && self.step(at).on_failure != OnFailure::Pause {
            Body::StepFailed { step, failure: Failure { kind: FailureKind::Ambiguous, message: why } }
        } else {
            Body::Blocked(Block { step: Some(step), kind: BlockKind::Unknown, why })
        });
    }

    /// An attempt failed: leave it out, try again, or give up as the playbook says.
    pub(super) fn failed(&mut self, at: usize, failure: Failure) {
        self.flights.begin(at, Flight::Journaling);
        let (spec, record) = (&self.run.plan.steps[at], &self.run.steps[at]);
        let step = spec.id.clone();
        if failure.kind == FailureKind::Unreachable && spec.unreachable == Unreachable::Skip {
            self.queue.push(Body::StepSkipped {
                step,
                why: format!("unreachable: {}", failure.message),
                by: None,
            });
            return;
        }
        // An inspection that failed has not counted as an attempt yet.
        let attempt = record.attempt + u32::from(record.state == StepState::Pending);
        let untouched = failure.kind == FailureKind::Unreachable;
        let again = untouched || (spec.action.idempotent() && failure.kind != FailureKind::Refused);
        if again && attempt < spec.attempts {
            let retry_in = backoff(&self.run, spec, attempt);
            self.queue.push(Body::AttemptFailed { step, attempt, failure, retry_in });
            return;
        }
        if let (Action::FenceProve { any_of, .. }, Some(waiver)) =
            (&spec.action, self.run.overridden("fence"))
            && any_of.iter().any(|proof| matches!(proof, FenceProof::OperatorWord { .. }))
        {
            let by = self.run.trigger.identity();
            let answer =
                Answer::Holds(format!("on the word of {by}: {} ({})", waiver.reason, failure.message));
            let evidence = vec![Evidence { what: "fence.prove".into(), answer }];
            self.queue.push(Body::StepFailed { step: step.clone(), failure });
            self.queue.push(Body::StepSucceeded { step, evidence });
            return;
        }
        let (on_failure, why) = (spec.on_failure, failure.message.clone());
        self.queue.push(Body::StepFailed { step: step.clone(), failure });
        if on_failure == OnFailure::Pause {
            self.queue.push(Body::Blocked(Block { step: Some(step), kind: BlockKind::Attempts, why }));
        }
    }
}

/// Its jitter is drawn from the run's name, so that a replay waits as long.
pub(super) fn backoff(run: &Run, step: &Step, attempt: u32) -> Span {
    let seed = Digest::of([run.id.as_str().as_bytes(), step.id.as_str().as_bytes(), &attempt.to_be_bytes()]);
    let draw = u64::from_str_radix(&seed.as_str()[..4], 16).expect("a digest is hex");
    let (least, most) = PAUSE;
    Span::ms(step.pause_ms(attempt, least + draw % (most - least + 1)))
}
