//! Plans of all kinds, in rough weather: whatever the policies, needs and attempts are, no
//! invariant is broken.

use super::{attended, bundle, emergency, rough};
use crate::dice::Dice;
use crate::simulate::{Case, Finish, Loss, Options, created};
use standfast_core::plan::{OnFailure, Plan, Step, Unreachable};
use standfast_core::run::Run;
use standfast_core::time::Span;
use std::collections::BTreeSet;
use std::sync::Arc;

/// More of everything that a playbook may hold, after the promotion.
const MORE: &str = "
  - id: ask
    approval.ask: {role: incident-commander, quorum: 2, message: 'go on?'}
    timeout: 20m
  - id: wait
    wait.until: {all: [{http.get: {endpoint: shop-web, at: $to, status: 200}}, {postgres.writable: {cluster: orders, at: $to}}]}
  - id: queue
    command.run: {command: [restore-queue], idempotent: true}
  - id: once
    command.run: {command: [count-stock]}
  - id: ready
    traffic.ready: {route: front, at: $to}
";

/// Of a step anything may differ but what keeps two from writing: the fence, and that the
/// promotion waits for it.
fn vary(step: &mut Step, place: usize, dice: &mut Dice) {
    let data = ["fenced", "promote"].contains(&step.id.as_str());
    step.attempts = 1 + dice.below(3) as u32;
    step.backoff = Span::ms(dice.below(5_000));
    step.on_failure = *dice.pick(&[OnFailure::Pause, OnFailure::Abort]).expect("two");
    if data {
        return;
    }
    step.on_failure = *dice.pick(&[OnFailure::Pause, OnFailure::Abort, OnFailure::Continue]).expect("three");
    step.unreachable = *dice.pick(&[Unreachable::Fail, Unreachable::Skip]).expect("two");
    let needs: BTreeSet<usize> =
        (0..dice.below(3)).filter(|_| place > 0).map(|_| dice.below(place as u64) as usize).collect();
    step.needs = needs.into_iter().collect();
}

fn varied(seed: u64, options: Options) -> Case {
    let with_more = |text: &str| match text.contains("fleet: shop") {
        true => text.to_owned(),
        false => format!("{}{MORE}", text.trim_end()),
    };
    let mut case = Case::new(bundle(with_more), &emergency(), options).unwrap();
    let mut plan = Plan::clone(&case.plan);
    let mut dice = Dice::new(seed).fork_named("plan");
    for (place, step) in plan.steps.iter_mut().enumerate() {
        vary(step, place, &mut dice);
    }
    let created = created(&plan);
    case.plan = Arc::new(plan);
    case.run = Run::new(case.run.id.clone(), case.plan.clone(), &created).unwrap();
    case.created = created;
    case
}

#[test]
fn whatever_the_plan_no_invariant_is_broken() {
    let mut ends = BTreeSet::new();
    for seed in 0..100 {
        let options = if seed % 3 == 0 { Options { people: None, ..rough() } } else { rough() };
        let case = varied(seed, options);
        for run in 0..10 {
            let outcome = case.seed(run);
            assert_eq!(outcome.breach, None, "plan {seed}, seed {run}");
            ends.insert(match outcome.finish {
                Finish::Ended(end) => end.to_string(),
                Finish::Waits(_) => "waits".into(),
                Finish::Broken => "broken".into(),
            });
        }
    }
    assert_eq!(ends, ["Succeeded", "Partial", "Aborted", "waits"].map(str::to_owned).into());
}

#[test]
fn wherever_the_leader_is_lost_no_invariant_is_broken() {
    for seed in 0..15 {
        let case = varied(seed, attended());
        for entry in 2..40 {
            for durable in [false, true] {
                let outcome = case.seed_with_loss(seed, Loss { entry, durable });
                assert_eq!(outcome.breach, None, "plan {seed}, entry {entry}, durable {durable}");
            }
        }
    }
}
