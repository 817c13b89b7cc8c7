//! Which entry may follow: everything that the fold relies on is refused here, with words.

use super::{Run, StepState};
use crate::action::{Action, FailureKind};
use crate::ids::StepId;
use crate::journal::{Block, Body, End, Event, VERSION};

impl Run {
    /// The place of the step that the entry changes, if it changes one.
    pub(super) fn check(&self, event: &Event) -> Result<Option<usize>, String> {
        if event.version != VERSION {
            return Err(format!("version {} is not read by this member", event.version));
        }
        if event.sequence != self.sequence + 1 {
            return Err(format!("after {} comes {}", self.sequence, self.sequence + 1));
        }
        if event.epoch < self.epoch {
            return Err(format!("epoch {} is over, {} has begun", event.epoch, self.epoch));
        }
        if event.epoch > self.epoch && !matches!(event.body, Body::TookOver) {
            return Err(format!("epoch {} has not taken the run over", event.epoch));
        }
        if let Some(end) = self.ended {
            return Err(format!("the run has ended: {end}"));
        }
        let back = self.rollback.is_some();
        let fits = match &event.body {
            Body::Created { .. } => false,
            Body::Approved { .. } => self.proposed || !self.overriding.is_empty(),
            Body::OverrideAsked { step: None, .. } => {
                self.blocks.contains_key(&None) && !self.cleared && !back
            }
            Body::RequirementsMet { .. } => !self.cleared && !self.proposed && !back,
            Body::Waived { requirement, .. } => {
                *requirement < self.plan.require.len() && !self.cleared && !back
            }
            Body::Paused { .. } => !self.paused && !self.proposed && !back,
            Body::Resumed { .. } => self.paused,
            // Allowed only before the point of no return, which is crossed by a journaled start.
            Body::RollbackBegun { .. } => !self.crossed && !self.proposed && !back,
            Body::Ended { end: End::Succeeded | End::Partial, .. } => self.open == 0 && self.cleared && !back,
            Body::Ended { end: End::RolledBack, .. } => back && self.undoable.is_empty(),
            Body::Ended { end: End::Stuck, .. } => back && self.undo_failed(),
            Body::Ended { end: End::Cancelled, .. } => self.proposed,
            Body::Blocked(Block { step: Some(step), .. }) => self.step_index(step).is_some(),
            Body::Blocked(Block { step: None, .. }) | Body::Retried { step: None, .. } => {
                !self.cleared && !back
            }
            Body::TookOver | Body::AbortAsked { .. } | Body::Ended { .. } => true,
            Body::StepStarted { step, .. }
            | Body::StepActed { step, .. }
            | Body::StepSucceeded { step, .. }
            | Body::StepAlreadyDone { step, .. }
            | Body::AttemptFailed { step, .. }
            | Body::StepFailed { step, .. }
            | Body::StepSkipped { step, .. }
            | Body::Retried { step: Some(step), .. }
            | Body::OverrideAsked { step: Some(step), .. }
            | Body::UndoStarted { step, .. }
            | Body::UndoAttemptFailed { step, .. }
            | Body::StepUndone { step, .. }
            | Body::UndoFailed { step, .. }
            | Body::ApprovalGiven { step, .. } => return self.check_step(step, &event.body),
        };
        if fits { Ok(None) } else { Err(format!("not while the run is {}", self.state())) }
    }

    fn undo_failed(&self) -> bool {
        self.next_undo().is_some_and(|at| self.steps[at].state == StepState::UndoFailed)
    }

    fn check_step(&self, step: &StepId, body: &Body) -> Result<Option<usize>, String> {
        use StepState::{Failed, Pending, Started, UndoFailed, Undoing, Unknown, Verifying};
        let at = self.step_index(step).ok_or_else(|| format!("the plan has no step {step}"))?;
        let record = &self.steps[at];
        let back = self.rollback.is_some();
        let due = self.cleared && self.unmet[at] == 0 && !back;
        // In reverse: what was done later has been taken back already.
        let undoes = back && self.next_undo() == Some(at) && record.state != UndoFailed;
        let fits = match body {
            Body::StepStarted { attempt, .. } => {
                due && record.state == Pending && *attempt == record.attempt + 1
            }
            Body::StepActed { .. } => matches!(record.state, Started | Unknown),
            // A person's word may settle a step that failed.
            Body::StepSucceeded { .. } => matches!(record.state, Started | Verifying | Failed),
            Body::StepAlreadyDone { .. } => due && record.state == Pending,
            Body::AttemptFailed { attempt, .. } => match record.state {
                Pending => due && *attempt == record.attempt + 1,
                Started | Verifying => *attempt == record.attempt,
                // Its leader was lost, and doing it again does no harm.
                Unknown => *attempt == record.attempt && self.plan.steps[at].action.idempotent(),
                _ => false,
            },
            Body::StepFailed { failure, .. } => match record.state {
                Pending => due,
                // Also when a person has meanwhile retried a step that it needs.
                Started | Verifying => true,
                Unknown => failure.kind == FailureKind::Ambiguous,
                _ => false,
            },
            Body::StepSkipped { .. } => matches!(record.state, Pending | Started | Unknown | Failed),
            Body::Retried { .. } => matches!(record.state, Pending | Unknown | Failed) && !back,
            Body::UndoStarted { attempt, .. } => undoes && *attempt == record.undo_attempt + 1,
            Body::UndoAttemptFailed { attempt, .. } => match record.state {
                Undoing => undoes && *attempt >= record.undo_attempt,
                _ => undoes && *attempt == record.undo_attempt + 1,
            },
            Body::StepUndone { .. } | Body::UndoFailed { .. } => undoes,
            // To a fence that could not be proven it is a person's word.
            Body::ApprovalGiven { .. } => match self.plan.steps[at].action {
                Action::FenceProve { .. } => record.state == Failed,
                _ => record.state == Started,
            },
            Body::OverrideAsked { .. } => {
                record.state == Failed && matches!(self.plan.steps[at].action, Action::FenceProve { .. })
            }
            _ => false,
        };
        if fits { Ok(Some(at)) } else { Err(format!("step {step} is {}", record.state)) }
    }
}
