//! What an entry says, in one sentence for people.

use super::{Body, Event, Evidence, Trigger};
use std::fmt::Display;

impl Event {
    /// What happened to its step, and then the sentence: for whoever is not shown the state of the
    /// step beside it.
    pub fn line(&self) -> String {
        let verb = match self.body {
            Body::StepStarted { .. } => "begins",
            Body::StepActed { .. } => "has acted",
            Body::StepSucceeded { .. } => "verified",
            Body::StepAlreadyDone { .. } => "already so",
            Body::StepFailed { .. } => "failed",
            Body::StepSkipped { by: None, .. } => "skipped",
            Body::UndoStarted { .. } => "is taken back",
            Body::StepUndone { .. } => "taken back",
            Body::UndoFailed { .. } => "could not be taken back",
            _ => return self.sentence(),
        };
        format!("{verb}: {}", self.sentence())
    }

    /// What happened, in one sentence. Names its step and that step's state only where it must.
    pub fn sentence(&self) -> String {
        match &self.body {
            Body::Created { trigger, proposed, .. } => {
                let what = if *proposed { "proposed" } else { "started" };
                match trigger {
                    Trigger::Automatic { .. } => format!("{what} by {}: {}", self.member, trigger.reason()),
                    Trigger::Operator { identity, reason, .. } => said(what, identity, reason),
                }
            }
            Body::Approved { by, reason } => said("approved", by, reason),
            Body::TookOver => format!("{} goes on, under epoch {}", self.member, self.epoch),
            Body::OverrideAsked { by, reason, .. } => {
                format!("{}; this takes another person", said("an override is asked for", by, reason))
            }
            Body::Waived { requirement, by, reason } => {
                said(&format!("requirement {} waived", requirement + 1), by, reason)
            }
            Body::RequirementsMet { evidence } if evidence.is_empty() => "nothing is required".into(),
            Body::RequirementsMet { evidence } => required(evidence),
            Body::StepStarted { inspected, .. } => inspected.clone(),
            Body::StepActed { evidence, .. } => evidence.clone(),
            Body::StepSucceeded { evidence, .. } => answers(evidence),
            Body::StepAlreadyDone { evidence, .. } => answers(evidence),
            Body::AttemptFailed { attempt, failure, retry_in, .. } => {
                format!("attempt {attempt} failed: {}; again in {retry_in}", failure.message)
            }
            Body::StepFailed { failure, .. } => failure.message.clone(),
            Body::StepSkipped { why, by: None, .. } => why.clone(),
            Body::StepSkipped { why, by: Some(by), .. } => said("skipped", by, why),
            Body::Retried { by, reason, .. } => said("tried again", by, reason),
            Body::ApprovalGiven { by, reason, .. } => said("approved", by, reason),
            Body::Paused { by, reason } => said("paused", by, reason),
            Body::Resumed { by, reason } => said("resumed", by, reason),
            Body::Blocked(block) => format!("a person is needed: {}", block.why),
            Body::AbortAsked { by, reason } => said("to be ended", by, reason),
            Body::RollbackBegun { by: Some(by), why } => said("to be rolled back", by, why),
            Body::RollbackBegun { by: None, why } => format!("to be rolled back: {why}"),
            Body::UndoStarted { inspected, .. } => inspected.clone(),
            Body::UndoAttemptFailed { attempt, failure, retry_in, .. } => {
                format!("attempt {attempt} to take it back failed: {}; again in {retry_in}", failure.message)
            }
            Body::StepUndone { evidence, .. } => evidence.clone(),
            Body::UndoFailed { failure, .. } => failure.message.clone(),
            Body::Ended { end, why } => format!("{end}: {why}"),
        }
    }
}

fn said(what: &str, by: &impl Display, reason: &str) -> String {
    match reason {
        "" => format!("{what} by {by}"),
        reason => format!("{what} by {by}: {reason}"),
    }
}

/// What does not hold and yet lets the run begin was waived.
fn required(evidence: &[Evidence]) -> String {
    let (hold, waived): (Vec<Evidence>, Vec<Evidence>) =
        evidence.iter().cloned().partition(|seen| seen.answer.holds());
    match (hold.as_slice(), waived.as_slice()) {
        (hold, []) => format!("what is required holds: {}", answers(hold)),
        ([], waived) => format!("what is required is waived: {}", answers(waived)),
        (hold, waived) => {
            format!("what is required holds: {}; or is waived: {}", answers(hold), answers(waived))
        }
    }
}

fn answers(evidence: &[Evidence]) -> String {
    evidence.iter().map(|seen| seen.answer.detail()).collect::<Vec<_>>().join("; ")
}
