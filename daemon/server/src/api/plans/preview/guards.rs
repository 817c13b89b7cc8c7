//! What the guards would say to a manual trigger now.

use super::super::super::state::State;
use super::super::super::wire;
use super::super::{locks, require_name};
use standfast_core::action::{Action, Inspection};
use standfast_core::check::Check;
use standfast_core::controller::Judged;
use standfast_core::guard::Guard;
use standfast_core::journal::Override;
use standfast_core::limits::{self, Moving};
use standfast_core::look::Seen;
use standfast_core::plan::Plan;
use standfast_core::rules::Rules;
use standfast_core::vote::Vote;
use standfast_proto::v1::{self, GuardOutcome};

/// The guards as a manual trigger meets them: detection and hold-down are bypassed, a lock never
/// is, lag and fence only by name.
pub(super) fn guards(
    plan: &Plan,
    seen: &Seen,
    (state, rules): (Option<&State>, &Rules),
    waived: &[Override],
) -> Vec<v1::GuardDecision> {
    let limits = limits::refusing(rules, &moving(plan, state));
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
                Guard::Serving | Guard::BlastRadius | Guard::FinalState => {
                    let refuses = limits.iter().find(|(limit, _)| *limit == guard);
                    match refuses {
                        Some((_, why)) => (GuardOutcome::Refused, why.clone()),
                        None => (GuardOutcome::Passed, "within what the fleet allows".to_owned()),
                    }
                }
                Guard::SecondPerson => second_person(rules, waived),
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

/// What would be moved, as things stand.
fn moving(plan: &Plan, state: Option<&State>) -> Moving {
    let sites = state.and_then(State::judged).map(|judgement| judgement.sites.as_slice()).unwrap_or_default();
    // As a destination is judged, but for its own word.
    let says = |judged: &Judged, vote: Vote| {
        judged.finding.votes.iter().any(|said| said.vote == vote && said.voter != plan.request.from)
    };
    let well = sites.iter().filter(|judged| says(judged, Vote::Up) && !says(judged, Vote::Down));
    Moving {
        from: plan.request.from.clone(),
        to: plan.request.to.clone(),
        services: plan.services.iter().cloned().collect(),
        well: well.map(|judged| judged.finding.site.clone()).collect(),
        today: state.map(|state| state.moves.clone()).unwrap_or_default(),
    }
}

fn second_person(rules: &Rules, waived: &[Override]) -> (GuardOutcome, String) {
    let said = match (rules.limits.second_person, waived.is_empty()) {
        (false, _) => "the fleet asks for none",
        (true, true) => "nothing is waived",
        (true, false) => "the run waits until another person has approved it",
    };
    (GuardOutcome::NotAsked, said.to_owned())
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
