//! What comes at the wrong moment.

use super::*;

pub(super) fn ask_two() -> Arc<Plan> {
    let ask = Action::ApprovalAsk { role: "commander".into(), quorum: 2, message: "go?".into() };
    plan(vec![Step { action: ask, verify: None, attempts: 1, ..step("ask", &[]) }])
}

pub(super) fn approve() -> Command {
    Command::Approve { step: Some("ask".into()), reason: reason() }
}

impl Bench {
    /// Performs all effects but appends; those are returned and not durable yet.
    pub(super) fn perform_but_appends(&mut self, world: &mut World) -> Vec<Event> {
        let mut held = Vec::new();
        while let Some(effect) = self.pending.front() {
            if let Effect::Append { events, .. } = effect {
                held.extend(events.clone());
                self.pending.pop_front();
            } else {
                self.perform(world);
            }
        }
        held
    }

    fn durable(&mut self, events: Vec<Event>) {
        self.journal.extend(events);
        self.give(Input::Appended);
    }
}

#[test]
fn an_answer_that_comes_after_the_end_is_dropped() {
    // Situation: a person aborts while the requirements are being asked. Danger: their answer is
    // journaled behind the end, which nothing may follow. Expectation: the run is over.
    let mut world = kind_world();
    let mut bench = Bench::new(plan(vec![step("one", &[])]), automatic(), false);
    bench.give(Input::Tick);
    assert_eq!(bench.pending.pop_front(), Some(Effect::Require));
    bench.command(Command::Abort { reason: reason() }, "kim", &[]);
    let asked = bench.perform_but_appends(&mut world);
    bench.durable(asked);
    let ended = bench.perform_but_appends(&mut world);
    assert!(matches!(ended[0].body, Body::Ended { end: End::Aborted, .. }));
    bench.give(Input::Required(vec![Answer::Holds("ok".into())]));
    bench.durable(ended);
    assert_eq!(bench.pending, []);
    assert_eq!(bench.engine.run().state(), State::Ended(End::Aborted));
}

#[test]
fn the_last_approval_beats_the_deadline_that_falls_into_its_writing() {
    let mut world = kind_world();
    let mut bench = Bench::new(ask_two(), automatic(), false);
    bench.give(Input::Tick);
    while bench.perform(&mut world) {}
    bench.command(approve(), "kim", &["commander"]);
    while bench.perform(&mut world) {}
    bench.command(approve(), "lee", &["commander"]);
    let given = bench.perform_but_appends(&mut world);
    bench.ms += 60_000;
    bench.give(Input::Tick);
    bench.durable(given);
    assert_eq!(bench.settle(&mut world), State::Ended(End::Succeeded));
    bench.check_replay();
}

#[test]
fn a_step_may_fail_while_what_it_needs_is_retried() {
    // Situation: `one` failed and the run went on with `two`; while `two` acts, a person retries
    // `one`. Danger: the failure of `two` does not fit any more, and nobody hears of it.
    let mut world = kind_world();
    world.act.extend([((0, 1), failure(FailureKind::Refused)), ((1, 1), failure(FailureKind::Refused))]);
    let steps = vec![Step { on_failure: OnFailure::Continue, ..step("one", &[]) }, step("two", &[0])];
    let mut bench = Bench::new(plan(steps), automatic(), false);
    bench.give(Input::Tick);
    while !matches!(bench.pending.front(), Some(Effect::Act { step: 1, .. })) {
        assert!(bench.perform(&mut world));
    }
    let act = bench.pending.pop_front().unwrap();
    world.act.remove(&(0, 1));
    bench.command(Command::Retry { step: Some("one".into()), reason: reason() }, "kim", &[]);
    while bench.perform(&mut world) {}
    bench.pending.push_back(act);
    assert_eq!(bench.settle(&mut world), State::Blocked);
    assert_eq!(bench.states(), [Succeeded, Failed]);
    bench.check_replay();
}
