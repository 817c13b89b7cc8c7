//! The way back.

use super::*;
use crate::plan::Undo;

/// A step that a `traffic.drain` takes back.
fn undoable(id: &str, needs: &[usize]) -> Step {
    let step = step(id, needs);
    let Action::TrafficReady { balancer, server } = step.action.clone() else { unreachable!() };
    Step { undo: Some(Undo::Act(Box::new(Action::TrafficDrain { balancer, server }))), ..step }
}

/// `last` is refused, after everything before it was done.
fn refused_last(mut steps: Vec<Step>, policy: OnFailure) -> (Bench, World) {
    let last = steps.len();
    steps.push(Step { on_failure: policy, undo: Some(Undo::None), ..step("last", &[last - 1]) });
    let mut world = kind_world();
    world.act.insert((last, 1), failure(FailureKind::Refused));
    (Bench::new(plan(steps), automatic(), false), world)
}

fn three() -> Vec<Step> {
    let harmless = Step { undo: Some(Undo::None), ..step("harmless", &[0]) };
    vec![undoable("one", &[]), harmless, undoable("two", &[1]), undoable("three", &[2])]
}

#[test]
fn a_failure_takes_back_what_was_done_in_reverse() {
    let (mut bench, mut world) = refused_last(three(), OnFailure::Rollback);
    assert_eq!(bench.settle(&mut world), State::Ended(End::RolledBack));
    assert_eq!(world.undone, [(3, 1), (2, 1), (0, 1)]);
    assert_eq!(bench.states(), [Undone, Succeeded, Undone, Undone, Failed]);
    let why = bench.engine.run().outcome().1;
    assert_eq!(why, "step last failed: Refused; taken back: one, two, three");
    bench.check_replay();
}

#[test]
fn what_was_so_before_is_not_taken_back() {
    let (mut bench, mut world) = refused_last(three(), OnFailure::Rollback);
    world.inspect.insert((2, 0), Inspection::Satisfied("is so".into()));
    assert_eq!(bench.settle(&mut world), State::Ended(End::RolledBack));
    assert_eq!(world.undone, [(3, 1), (0, 1)]);
}

#[test]
fn what_may_have_been_done_is_taken_back_too_and_waited_for() {
    // Situation: the end of an act is unclear. Danger: it arrives after its own undo, or an
    // inspection that comes too early finds nothing to take back.
    let (bench, mut world) = refused_last(vec![undoable("one", &[])], OnFailure::Rollback);
    let mut steps = bench.engine.run().plan.steps.clone();
    steps[0].attempts = 1;
    steps[0].on_failure = OnFailure::Rollback;
    let mut bench = Bench::new(plan(steps), automatic(), false);
    world.act.insert((0, 1), failure(FailureKind::Ambiguous));
    bench.give(Input::Tick);
    while bench.perform(&mut world) {}
    assert_eq!((bench.engine.run().state(), bench.states()[0]), (State::RollingBack, Failed));
    for _ in 0..9 {
        bench.ms += 500;
        bench.give(Input::Tick);
        while bench.perform(&mut world) {}
        assert_eq!(world.undone, []);
    }
    assert_eq!(bench.settle(&mut world), State::Ended(End::RolledBack));
    assert_eq!(world.undone, [(0, 1)]);
    bench.check_replay();
}

#[test]
fn an_undo_that_fails_needs_a_person() {
    let (mut bench, mut world) = refused_last(three(), OnFailure::Rollback);
    world.undo.insert((2, 1), failure(FailureKind::Failed));
    world.undo.insert((2, 2), failure(FailureKind::Failed));
    assert_eq!(bench.settle(&mut world), State::Ended(End::Stuck));
    assert_eq!(world.undone, [(3, 1), (2, 1), (2, 2)], "what was done before it stays");
    assert_eq!(bench.states(), [Succeeded, Succeeded, UndoFailed, Undone, Failed]);
    assert!(bench.engine.run().outcome().1.ends_with("a person has to take back: two"));
    bench.check_replay();
}

#[test]
fn an_undo_that_acts_and_changes_nothing_has_failed() {
    let (mut bench, mut world) = refused_last(vec![undoable("one", &[])], OnFailure::Rollback);
    world.undo_inspect.insert(0, Inspection::Needed("still so".into()));
    assert_eq!(bench.settle(&mut world), State::Ended(End::Stuck));
    assert_eq!(world.undone, [(0, 1), (0, 2)]);
}

#[test]
fn past_the_point_of_no_return_a_run_only_goes_forward() {
    // It is crossed when its start is journaled, not when it succeeds.
    let mut steps = three();
    steps[3].point_of_no_return = true;
    let (mut bench, mut world) = refused_last(steps, OnFailure::Rollback);
    assert_eq!(bench.settle(&mut world), State::Blocked);
    let why = bench.engine.run().blocks[&Some("last".into())].why.clone();
    assert_eq!(why, "Refused; the point of no return is crossed (three): the run only goes forward");
    bench.command(Command::Rollback { reason: reason() }, "kim", &[]);
    assert_eq!(bench.settle(&mut world), State::Blocked);
    assert!(bench.refused[0].message.starts_with("the point of no return is crossed (three)"));
    assert_eq!(world.undone, []);
    let mut run = bench.engine.run().clone();
    let back = Event {
        sequence: run.sequence + 1,
        body: Body::RollbackBegun { by: None, why: String::new() },
        ..bench.journal.last().unwrap().clone()
    };
    assert!(run.apply(&back).is_err(), "the journal does not take it either");
    bench.check_replay();
}

