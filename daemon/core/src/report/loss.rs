//! What each data set lost, as far as the journal tells.

use crate::action::Action;
use crate::check::Check;
use crate::ids::ResourceId;
use crate::journal::{Body, Event, Evidence};
use crate::lag::Lag;
use crate::run::Run;
use crate::time::Span;
use serde::Serialize;
use std::collections::BTreeSet;

/// What a data set lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// The resource.
    pub data_set: ResourceId,
    /// Writes of this much time had not arrived; none if that is not known.
    pub time: Option<Span>,
    /// It may be more.
    pub at_least: bool,
    /// Bytes of log that had not arrived; none if that is not known.
    pub bytes: Option<u64>,
    /// Unix time in milliseconds at which the primary had answered last.
    pub primary_seen_ms: Option<i64>,
    /// How it was found out, or why it is not known.
    pub explanation: String,
}

/// Every data set that was, or is to be, promoted or that must not lag.
pub(super) fn losses(run: &Run, journal: &[Event]) -> Vec<Loss> {
    let promoted = run.plan.steps.iter().filter_map(|step| match &step.action {
        Action::PostgresPromote { database } => Some(&database.cluster),
        _ => None,
    });
    let required = run.plan.require.iter().filter_map(|require| cluster(&require.check));
    let sets: BTreeSet<&ResourceId> = promoted.chain(required).collect();
    sets.into_iter().map(|set| loss(run, journal, set)).collect()
}

fn cluster(check: &Check) -> Option<&ResourceId> {
    match check {
        Check::PostgresLag { replica, .. } => Some(&replica.cluster),
        _ => None,
    }
}

fn loss(run: &Run, journal: &[Event], set: &ResourceId) -> Loss {
    let unknown = |explanation: String| Loss {
        data_set: set.clone(),
        time: None,
        at_least: false,
        bytes: None,
        primary_seen_ms: None,
        explanation,
    };
    let mut required = run.plan.require.iter().filter(|require| cluster(&require.check) == Some(set));
    let Some(required) = required.next() else {
        return unknown("the playbook requires no postgres.lag of it, so nobody looked".into());
    };
    let what = required.check.to_string();
    let answered = journal.iter().rev().find_map(|event| match &event.body {
        Body::RequirementsMet { evidence } => {
            evidence.iter().find(|seen| seen.what == what).map(|seen| (event, seen))
        }
        _ => None,
    });
    let Some((event, Evidence { answer, .. })) = answered else {
        return unknown("its lag has not been measured yet".into());
    };
    let mut explanation = answer.detail().to_owned();
    if let Some(promoted) = promotion(run, journal, set) {
        explanation.push_str("; ");
        explanation.push_str(promoted);
    }
    let Some(Lag::Known { time, at_least, bytes, seen }) = Lag::read(answer.detail()) else {
        return unknown(explanation);
    };
    let seen = i64::try_from(seen.as_ms()).unwrap_or(i64::MAX);
    Loss {
        time: Some(time),
        at_least,
        bytes: Some(bytes),
        primary_seen_ms: Some(event.wall_ms.saturating_sub(seen)),
        ..unknown(explanation)
    }
}

/// What its promotion saw.
fn promotion<'a>(run: &Run, journal: &'a [Event], set: &ResourceId) -> Option<&'a str> {
    journal.iter().rev().find_map(|event| match &event.body {
        Body::StepActed { step, evidence } => {
            let at = run.step_index(step)?;
            match &run.plan.steps[at].action {
                Action::PostgresPromote { database } if database.cluster == *set => Some(evidence.as_str()),
                _ => None,
            }
        }
        _ => None,
    })
}
