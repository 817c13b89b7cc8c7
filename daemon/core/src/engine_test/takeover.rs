//! A leader is lost, and another goes on.

use super::races::{approve, ask_two};
use super::*;

fn promote(id: &str) -> Step {
    let database =
        crate::check::Database { cluster: "c".into(), site: "b".into(), dsn: String::new(), password: None };
    Step { action: Action::PostgresPromote { database }, ..step(id, &[]) }
}

/// A leader is lost while `first` acts.
fn lost_in_mid_act(first: Step) -> Bench {
    let mut bench = Bench::new(plan(vec![first, step("two", &[0])]), automatic(), false);
    bench.give(Input::Tick);
    while !bench.pending.iter().any(|effect| matches!(effect, Effect::Act { .. })) {
        assert!(bench.perform(&mut kind_world()));
    }
    bench
}

#[test]
fn a_new_leader_looks_before_it_goes_on() {
    // Situation: the leader is lost while a step acts. Danger: the step is done twice.
    // Expectation: done means done; not done means that a person is asked.
    for (found, end) in [
        (Inspection::Satisfied("is so".into()), State::Ended(End::Succeeded)),
        (Inspection::Needed("not so".into()), State::Blocked),
        (Inspection::Unknown("no answer".into()), State::Blocked),
    ] {
        let mut world = kind_world();
        let mut bench = lost_in_mid_act(promote("one")).take_over(2);
        world.inspect.insert((0, 1), found);
        assert_eq!(bench.settle(&mut world), end);
        assert!(!world.acted.contains(&(0, 1)), "acted again: {:?}", world.acted);
        bench.check_replay();
    }
}

#[test]
fn an_old_epoch_writes_nothing() {
    let bench = Bench::new(plan(vec![step("one", &[])]), automatic(), false);
    let mut bench = bench.take_over(5);
    bench.settle(&mut kind_world());
    let mut run = bench.engine.run().clone();
    let late = Event { sequence: run.sequence + 1, epoch: Epoch(4), ..bench.journal.last().unwrap().clone() };
    assert!(run.apply(&late).unwrap_err().why.contains("epoch 4 is over"));
}

#[test]
fn a_quorum_that_is_journaled_counts_for_the_next_leader() {
    // Situation: the leader is lost between the last approval and the step's success. Danger:
    // everybody has approved already, nobody can once more, and the step waits for ever.
    let mut world = kind_world();
    let mut bench = Bench::new(ask_two(), automatic(), false);
    bench.give(Input::Tick);
    while bench.perform(&mut world) {}
    bench.command(approve(), "kim", &["commander"]);
    while bench.perform(&mut world) {}
    bench.command(approve(), "lee", &["commander"]);
    let given = bench.perform_but_appends(&mut world);
    assert!(matches!(given[0].body, Body::ApprovalGiven { .. }));
    bench.journal.extend(given);
    let mut bench = bench.take_over(2);
    assert_eq!(bench.settle(&mut world), State::Ended(End::Succeeded));
}

#[test]
fn what_may_be_repeated_is_done_again_once_it_no_longer_lingers() {
    // Situation: the leader is lost while it sets a weight. Danger: what it has sent arrives after
    // the next leader has set it again. Expectation: the next one looks at once, waits as long as
    // the action lingers on its own clock, looks again and acts again.
    let mut world = kind_world();
    let mut bench = lost_in_mid_act(step("one", &[])).take_over(2);
    bench.ms = 700_000;
    bench.give(Input::Tick);
    let began = bench.ms;
    while !world.acted.contains(&(0, 2)) {
        while bench.perform(&mut world) {}
        if world.acted.is_empty() {
            assert!(bench.ms < began + 5_500, "it waits too long");
        }
        if bench.ms < began + 5_000 {
            assert_eq!(bench.states()[0], Unknown);
        }
        bench.ms += 100;
        bench.give(Input::Tick);
    }
    assert!(bench.ms > began + 5_000, "after {} ms", bench.ms - began);
    assert_eq!(bench.settle(&mut world), State::Ended(End::Succeeded));
    assert_eq!(world.acted, [(0, 2), (1, 1)]);
    bench.check_replay();
}

#[test]
fn what_is_found_done_meanwhile_is_not_done_again() {
    let mut world = kind_world();
    let mut bench = lost_in_mid_act(step("one", &[])).take_over(2);
    bench.give(Input::Tick);
    while bench.perform(&mut world) {}
    // The act of the lost leader comes through.
    world.inspect.insert((0, 1), Inspection::Satisfied("is so".into()));
    assert_eq!(bench.settle(&mut world), State::Ended(End::Succeeded));
    assert_eq!(world.acted, [(1, 1)]);
}

#[test]
fn a_third_leader_waits_anew() {
    // Situation: the second leader is lost while it waits. Danger: the third knows of nothing that
    // was under way. An unclear end before the takeover counts too: nobody has seen it.
    let mut world = kind_world();
    let first = lost_in_mid_act(step("one", &[])).take_over(2);
    let mut unclear = Bench::new(plan(vec![step("one", &[]), step("two", &[0])]), automatic(), false);
    unclear.give(Input::Tick);
    world.act.insert((0, 1), failure(FailureKind::Ambiguous));
    while unclear.perform(&mut world) {}
    assert_eq!(unclear.states()[0], Pending, "it is tried again, after a pause");
    world.acted.clear();
    for mut second in [first, unclear] {
        second.give(Input::Tick);
        while second.perform(&mut world) {}
        let mut third = second.take_over(3);
        third.give(Input::Tick);
        for _ in 0..9 {
            while third.perform(&mut world) {}
            assert_eq!(world.acted, [], "at {} ms", third.ms);
            third.ms += 500;
            third.give(Input::Tick);
        }
        assert_eq!(third.settle(&mut world), State::Ended(End::Succeeded));
        assert_eq!(world.acted, [(0, 2), (1, 1)]);
        world.acted.clear();
        third.check_replay();
    }
}

#[test]
fn a_person_cannot_shorten_the_wait() {
    let mut world = kind_world();
    let mut bench = lost_in_mid_act(promote("one")).take_over(2);
    bench.give(Input::Tick);
    while bench.perform(&mut world) {}
    assert_eq!(bench.engine.run().state(), State::Blocked);
    bench.command(Command::Retry { step: Some("one".into()), reason: reason() }, "kim", &[]);
    for _ in 0..9 {
        while bench.perform(&mut world) {}
        assert_eq!(world.acted, [], "at {} ms", bench.ms);
        bench.ms += 500;
        bench.give(Input::Tick);
    }
    assert_eq!(bench.settle(&mut world), State::Ended(End::Succeeded));
}
