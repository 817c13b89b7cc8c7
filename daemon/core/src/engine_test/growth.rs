//! What a long run costs: work grows with what happens, not with what happens times the steps.

use super::*;
use crate::run::looks;

/// So many steps, each after the one before, every third of which fails once.
fn chain(steps: usize) -> (Arc<Plan>, World) {
    let names: Vec<String> = (0..steps).map(|at| format!("s{at:05}")).collect();
    let chained = |(at, name): (usize, &String)| step(name, &[at.wrapping_sub(1)][usize::from(at == 0)..]);
    let failing = (0..steps).step_by(3).map(|at| ((at, 1), failure(FailureKind::Failed)));
    let world = World { act: failing.collect(), ..kind_world() };
    (plan(names.iter().enumerate().map(chained).collect()), world)
}

/// Drives a run of so many steps to its end, over three changes of leaders; what was looked at meanwhile,
/// and its journal. What a head says of it is asked at each entry, as the daemon does.
fn live(steps: usize) -> (usize, Vec<Event>) {
    let (plan, mut world) = chain(steps);
    let mut bench = Bench::new(plan, automatic(), false);
    bench.give(Input::Tick);
    let before = looks();
    let mut leaders = 1;
    while !matches!(bench.engine.run().state(), State::Ended(_)) {
        let written = bench.journal.len();
        if !bench.perform(&mut world) {
            bench.ms += 500;
            bench.give(Input::Tick);
        }
        if bench.journal.len() > written {
            assert_eq!(bench.engine.run().waits_for(), [] as [String; 0]);
        }
        if leaders < 4 && bench.engine.run().open() <= steps * (4 - leaders) / 4 {
            leaders += 1;
            bench = bench.take_over(leaders as u64);
        }
    }
    assert_eq!((bench.engine.run().state(), leaders), (State::Ended(End::Succeeded), 4));
    (looks() - before, bench.journal)
}

#[test]
fn a_run_ten_times_as_long_is_ten_times_the_work() {
    let ((short, _), (long, _)) = (live(100), live(1_000));
    assert!(long <= 11 * short, "{short} looks at steps in a run of 100, {long} in one of 1,000");
}

/// A journal of so many steps, before each of which another leader takes the run up.
fn often_taken_over(steps: usize) -> (Arc<Plan>, Vec<Event>) {
    let (plan, _) = chain(steps);
    let mut bodies = vec![
        Body::Created { trigger: automatic(), plan: plan.digest(), proposed: false },
        Body::RequirementsMet { evidence: vec![] },
    ];
    for spec in &plan.steps {
        let step = || spec.id.clone();
        bodies.push(Body::TookOver);
        bodies.push(Body::StepStarted { step: step(), attempt: 1, inspected: "would".into() });
        bodies.push(Body::StepActed { step: step(), evidence: "done".into() });
        bodies.push(Body::StepSucceeded { step: step(), evidence: vec![] });
    }
    bodies.push(Body::Ended { end: End::Succeeded, why: reason() });
    let mut epoch = 1;
    let entry = |(at, body): (usize, Body)| {
        epoch += u64::from(body == Body::TookOver);
        Event {
            version: VERSION,
            sequence: at as u64 + 1,
            wall_ms: 0,
            elapsed_ms: 0,
            epoch: Epoch(epoch),
            member: "m".into(),
            body,
        }
    };
    (plan, bodies.into_iter().enumerate().map(entry).collect())
}

/// Situation: a long run has been taken up by many leaders, one after the other. Danger: each time all of
/// its steps are walked over, and whoever reads the journal needs minutes for it.
#[test]
fn a_journal_ten_times_as_long_folds_with_ten_times_the_work() {
    let fold = |steps: usize| {
        let (plan, journal) = often_taken_over(steps);
        let before = looks();
        let run = Run::fold("r".into(), plan, &journal).unwrap();
        let looked = looks() - before;
        assert_eq!(run.state(), State::Ended(End::Succeeded));
        looked
    };
    let (short, long) = (fold(100), fold(1_000));
    assert!(long <= 11 * short, "{short} looks at steps for 100 of them, {long} for 1,000");
}
