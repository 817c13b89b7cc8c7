//! The journal of a run: an append-only list of events. A run *is* the fold over them.
//!
//! Events name steps by id and carry what people will ask later: who, why, what was seen.
//! Nothing secret ever stands in one.

mod sentence;

use crate::action::Failure;
use crate::check::Answer;
use crate::ids::{Digest, Epoch, Identity, MemberId, StepId};
use crate::time::Span;
use crate::verdict::Finding;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The form of events written by this version.
pub const VERSION: u32 = 1;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The form of this entry.
    pub version: u32,
    /// From 1, without gaps.
    pub sequence: u64,
    /// Unix time in milliseconds on the writing member, for people.
    pub wall_ms: i64,
    /// Milliseconds since the run was created, on leaders' boot clocks: what is measured.
    pub elapsed_ms: u64,
    /// The fencing token under which it was written.
    pub epoch: Epoch,
    /// Who wrote it.
    pub member: MemberId,
    /// What happened.
    #[serde(flatten)]
    pub body: Body,
}

impl Event {
    /// The step that it is about, if it is about one.
    pub fn step(&self) -> Option<&StepId> {
        self.body.step()
    }
}

/// Who or what started a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Trigger {
    /// The verdict LOST. The evidence is complete: who voted what, since when, on which probes.
    Automatic {
        /// What the leader knew.
        evidence: Box<Finding>,
    },
    /// A person, or a program of theirs.
    Operator {
        /// The name in the certificate.
        identity: Identity,
        /// Why.
        reason: String,
        /// What the person takes upon themselves.
        overrides: Vec<Override>,
    },
}

impl Trigger {
    /// Whose name stands behind the run.
    pub fn identity(&self) -> Identity {
        match self {
            Self::Automatic { .. } => Identity::new("automation"),
            Self::Operator { identity, .. } => identity.clone(),
        }
    }

    /// Why, in one sentence.
    pub fn reason(&self) -> String {
        match self {
            Self::Automatic { evidence } => format!("{} is {}", evidence.site, evidence.verdict),
            Self::Operator { reason, .. } => reason.clone(),
        }
    }
}

/// A safety rule waived by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// `lag`, `fence`, or the dotted name of a required condition.
    pub rule: String,
    /// Why; shown in the report.
    pub reason: String,
}

/// A condition and what it answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What was asked.
    pub what: String,
    /// What was answered.
    pub answer: Answer,
}

/// Why a person is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockKind {
    /// A required condition does not hold, or is not known to.
    Requirement,
    /// The world contradicts the plan.
    Conflict,
    /// A step has spent its attempts.
    Attempts,
    /// It is not known whether a step was done, and it is not safe to do it again.
    Unknown,
}

