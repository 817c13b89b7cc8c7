//! A person wants a run: is it bound, permitted, free of others, and does all hold that its
//! playbook requires?
//!
//! A person is there to be told no: so their run is not begun where one that the automation began
//! would block. Its requirements are asked again when it is there; what fails then blocks it.

use super::{Ask, Controller, Effect, RefusalKind, Subject, Unmet, Wish};
use crate::action::{Action, FenceProof};
use crate::bind::bind;
use crate::check::Answer;
use crate::engine::command::About;
use crate::engine::{Refusal, rule};
use crate::guard::Guard;
use crate::ids::{Digest, Identity};
use crate::journal::{Override, Trigger};
use crate::plan::{Plan, Request};
use crate::time::Now;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What comes of the wish.
enum Start {
    /// The same plan runs already.
    Again(Subject),
    /// A new run.
    New(Arc<Plan>, Trigger),
}

/// What a run of `plan` locks: both sites and every service it moves.
pub(super) fn locks(plan: &Plan) -> Vec<String> {
    let sites = [&plan.request.from, &plan.request.to].map(|site| format!("site/{site}"));
    let services = plan.services.iter().map(|service| format!("service/{service}"));
    sites.into_iter().chain(services).collect()
}

impl Controller {
    /// Answers a wish for a run, creates it, or first asks what it requires.
    pub(super) fn begin(&mut self, wish: Wish, now: Now, effects: &mut Vec<Effect>) {
        let Ask::Start { request: wanted, reason, overrides, plan: seen } = &wish.ask else { return };
        let started = self.start(&wish.by, wanted, (reason.clone(), overrides.clone()), seen.as_ref(), now);
        let asked = wanted.clone();
        let answer = match started {
            Err(refusal) => Err(refusal),
            Ok(Start::Again(subject)) => Ok(Some(subject)),
            Ok(Start::New(plan, trigger)) => {
                let digest = plan.digest();
                let required = match &wish.required {
                    _ if plan.require.is_empty() => Ok(()),
                    Some((asked, answers)) if *asked == digest => required(&plan, answers, overrides),
                    // Not asked yet, or of another plan: a bundle was applied meanwhile.
                    _ => {
                        effects.push(Effect::Require { request: wish.request.clone(), plan });
                        self.requiring.insert(wish.request.clone(), (wish, digest));
                        return;
                    }
                };
                match required {
                    Ok(()) => {
                        let proposed = self.takes_two(overrides);
                        return self.create(plan, trigger, proposed, Some(wish.request), now, effects);
                    }
                    Err(refusal) => Err(refusal),
                }
            }
        };
        if let Err(refusal) = &answer {
            self.note_refused(&wish.by, &asked, refusal, now, effects);
        }
        effects.push(Effect::Answer { request: wish.request, answer });
    }

    fn start(
        &self,
        by: &Identity,
        wanted: &Request,
        (reason, overrides): (String, Vec<Override>),
        seen: Option<&Digest>,
        now: Now,
    ) -> Result<Start, Refusal> {
        let Some((bundle, _)) = &self.bundle else {
            let message = "no bundle is applied; do: standfast apply DIRECTORY";
            return Err(Refusal::new(RefusalKind::Precondition, message));
        };
        let plan = bind(bundle, wanted).map_err(|errors| {
            let lines: Vec<String> =
                errors.iter().map(|error| format!("{}: {}", error.code.id, error.message)).collect();
            Refusal::new(RefusalKind::Invalid, lines.join("; "))
        })?;
        if let Some(seen) = seen
            && *seen != plan.digest()
        {
            let message =
                format!("the plan is now {}, not {}: plan again", plan.digest().short(), seen.short());
            return Err(Refusal::new(RefusalKind::Stale, message));
        }
        self.permitted(by, &plan, &overrides)?;
        let wanted_locks = locks(&plan);
        for engine in self.engines.values() {
            let run = engine.run();
            if run.plan.digest() == plan.digest() {
                let (run, sequence) = (run.id.clone(), run.sequence);
                return Ok(Start::Again(Subject { run, sequence, existed: true }));
            }
            let held = locks(&run.plan).into_iter().find(|lock| wanted_locks.contains(lock));
            if let Some(lock) = held.filter(|_| !self.removed.is(Guard::Locks)) {
                let message =
                    format!("run {} holds {}; see: standfast run get {0}", run.id, lock.replace('/', " "));
                let about = About::Run(run.id.clone());
                return Err(Refusal::new(RefusalKind::Precondition, message).about(about));
            }
        }
        self.limited(&plan, &overrides, now)?;
        let trigger = Trigger::Operator { identity: by.clone(), reason, overrides };
        Ok(Start::New(Arc::new(plan), trigger))
    }

    /// Every override names a rule of this plan that a role of this person may waive.
    fn permitted(&self, by: &Identity, plan: &Plan, overrides: &[Override]) -> Result<(), Refusal> {
        let roles = self.roles(by);
        for waiver in overrides {
            if waiver.reason.trim().is_empty() {
                let message = format!("overriding {} takes a reason", waiver.rule);
                return Err(Refusal::new(RefusalKind::Invalid, message));
            }
            let mut needed = waivable(plan, &waiver.rule);
            needed.extend(self.waives(&waiver.rule));
            if needed.is_empty() {
                let message = format!("nothing in this plan called {} may be overridden", waiver.rule);
                return Err(Refusal::new(RefusalKind::Invalid, message));
            }
            if let Some(role) = needed.iter().find(|role| !roles.contains(**role)) {
                let message = format!(
                    "overriding {} takes the role {role}, which the fleet does not give to {by}",
                    waiver.rule
                );
                let about = About::Role((*role).to_owned());
                return Err(Refusal::new(RefusalKind::Denied, message).about(about));
            }
        }
        Ok(())
    }
}

/// Whether all holds that `plan` requires, but for what is waived by somebody who may.
fn required(plan: &Plan, answers: &[Answer], overrides: &[Override]) -> Result<(), Refusal> {
    let waived = |rule: &str| overrides.iter().any(|waiver| waiver.rule == rule);
    let unmet: Vec<Unmet> = plan
        .require
        .iter()
        .zip(answers)
        .filter(|(_, answer)| !answer.holds())
        .filter(|(spec, _)| spec.override_by.is_none() || !waived(rule(&spec.check)))
        .map(|(spec, answer)| Unmet {
            rule: rule(&spec.check).to_owned(),
            condition: spec.check.to_string(),
            answer: answer.detail().to_owned(),
            role: spec.override_by.clone(),
        })
        .collect();
    if unmet.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> =
        unmet.iter().map(|unmet| format!("{}: {}", unmet.condition, unmet.answer)).collect();
    let message = format!("the playbook requires what does not hold: {}", lines.join("; "));
    Err(Refusal::new(RefusalKind::Precondition, message).about(About::Unmet(unmet)))
}

/// The roles it takes to waive `waived`: none when nothing of that name may be.
fn waivable<'a>(plan: &'a Plan, waived: &str) -> BTreeSet<&'a str> {
    if waived == "fence" {
        let proofs = plan.steps.iter().filter_map(|step| match &step.action {
            Action::FenceProve { any_of, .. } => Some(any_of),
            _ => None,
        });
        return proofs
            .flatten()
            .filter_map(|proof| match proof {
                FenceProof::OperatorWord { role } => Some(role.as_str()),
                _ => None,
            })
            .collect();
    }
    plan.require
        .iter()
        .filter(|spec| rule(&spec.check) == waived)
        .filter_map(|spec| spec.override_by.as_deref())
        .collect()
}
