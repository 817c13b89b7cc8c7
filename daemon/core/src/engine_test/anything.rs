//! Whatever happens, a run ends or waits, and its journal replays.

use super::*;
use crate::plan::Undo;
use proptest::prelude::*;

fn any_kind() -> impl Strategy<Value = FailureKind> {
    use FailureKind::{Ambiguous, Failed, Refused, Unreachable};
    prop_oneof![Just(Ambiguous), Just(Failed), Just(Refused), Just(Unreachable)]
}

fn any_inspection() -> impl Strategy<Value = Inspection> {
    prop_oneof![
        4 => Just(Inspection::Needed("n".into())),
        2 => Just(Inspection::Satisfied("s".into())),
        1 => Just(Inspection::Conflict("c".into())),
        1 => Just(Inspection::Unknown("u".into())),
    ]
}

fn any_step(at: usize) -> impl Strategy<Value = Step> {
    use OnFailure::{Abort, Continue, Pause, Rollback};
    let policy = prop_oneof![Just(Pause), Just(Abort), Just(Continue), Just(Rollback)];
    let undo = prop_oneof![1 => Just(None), 1 => Just(Some(false)), 3 => Just(Some(true))];
    let needs = prop::collection::btree_set(0..at.max(1), 0..3);
    (needs, policy, any::<bool>(), any::<bool>(), 1..4u32, undo, 0..4u8).prop_map(
        move |(needs, on_failure, promote, skip, attempts, undo, no_return)| {
            let mut step = step(&format!("s{at}"), &[]);
            step.undo = undo.map(|acts| match acts {
                true => Undo::Act(Box::new(step.action.clone())),
                false => Undo::None,
            });
            step.point_of_no_return = no_return == 0;
            step.needs = needs.into_iter().filter(|need| *need < at).collect();
            step.on_failure = on_failure;
            step.attempts = attempts;
            if skip {
                step.unreachable = Unreachable::Skip;
            }
            if promote {
                let site = "b".into();
                let database =
                    crate::check::Database { cluster: "c".into(), site, dsn: String::new(), password: None };
                step.action = Action::PostgresPromote { database };
            }
            step
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Whatever fails and wherever the leader is lost: nothing panics, no step acts before its
    /// needs or twice in one attempt, a promotion never acts twice, every journal prefix
    /// replays, and the run ends or waits for people.
    #[test]
    fn any_run_ends_or_waits(
        steps in (0..6usize).prop_flat_map(|n| (0..n).map(any_step).collect::<Vec<_>>()),
        inspect in prop::collection::btree_map((0..6usize, 0..4u32), any_inspection(), 0..8),
        act in prop::collection::btree_map((0..6usize, 1..4u32), any_kind().prop_map(failure), 0..6),
        verify in prop::collection::btree_map(0..6usize, any::<bool>(), 0..4),
        undo in prop::collection::btree_map((0..6usize, 1..4u32), any_kind().prop_map(failure), 0..6),
        cuts in prop::collection::vec(1..40usize, 0..3),
        skip in 0..6usize,
    ) {
        let count = steps.len();
        let mut world = World { inspect, act, verify, undo, ..kind_world() };
        let mut bench = Bench::new(plan(steps), automatic(), false);
        for (nth, cut) in cuts.iter().enumerate() {
            bench.give(Input::Tick);
            for _ in 0..*cut {
                bench.perform(&mut world);
            }
            bench = bench.take_over(2 + nth as u64);
        }
        let mut state = bench.settle(&mut world);
        if state == State::Blocked && skip < count {
            let step = StepId::new(format!("s{skip}"));
            bench.command(Command::Skip { step: step.clone(), reason: reason() }, "kim", &[]);
            bench.command(Command::Retry { step: Some(step), reason: reason() }, "kim", &[]);
            state = bench.settle(&mut world);
        }
        prop_assert!(matches!(state, State::Ended(_) | State::Blocked), "{state}");
        for length in 1..=bench.journal.len() {
            let run = Run::fold("r".into(), bench.engine.run().plan.clone(), &bench.journal[..length]);
            prop_assert!(run.is_ok());
            let run = run.unwrap();
            let under_way = |at: &usize| matches!(run.steps[*at].state, Started | Verifying | Unknown);
            let under_way: Vec<usize> = (0..run.steps.len()).filter(under_way).collect();
            prop_assert_eq!(run.under_way().collect::<Vec<_>>(), under_way);
        }
        bench.check_replay();
        // Back only before the point of no return, and in reverse.
        let run = bench.engine.run();
        prop_assert!(!run.crossed || world.undone.is_empty(), "undone past the point of no return");
        prop_assert!(world.undone.is_sorted_by_key(|(step, attempt)| (std::cmp::Reverse(*step), *attempt)));
        let plan = bench.engine.run().plan.clone();
        for (index, (step, attempt)) in world.acted.iter().enumerate() {
            let again = world.acted[..index].contains(&(*step, *attempt));
            let retried = bench.journal.iter().any(|e| matches!(&e.body, Body::Retried { step: Some(s), .. } if *s == plan.steps[*step].id));
            prop_assert!(!again || retried, "step {step} attempt {attempt} acted twice");
            let promote = matches!(plan.steps[*step].action, Action::PostgresPromote { .. });
            let touched = world.acted[..index].iter().any(|before| {
                let untouched = world.act.get(before).is_some_and(|f| f.kind == FailureKind::Unreachable);
                before.0 == *step && !untouched
            });
            prop_assert!(!promote || !touched || retried, "promoted again after it may have been done");
        }
    }
}

fn any_command() -> impl Strategy<Value = Command> {
    let id = (0..4usize).prop_map(|at| StepId::new(format!("s{at}")));
    prop_oneof![
        id.clone().prop_map(|step| Command::Retry { step: Some(step), reason: reason() }),
        id.clone().prop_map(|step| Command::Skip { step, reason: reason() }),
        id.prop_map(|step| Command::Approve { step: Some(step), reason: reason() }),
        Just(Command::Retry { step: None, reason: reason() }),
        Just(Command::Approve { step: None, reason: reason() }),
        Just(Command::Pause { reason: reason() }),
        Just(Command::Resume { reason: reason() }),
        Just(Command::Abort { reason: reason() }),
        Just(Command::Rollback { reason: reason() }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Answers come in any order, people interfere at any moment, leaders are lost: nothing
    /// panics, what is journaled replays, and in the end the run is over or waits for people.
    #[test]
    fn nobody_can_wedge_a_run(
        steps in (1..4usize).prop_flat_map(|n| (0..n).map(any_step).collect::<Vec<_>>()),
        inspect in prop::collection::btree_map((0..4usize, 0..4u32), any_inspection(), 0..6),
        act in prop::collection::btree_map((0..4usize, 1..4u32), any_kind().prop_map(failure), 0..6),
        verify in prop::collection::btree_map(0..4usize, any::<bool>(), 0..3),
        script in prop::collection::vec((0..9usize, any_command()), 0..60),
    ) {
        let mut world = World { inspect, act, verify, ..kind_world() };
        let mut bench = Bench::new(plan(steps), automatic(), false);
        let mut epoch = 1;
        for (what, command) in script {
            match what {
                0..=4 if !bench.pending.is_empty() => {
                    let at = what % bench.pending.len();
                    let effect = bench.pending.remove(at).unwrap();
                    bench.pending.push_front(effect);
                    bench.perform(&mut world);
                }
                5 => bench.command(command, "kim", &["commander"]),
                6 => {
                    epoch += 1;
                    bench = bench.take_over(epoch);
                }
                _ => {
                    bench.ms += 1_000;
                    bench.give(Input::Tick);
                }
            }
        }
        let mut state = bench.settle(&mut world);
        if state == State::Paused {
            bench.command(Command::Resume { reason: reason() }, "kim", &[]);
            state = bench.settle(&mut world);
        }
        prop_assert!(matches!(state, State::Ended(_) | State::Blocked), "{state}");
        bench.check_replay();
    }
}