#[test]
fn a_person_rolls_a_blocked_run_back() {
    let (mut bench, mut world) = refused_last(three(), OnFailure::Pause);
    bench.command(Command::Rollback { reason: reason() }, "kim", &[]);
    assert_eq!(bench.settle(&mut world), State::Blocked);
    assert_eq!(bench.refused.len(), 1, "a run that goes on is paused first");
    bench.command(Command::Rollback { reason: reason() }, "kim", &[]);
    while !matches!(bench.pending.front(), Some(Effect::Undo { .. })) {
        assert!(bench.perform(&mut world));
    }
    bench.command(Command::Retry { step: Some("last".into()), reason: reason() }, "kim", &[]);
    bench.command(Command::Pause { reason: reason() }, "kim", &[]);
    assert_eq!(bench.settle(&mut world), State::Ended(End::RolledBack));
    assert_eq!(bench.refused.len(), 3, "on the way back nothing goes forward");
    assert_eq!(world.undone, [(3, 1), (2, 1), (0, 1)]);
    bench.check_replay();
}

#[test]
fn without_an_undo_there_is_no_way_back() {
    // Lint refuses such a playbook; the engine does not rely on it.
    let (mut bench, mut world) = refused_last(vec![step("silent", &[])], OnFailure::Rollback);
    assert_eq!(bench.settle(&mut world), State::Blocked);
    bench.command(Command::Rollback { reason: reason() }, "kim", &[]);
    bench.settle(&mut world);
    let why = "step silent has acted, and nothing says how it is taken back";
    assert_eq!(bench.refused[0].message, why);
}

#[test]
fn a_rollback_can_be_ended_where_it_stands() {
    let (mut bench, mut world) = refused_last(three(), OnFailure::Rollback);
    bench.give(Input::Tick);
    while !matches!(bench.pending.front(), Some(Effect::Undo { step: 2, .. })) {
        if !bench.perform(&mut world) {
            bench.ms += 500;
            bench.give(Input::Tick);
        }
    }
    bench.command(Command::Abort { reason: reason() }, "kim", &[]);
    assert_eq!(bench.settle(&mut world), State::Ended(End::Aborted));
    assert_eq!(bench.states(), [Succeeded, Succeeded, Undone, Undone, Failed], "what acts comes to its end");
}

#[test]
fn another_leader_goes_on_taking_back_wherever_the_first_was_lost() {
    // Whatever entry of the journal was the last, whichever step failed and whichever undo: the
    // next leader brings the way back to the same end, and acts no undo twice in one attempt.
    for (undo_fails, end) in [(None, End::RolledBack), (Some(0), End::Stuck), (Some(2), End::Stuck)] {
        let given = || {
            let (bench, mut world) = refused_last(three(), OnFailure::Rollback);
            if let Some(step) = undo_fails {
                world.undo.insert((step, 1), failure(FailureKind::Refused));
                world.undo.insert((step, 2), failure(FailureKind::Refused));
            }
            (bench, world)
        };
        let (mut whole, mut world) = given();
        assert_eq!(whole.settle(&mut world), State::Ended(end));
        for length in 1..whole.journal.len() {
            let (mut bench, mut world) = given();
            bench.give(Input::Tick);
            while bench.journal.len() < length {
                if !bench.perform(&mut world) {
                    bench.ms += 500;
                    bench.give(Input::Tick);
                }
            }
            let mut bench = bench.take_over(2);
            // The last step acts again, and is refused again.
            world.act.insert((4, 2), failure(FailureKind::Refused));
            let state = bench.settle(&mut world);
            assert_eq!(state, State::Ended(end), "after {length} entries");
            let twice = world.undone.iter().enumerate().find(|(at, undo)| world.undone[..*at].contains(undo));
            assert_eq!(twice, None, "after {length} entries: {:?}", world.undone);
            bench.check_replay();
        }
    }
}

#[test]
fn what_may_not_be_taken_back_twice_is_not() {
    let mut one = undoable("one", &[]);
    let command = vec!["back".to_owned()];
    let undo = Action::CommandRun { command, env: BTreeMap::new(), idempotent: false, linger: None };
    one.undo = Some(Undo::Act(Box::new(undo)));
    let (mut bench, mut world) = refused_last(vec![one], OnFailure::Rollback);
    bench.give(Input::Tick);
    while !matches!(bench.pending.front(), Some(Effect::Undo { .. })) {
        assert!(bench.perform(&mut world));
    }
    world.undo_inspect.insert(0, Inspection::Unknown("it cannot be seen".into()));
    let mut bench = bench.take_over(2);
    assert_eq!(bench.settle(&mut world), State::Ended(End::Stuck));
    assert_eq!(world.undone, []);
    bench.check_replay();
}
