//! What the guards would say to a manual trigger now.

use super::super::super::state::State;
use super::super::super::wire;
use super::super::{locks, require_name};
use standfast_core::action::{Action, Inspection};
use standfast_core::check::Check;
use standfast_core::guard::Guard;
use standfast_core::journal::Override;
use standfast_core::look::Seen;
use standfast_core::plan::Plan;
use standfast_proto::v1::{self, GuardOutcome};

/// The guards as a manual trigger meets them: detection and hold-down are bypassed, a lock never
/// is, lag and fence only by name.
pub(super) fn guards(
    plan: &Plan,
    seen: &Seen,
    state: Option<&State>,
    waived: &[Override],
) -> Vec<v1::GuardDecision> {
    Guard::ALL
        .into_iter()
        .map(|guard| {
            let waiver = waived.iter().find(|waiver| waiver.rule == guard.name());
            let (outcome, reason) = match guard {
                Guard::Quorum => match state {
                    None => (GuardOutcome::Refused, "the store does not answer".to_owned()),
                    Some(State { leader: None, .. }) => {
                        (GuardOutcome::Passed, "nobody leads; a request waits for the next leader".to_owned())
                    }
                    Some(State { leader: Some(leader), .. }) => {
                        (GuardOutcome::Passed, format!("{} leads, epoch {}", leader.member, leader.epoch))
                    }
                },
                Guard::Locks => lock(plan, state),
                Guard::Lag => lag(plan, seen),
                Guard::Fence => fence(plan, seen),
                Guard::Freeze => (GuardOutcome::NotAsked, freeze(state)),
                Guard::Maintenance => (GuardOutcome::NotAsked, maintenance(plan, state)),
                _ => (GuardOutcome::NotAsked, "not asked of a manual trigger".to_owned()),
            };
            match waiver {
                Some(waiver) if outcome != GuardOutcome::Passed => {
                    let reason = format!("{}: {reason}", waiver.reason);
                    wire::guard(guard, GuardOutcome::Waived, reason)
                }
                _ => wire::guard(guard, outcome, reason),
            }
        })
        .collect()
}

fn lock(plan: &Plan, state: Option<&State>) -> (GuardOutcome, String) {
    let held = state.and_then(|state| {
        locks(plan).find_map(|lock| state.locks.get(&lock).map(|run| (lock.replace('/', " "), run.clone())))
    });
    match (held, state) {
        (Some((what, run)), _) => (GuardOutcome::Refused, format!("run {run} holds {what}")),
        (None, Some(_)) => (GuardOutcome::Passed, "no run holds the sites or the services".to_owned()),
        (None, None) => (GuardOutcome::NotAsked, "the store does not answer".to_owned()),
    }
}

/// It stops no run of a person: they should know.
fn freeze(state: Option<&State>) -> String {
    let said = "not asked of a manual trigger".to_owned();
    match state.and_then(|state| state.freeze.as_ref()) {
        Some(freeze) => format!("{said}; frozen {}", freeze.told("thaws it")),
        None => said,
    }
}

/// Nor does that.
fn maintenance(plan: &Plan, state: Option<&State>) -> String {
    let said = "not asked of a manual trigger".to_owned();
    let sites = [&plan.request.from, &plan.request.to];
    let order = |site| Some((site, state?.maintenance.get(site)?));
    match sites.into_iter().find_map(order) {
        Some((site, order)) => format!("{said}; {site} is in maintenance {}", order.told("releases it")),
        None => said,
    }
}

fn lag(plan: &Plan, seen: &Seen) -> (GuardOutcome, String) {
    let asked = plan.require.iter().zip(&seen.require);
    let mut lags = asked.filter(|(require, _)| matches!(require.check, Check::PostgresLag { .. })).peekable();
    if lags.peek().is_none() {
        return (GuardOutcome::NotAsked, "the playbook requires no postgres.lag".to_owned());
    }
    let lags: Vec<_> = lags.collect();
    match lags.iter().find(|(_, joined)| !joined.says.holds()) {
        Some((require, joined)) => {
            (GuardOutcome::Refused, format!("{}: {}", require_name(require), joined.says.detail()))
        }
        None => {
            let details: Vec<&str> = lags.iter().map(|(_, joined)| joined.says.detail()).collect();
            (GuardOutcome::Passed, details.join("; "))
        }
    }
}

fn fence(plan: &Plan, seen: &Seen) -> (GuardOutcome, String) {
    let steps = plan.steps.iter().zip(&seen.steps);
    let fence = steps
        .filter(|(step, _)| matches!(step.action, Action::FenceProve { .. }))
        .map(|(_, joined)| &joined.says);
    let mut last = (GuardOutcome::NotAsked, "the playbook proves no fence".to_owned());
    for found in fence {
        last = match found {
            Inspection::Satisfied(detail) => (GuardOutcome::Passed, detail.clone()),
            Inspection::Conflict(why) => return (GuardOutcome::Refused, why.clone()),
            Inspection::Needed(detail) | Inspection::Unknown(detail) => {
                (GuardOutcome::NotAsked, format!("proven by the run before it promotes: {detail}"))
            }
        };
    }
    last
}
