//! Looks at everything that a run would touch, read-only, from this member.

use super::super::state::State;
use super::super::{Api, wire};
use super::{locks, overrides, plan as bound, require_name, warnings};
use crate::action::{self, Context};
use crate::condition::{Env, evaluate};
use futures::StreamExt as _;
use standfast_core::action::{Action, Attempt, Inspection};
use standfast_core::check::{Answer, Check};
use standfast_core::engine::rule;
use standfast_core::guard::Guard;
use standfast_core::ids::{Epoch, Identity, RunId};
use standfast_core::journal::Override;
use standfast_core::plan::{Plan, Require, Step};
use standfast_proto::v1::{self, ConditionOutcome, GuardOutcome, Preview};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// For one condition.
const ASK: Duration = Duration::from_secs(5);
/// For one step.
const INSPECT: Duration = Duration::from_secs(10);
/// For everything; callers wait a minute.
const ALL: Duration = Duration::from_secs(50);
/// Targets that are looked at at once.
const AT_ONCE: usize = 16;

/// What was seen of a plan.
struct Seen {
    require: Vec<Answer>,
    steps: Vec<Inspection>,
}

impl Api {
    /// A plan with all that can be seen of it now: what its requirements answer, what each step
    /// would do, and what the guards of a manual trigger say.
    pub(in crate::api) async fn inspected(
        &self,
        plan: Plan,
        by: &Identity,
        waived: &[v1::Override],
    ) -> Result<v1::Plan, Status> {
        let waived = overrides(&plan, waived)?;
        let bundle = self.bundle()?;
        let (seen, state, findings) = tokio::join!(
            look(&plan, &self.deps.env),
            State::read(self.store(), None),
            warnings(bundle.clone())
        );
        let rules = bundle.rules();
        // A waiver counts here as it will when the leader judges it.
        let may = |require: &Require| {
            let role = require.override_by.as_deref();
            let named = waived.iter().any(|waiver| waiver.rule == rule(&require.check));
            named && role.is_some_and(|role| rules.has_role(by, role))
        };
        let mut shown = bound(&plan);
        let mut unmet = Vec::new();
        for ((shown, require), answer) in shown.requires.iter_mut().zip(&plan.require).zip(&seen.require) {
            let outcome = match answer {
                Answer::Holds(_) => ConditionOutcome::Holds,
                Answer::Fails(_) => ConditionOutcome::DoesNotHold,
                Answer::Unknown(_) => ConditionOutcome::CannotTell,
            };
            shown.outcome = outcome.into();
            shown.answer = answer.detail().to_owned();
            if outcome != ConditionOutcome::Holds && !may(require) {
                unmet.push(require);
            }
        }
        let mut refuses = false;
        for (shown, found) in shown.steps.iter_mut().zip(&seen.steps) {
            let (preview, detail) = match found {
                Inspection::Satisfied(detail) => (Preview::AlreadySo, detail),
                Inspection::Needed(detail) => (Preview::WouldDo, detail),
                Inspection::Unknown(detail) => (Preview::CannotTell, detail),
                Inspection::Conflict(detail) => (Preview::Refuses, detail),
            };
            (shown.preview, shown.detail) = (preview.into(), detail.clone());
            refuses |= preview == Preview::Refuses;
        }
        shown.guards = guards(&plan, &seen, state.as_ref().ok(), &waived);
        let refused = shown.guards.iter().any(|guard| guard.outcome() == GuardOutcome::Refused);
        shown.would_be_refused = refused || refuses || !unmet.is_empty();
        shown.changes_pending = shown.steps.iter().any(|step| step.preview() == Preview::WouldDo);
        shown.findings = findings;
        (shown.member, shown.member_site) = (self.deps.me.id.to_string(), self.deps.me.site.to_string());
        shown.inspected_at = wire::now();
        Ok(shown)
    }
}

/// All requirements and all steps, a few at a time, within the time for everything.
async fn look(plan: &Plan, env: &Env) -> Seen {
    let deadline = Instant::now() + ALL;
    let require: Vec<_> = plan.require.iter().map(|require| ask(&require.check, env, deadline)).collect();
    let steps: Vec<_> = plan.steps.iter().map(|step| inspect(plan, step, env, deadline)).collect();
    let require = futures::stream::iter(require).buffered(AT_ONCE);
    let steps = futures::stream::iter(steps).buffered(AT_ONCE);
    let (require, steps) = tokio::join!(require.collect(), steps.collect());
    Seen { require, steps }
}

fn late(deadline: Instant) -> Option<&'static str> {
    (Instant::now() >= deadline).then_some("not looked at: the others took all the time")
}

async fn ask(check: &Check, env: &Env, deadline: Instant) -> Answer {
    match late(deadline) {
        Some(why) => Answer::Unknown(why.into()),
        None => evaluate(check, env, ASK.min(deadline - Instant::now())).await,
    }
}

async fn inspect(plan: &Plan, step: &Step, env: &Env, deadline: Instant) -> Inspection {
    if let Some(why) = late(deadline) {
        return Inspection::Unknown(why.into());
    }
    let nobody = || Identity::new("dry-run");
    let context = Context {
        attempt: Attempt {
            run: RunId::new("dry-run"),
            step: step.id.clone(),
            attempt: 0,
            epoch: Epoch(0),
            started_by: nobody(),
        },
        env: env.clone(),
        deadline: deadline.min(Instant::now() + INSPECT),
        mode: plan.request.mode,
        leash: None,
        validity: None,
        cancel: CancellationToken::new(),
    };
    action::inspect(&step.action, &context).await
}

/// The guards as a manual trigger meets them: detection and hold-down are bypassed, a lock never
/// is, lag and fence only by name.
fn guards(plan: &Plan, seen: &Seen, state: Option<&State>, waived: &[Override]) -> Vec<v1::GuardDecision> {
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

fn lag(plan: &Plan, seen: &Seen) -> (GuardOutcome, String) {
    let asked = plan.require.iter().zip(&seen.require);
    let mut lags = asked.filter(|(require, _)| matches!(require.check, Check::PostgresLag { .. })).peekable();
    if lags.peek().is_none() {
        return (GuardOutcome::NotAsked, "the playbook requires no postgres.lag".to_owned());
    }
    let lags: Vec<_> = lags.collect();
    match lags.iter().find(|(_, answer)| !answer.holds()) {
        Some((require, answer)) => {
            (GuardOutcome::Refused, format!("{}: {}", require_name(require), answer.detail()))
        }
        None => {
            let details: Vec<&str> = lags.iter().map(|(_, answer)| answer.detail()).collect();
            (GuardOutcome::Passed, details.join("; "))
        }
    }
}

fn fence(plan: &Plan, seen: &Seen) -> (GuardOutcome, String) {
    let steps = plan.steps.iter().zip(&seen.steps);
    let fence =
        steps.filter(|(step, _)| matches!(step.action, Action::FenceProve { .. })).map(|(_, found)| found);
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