/// One thing that a person must decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// The step; none for a requirement.
    pub step: Option<StepId>,
    /// Why.
    pub kind: BlockKind,
    /// What was seen.
    pub why: String,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Every step succeeded.
    Succeeded,
    /// The rest succeeded, but optional steps failed or a person skipped some.
    Partial,
    /// Everything done was undone.
    RolledBack,
    /// An undo failed; a person is needed.
    Stuck,
    /// A person or a step's policy ended it.
    Aborted,
    /// It was proposed, and its reason went away or a person rejected it.
    Cancelled,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Succeeded => "Succeeded",
            Self::Partial => "Partial",
            Self::RolledBack => "RolledBack",
            Self::Stuck => "Stuck",
            Self::Aborted => "Aborted",
            Self::Cancelled => "Cancelled",
        })
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Body {
    /// The first event.
    Created {
        /// Who or what started it.
        trigger: Trigger,
        /// The frozen plan.
        plan: Digest,
        /// It waits for approval.
        proposed: bool,
    },
    /// A proposed run may start, or what somebody has asked to waive may give way.
    Approved {
        /// Who.
        by: Identity,
        /// Why.
        reason: String,
    },
    /// A new leader goes on; what was under way is Unknown from here.
    TookOver,
    /// Somebody would waive the requirements, or gives their word for a step, where that takes another
    /// person too: nothing gives way before one has approved it.
    OverrideAsked {
        /// The step; none for the requirements.
        step: Option<StepId>,
        /// Who.
        by: Identity,
        /// Why.
        reason: String,
    },
    /// A requirement is waived.
    Waived {
        /// Its place in the plan.
        requirement: usize,
        /// Who.
        by: Identity,
        /// Why.
        reason: String,
    },
    /// The requirements hold, or are waived: steps may start.
    RequirementsMet {
        /// What was seen.
        evidence: Vec<Evidence>,
    },
    /// An attempt is about to act. Crosses the point of no return, if the step is it.
    StepStarted {
        /// The step.
        step: StepId,
        /// From 1.
        attempt: u32,
        /// What the inspection found.
        inspected: String,
    },
    /// The act is over (or was found done); its verification is next.
    StepActed {
        /// The step.
        step: StepId,
        /// What the act, or the inspection, saw.
        evidence: String,
    },
    /// Done and verified.
    StepSucceeded {
        /// The step.
        step: StepId,
        /// What proves it.
        evidence: Vec<Evidence>,
    },
    /// There was nothing to do, and the verification holds.
    StepAlreadyDone {
        /// The step.
        step: StepId,
        /// What proves it.
        evidence: Vec<Evidence>,
    },
    /// An attempt failed; another follows.
    AttemptFailed {
        /// The step.
        step: StepId,
        /// From 1.
        attempt: u32,
        /// How.
        failure: Failure,
        /// Pause before the next.
        retry_in: Span,
    },
    /// No attempt is left.
    StepFailed {
        /// The step.
        step: StepId,
        /// How the last one failed.
        failure: Failure,
    },
    /// The step is left out.
    StepSkipped {
        /// The step.
        step: StepId,
        /// Why.
        why: String,
        /// The person who said so; none when the playbook did.
        by: Option<Identity>,
    },
    /// A person lets the step, or the requirements when none is named, be tried again.
    Retried {
        /// The step.
        step: Option<StepId>,
        /// Who.
        by: Identity,
        /// Why.
        reason: String,
    },
    /// One approval of a step that asks for them.
    ApprovalGiven {
        /// The step.
        step: StepId,
        /// Who.
        by: Identity,
        /// Why.
        reason: String,
    },
    /// No new step starts.
    Paused {
        /// Who.
        by: Identity,
        /// Why.
        reason: String,
    },
    /// Steps start again.
    Resumed {
        /// Who.
        by: Identity,
        /// Why.
        reason: String,
    },
    /// A person is needed.
    Blocked(Block),
    /// The run ends when what is under way is over.
    AbortAsked {
        /// Who.
        by: Identity,
        /// Why.
        reason: String,
    },
    /// What was done is taken back, in reverse; no step begins any more.
    RollbackBegun {
        /// Who asked for it; none when a step's policy did.
        by: Option<Identity>,
        /// Why.
        why: String,
    },
    /// An undo is about to act.
    UndoStarted {
        /// The step that it takes back.
        step: StepId,
        /// From 1.
        attempt: u32,
        /// What the inspection found.
        inspected: String,
    },
    /// An attempt at an undo failed; another follows.
    UndoAttemptFailed {
        /// The step.
        step: StepId,
        /// From 1.
        attempt: u32,
        /// How.
        failure: Failure,
        /// Pause before the next.
        retry_in: Span,
    },
    /// Taken back.
    StepUndone {
        /// The step.
        step: StepId,
        /// What was seen.
        evidence: String,
    },
    /// It could not be taken back.
    UndoFailed {
        /// The step.
        step: StepId,
        /// How the last attempt failed.
        failure: Failure,
    },
    /// The last event.
    Ended {
        /// How.
        end: End,
        /// Why.
        why: String,
    },
}

impl Body {
    /// The step that it is about, if it is about one.
    pub fn step(&self) -> Option<&StepId> {
        match self {
            Self::StepStarted { step, .. }
            | Self::StepActed { step, .. }
            | Self::StepSucceeded { step, .. }
            | Self::StepAlreadyDone { step, .. }
            | Self::AttemptFailed { step, .. }
            | Self::StepFailed { step, .. }
            | Self::StepSkipped { step, .. }
            | Self::UndoStarted { step, .. }
            | Self::UndoAttemptFailed { step, .. }
            | Self::StepUndone { step, .. }
            | Self::UndoFailed { step, .. }
            | Self::ApprovalGiven { step, .. } => Some(step),
            Self::Retried { step, .. }
            | Self::OverrideAsked { step, .. }
            | Self::Blocked(Block { step, .. }) => step.as_ref(),
            _ => None,
        }
    }
}
