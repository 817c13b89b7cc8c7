//! The transitions: what each entry makes of a run.

use super::{Illegal, Overriding, Run, StepRecord, StepState};
use crate::action::{Action, FailureKind};
use crate::journal::{Body, Event};
use crate::plan::OnFailure;

impl StepRecord {
    /// An attempt has failed. If it had begun to act, its act is over, but for one whose end is
    /// unclear; an inspection that failed says nothing of an act before it.
    fn settle(&mut self, before: StepState, kind: FailureKind) {
        if before == StepState::Started {
            self.touched |= !matches!(kind, FailureKind::Unreachable | FailureKind::Refused);
        }
        if matches!(before, StepState::Started | StepState::Undoing) && kind != FailureKind::Ambiguous {
            self.unsettled = None;
        }
    }
}

impl Run {
    /// The one transition function.
    pub fn apply(&mut self, event: &Event) -> Result<(), Illegal> {
        let step = self.admits(event)?;
        self.sequence = event.sequence;
        self.epoch = event.epoch;
        self.elapsed_ms = event.elapsed_ms;
        self.wall_ms = event.wall_ms;
        match &event.body {
            Body::Created { .. } => {}
            Body::Approved { .. } => self.proposed = false,
            Body::TookOver => self.take_over(),
            Body::OverrideAsked { step, by, reason } => {
                let asked = Overriding { by: by.clone(), reason: reason.clone() };
                self.overriding.insert(step.clone(), asked);
            }
            Body::Waived { requirement, .. } => {
                self.waived.insert(*requirement);
                self.unblock(None);
            }
            Body::RequirementsMet { .. } => {
                self.cleared = true;
                self.unblock(None);
            }
            Body::Paused { .. } => self.paused = true,
            Body::Resumed { .. } => self.paused = false,
            Body::Blocked(block) => {
                if let Some(at) = block.step.as_ref().and_then(|step| self.step_index(step))
                    && matches!(self.steps[at].state, StepState::Started | StepState::Verifying)
                {
                    self.steps[at].state = StepState::Unknown;
                    self.touch(at);
                }
                self.blocks.insert(block.step.clone(), block.clone());
            }
            Body::AbortAsked { by, reason } => self.abort_asked = Some(format!("aborted by {by}: {reason}")),
            Body::RollbackBegun { why, .. } => {
                self.rollback = Some(why.clone());
                self.paused = false;
                self.blocks.clear();
                self.overriding.clear();
            }
            Body::Ended { end, .. } => self.ended = Some(*end),
            Body::Retried { step: None, .. } => self.unblock(None),
            Body::StepStarted { .. }
            | Body::StepActed { .. }
            | Body::StepSucceeded { .. }
            | Body::StepAlreadyDone { .. }
            | Body::AttemptFailed { .. }
            | Body::StepFailed { .. }
            | Body::StepSkipped { .. }
            | Body::Retried { step: Some(_), .. }
            | Body::UndoStarted { .. }
            | Body::UndoAttemptFailed { .. }
            | Body::StepUndone { .. }
            | Body::UndoFailed { .. }
            | Body::ApprovalGiven { .. } => self.apply_step(step.expect("the entry was admitted"), event),
        }
        Ok(())
    }

    fn apply_step(&mut self, at: usize, event: &Event) {
        let record = &mut self.steps[at];
        let before = record.state;
        match &event.body {
            Body::StepStarted { attempt, inspected, .. } => {
                record.state = StepState::Started;
                record.attempt = *attempt;
                record.started_ms.get_or_insert(event.elapsed_ms);
                record.detail.clone_from(inspected);
                record.unsettled = Some(event.epoch);
                self.crossed |= self.plan.steps[at].point_of_no_return;
            }
            Body::StepActed { evidence, .. } => {
                record.state = StepState::Verifying;
                record.unsettled = None;
                record.touched = true;
                record.detail.clone_from(evidence);
            }
            Body::StepSucceeded { evidence, .. } | Body::StepAlreadyDone { evidence, .. } => {
                record.state = match event.body {
                    Body::StepSucceeded { .. } => StepState::Succeeded,
                    _ => StepState::AlreadyDone,
                };
                record.unsettled = None;
                if let Some(last) = evidence.last() {
                    record.detail = format!("{}: {}", last.what, last.answer.detail());
                }
            }
            Body::AttemptFailed { attempt, failure, .. } => {
                record.state = StepState::Pending;
                record.attempt = *attempt;
                record.detail.clone_from(&failure.message);
                record.settle(before, failure.kind);
            }
            Body::StepFailed { failure, .. } => {
                record.state = StepState::Failed;
                record.detail.clone_from(&failure.message);
                record.settle(before, failure.kind);
            }
            Body::StepSkipped { why, by, .. } => {
                record.state = StepState::Skipped;
                record.touched |= before == StepState::Started;
                record.detail.clone_from(why);
                record.skipped_by.clone_from(by);
            }
            Body::Retried { .. } => {
                record.state = StepState::Pending;
                record.attempt = 0;
            }
            Body::ApprovalGiven { by, .. } => {
                record.approvals.insert(by.clone());
            }
            Body::UndoStarted { attempt, inspected, .. } => {
                record.state = StepState::Undoing;
                record.undo_attempt = *attempt;
                record.unsettled = Some(event.epoch);
                record.detail.clone_from(inspected);
            }
            Body::UndoAttemptFailed { attempt, failure, .. } => {
                record.undo_attempt = *attempt;
                record.detail.clone_from(&failure.message);
                record.settle(before, failure.kind);
            }
            Body::StepUndone { evidence, .. } => {
                record.state = StepState::Undone;
                record.unsettled = None;
                record.detail.clone_from(evidence);
            }
            Body::UndoFailed { failure, .. } => {
                record.state = StepState::UndoFailed;
                record.detail.clone_from(&failure.message);
            }
            _ => {}
        }
        let after = record.state;
        if after.ended() {
            record.started_ms.get_or_insert(event.elapsed_ms);
            record.ended_ms = Some(event.elapsed_ms);
        }
        if after.ended() || matches!(event.body, Body::Retried { .. }) {
            self.unblock(Some(at));
        }
        self.move_step(at, before, after);
        self.touch(at);
    }

