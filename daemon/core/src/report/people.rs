//! What people did to a run, in order.

use crate::action::Action;
use crate::ids::{Identity, StepId};
use crate::journal::{Body, Event, Trigger};
use crate::run::Run;
use serde::Serialize;
use std::fmt;

/// What a person did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Did {
    /// Would waive something, or give their word, where that takes another person too.
    AskedToOverride,
    /// Took upon themselves what a rule or a requirement says.
    Waived,
    /// Said that a site cannot write, where nothing could prove it.
    GaveTheirWord,
    /// Approved the run, or a step that asks for it.
    Approved,
    /// Left a step out.
    Skipped,
    /// Let a step, or the requirements, be tried again.
    TriedAgain,
    /// Held the run.
    Paused,
    /// Let it go on.
    Resumed,
    /// Had what was done taken back.
    RolledBack,
    /// Had it ended.
    Ended,
}

impl Did {
    /// Whether a safety rule gave way to it.
    pub fn overrides(self) -> bool {
        matches!(self, Self::Waived | Self::GaveTheirWord)
    }
}

impl fmt::Display for Did {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AskedToOverride => "asked to override",
            Self::Waived => "waived",
            Self::GaveTheirWord => "gave their word",
            Self::Approved => "approved",
            Self::Skipped => "skipped",
            Self::TriedAgain => "tried again",
            Self::Paused => "paused",
            Self::Resumed => "resumed",
            Self::RolledBack => "rolled back",
            Self::Ended => "ended",
        })
    }
}

/// A person's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Word {
    /// What they did.
    pub did: Did,
    /// What it was about: a rule, a step, the run.
    pub about: String,
    /// Who.
    pub by: Identity,
    /// Why.
    pub reason: String,
    /// Unix time in milliseconds.
    pub wall_ms: i64,
}

/// Everything that people did.
pub(super) fn words(run: &Run, journal: &[Event]) -> Vec<Word> {
    journal.iter().flat_map(|event| said(run, event)).collect()
}

fn said(run: &Run, event: &Event) -> Vec<Word> {
    let word = |did: Did, about: String, by: &Identity, reason: &str| Word {
        did,
        about,
        by: by.clone(),
        reason: reason.to_owned(),
        wall_ms: event.wall_ms,
    };
    let the_run = || "the run".to_owned();
    vec![match &event.body {
        Body::Created { trigger: Trigger::Operator { identity, overrides, .. }, .. } => {
            let waived = overrides.iter();
            return waived
                .map(|waiver| word(Did::Waived, waiver.rule.clone(), identity, &waiver.reason))
                .collect();
        }
        Body::Waived { requirement, by, reason } => {
            let check = run.plan.require.get(*requirement).map(|require| require.check.to_string());
            word(Did::Waived, check.unwrap_or_default(), by, reason)
        }
        Body::ApprovalGiven { step, by, reason } => {
            let action = run.step_index(step).map(|at| &run.plan.steps[at].action);
            let did = match action {
                Some(Action::FenceProve { .. }) => Did::GaveTheirWord,
                _ => Did::Approved,
            };
            word(did, format!("step {step}"), by, reason)
        }
        Body::StepSkipped { step, by: Some(by), why } => word(Did::Skipped, format!("step {step}"), by, why),
        Body::OverrideAsked { step, by, reason } => {
            word(Did::AskedToOverride, step_or_required(step.as_ref()), by, reason)
        }
        Body::Retried { step, by, reason } => {
            word(Did::TriedAgain, step_or_required(step.as_ref()), by, reason)
        }
        Body::Approved { by, reason } => word(Did::Approved, the_run(), by, reason),
        Body::Paused { by, reason } => word(Did::Paused, the_run(), by, reason),
        Body::Resumed { by, reason } => word(Did::Resumed, the_run(), by, reason),
        Body::RollbackBegun { by: Some(by), why } => word(Did::RolledBack, the_run(), by, why),
        Body::AbortAsked { by, reason } => word(Did::Ended, the_run(), by, reason),
        _ => return Vec::new(),
    }]
}

fn step_or_required(step: Option<&StepId>) -> String {
    step.map_or_else(|| "what is required".to_owned(), |step| format!("step {step}"))
}