    /// Notes whether a step is to be taken back, should it come to that.
    fn touch(&mut self, at: usize) {
        let record = &mut self.steps[at];
        record.touched |= matches!(record.state, StepState::Unknown);
        let undone = record.state == StepState::Undone;
        if record.touched && !undone && self.plan.steps[at].undo_action().is_some() {
            self.undoable.insert(at);
        } else {
            self.undoable.remove(&at);
        }
    }

    /// Nothing blocks this step any more, or the requirements, and nobody is to approve that it may go on.
    fn unblock(&mut self, at: Option<usize>) {
        if !self.blocks.is_empty() || !self.overriding.is_empty() {
            let step = at.map(|at| self.plan.steps[at].id.clone());
            self.blocks.remove(&step);
            self.overriding.remove(&step);
        }
    }

    /// Whether a step in `state` lets the steps that need it go on.
    fn releases(&self, at: usize, state: StepState) -> bool {
        match state {
            StepState::Succeeded | StepState::AlreadyDone | StepState::Skipped => true,
            StepState::Failed => self.plan.steps[at].on_failure == OnFailure::Continue,
            _ => false,
        }
    }

    fn move_step(&mut self, at: usize, before: StepState, after: StepState) {
        let shape = self.shape.clone();
        let fails = |policy| after == StepState::Failed && self.plan.steps[at].on_failure == policy;
        let (aborts, retreats) = (fails(OnFailure::Abort), fails(OnFailure::Rollback));
        for (steps, holds) in [(&mut self.aborting, aborts), (&mut self.retreating, retreats)] {
            if holds {
                steps.insert(at)
            } else {
                steps.remove(&at)
            };
        }
        if matches!(after, StepState::Started | StepState::Verifying | StepState::Unknown) {
            self.under_way.insert(at);
        } else {
            self.under_way.remove(&at);
        }
        match (before.ended(), after.ended()) {
            (false, true) => self.open -= 1,
            (true, false) => self.open += 1,
            _ => {}
        }
        match (self.releases(at, before), self.releases(at, after)) {
            (false, true) => {
                for &next in &shape.dependents[at] {
                    self.unmet[next] -= 1;
                    if self.unmet[next] == 0 && self.steps[next].state == StepState::Pending {
                        self.ready.insert(next);
                    }
                }
            }
            (true, false) => {
                for &next in &shape.dependents[at] {
                    self.unmet[next] += 1;
                    self.ready.remove(&next);
                }
            }
            _ => {}
        }
        if after == StepState::Pending && self.unmet[at] == 0 {
            self.ready.insert(at);
        } else {
            self.ready.remove(&at);
        }
    }

    /// Attempts that were under way are Unknown, but those that only read go on.
    fn take_over(&mut self) {
        for at in self.under_way.clone() {
            let before = self.steps[at].state;
            if !matches!(before, StepState::Started | StepState::Verifying) {
                continue;
            }
            let after = match self.plan.steps[at].action {
                Action::ApprovalAsk { .. } => continue,
                Action::WaitUntil { .. } => StepState::Pending,
                _ => StepState::Unknown,
            };
            self.steps[at].state = after;
            if after == StepState::Pending {
                self.steps[at].attempt = self.steps[at].attempt.saturating_sub(1);
            }
            self.move_step(at, before, after);
            self.touch(at);
        }
    }
}
