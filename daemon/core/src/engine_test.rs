//! Runs driven to their end by a small world that answers as a test says.

use super::*;
use crate::action::FenceProof;
use crate::ids::{Digest, RunId, ServiceId};
use crate::journal::{Override, Trigger};
use crate::plan::{Mode, OnFailure, Plan, Request, Require, Unreachable, Verify};
use crate::run::StepState::*;
use crate::time::Span;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

#[path = "engine_test/people.rs"]
mod people;

fn at(ms: u64) -> Now {
    Now { mono: Mono::from_ms(ms), wall_ms: ms as i64 }
}

fn check(address: &str) -> Check {
    Check::TcpConnect { address: address.into() }
}

/// A step that is acted by an idempotent command-like action with a preview.
fn step(id: &str, needs: &[usize]) -> Step {
    let balancer =
        crate::action::Balancer { site: "b".into(), socket: "tcp://x".into(), backend: "web".into() };
    Step {
        id: id.into(),
        needs: needs.to_vec(),
        action: Action::TrafficReady { balancer, server: id.into() },
        timeout: Span::secs(5),
        attempts: 2,
        backoff: Span::secs(1),
        on_failure: OnFailure::Pause,
        unreachable: Unreachable::Fail,
        verify: Some(Verify { within: Span::secs(5), all: vec![check(id)] }),
        undo: None,
        point_of_no_return: false,
    }
}

fn plan(steps: Vec<Step>) -> Arc<Plan> {
    Arc::new(Plan {
        bundle: Digest::new("bundle"),
        request: Request {
            playbook: "shop".into(),
            from: "a".into(),
            to: "b".into(),
            mode: Mode::Emergency,
            inputs: BTreeMap::new(),
        },
        title: "Shop".into(),
        services: vec![ServiceId::from("shop")],
        rto: None,
        rpo: None,
        require: vec![Require { check: check("require"), override_by: Some("commander".into()) }],
        steps,
    })
}

/// What the world does when asked.
#[derive(Clone, Debug)]
struct World {
    requirement: Answer,
    inspect: BTreeMap<(usize, u32), Inspection>,
    act: BTreeMap<(usize, u32), Failure>,
    verify: BTreeMap<usize, bool>,
    acted: Vec<(usize, u32)>,
}

fn kind_world() -> World {
    World {
        requirement: Answer::Holds("ok".into()),
        inspect: BTreeMap::new(),
        act: BTreeMap::new(),
        verify: BTreeMap::new(),
        acted: Vec::new(),
    }
}

fn failure(kind: FailureKind) -> Failure {
    Failure { kind, message: format!("{kind:?}") }
}

struct Bench {
    engine: Engine,
    journal: Vec<Event>,
    refused: Vec<Refusal>,
    pending: VecDeque<Effect>,
    ms: u64,
}

impl Bench {
    fn new(plan: Arc<Plan>, trigger: Trigger, proposed: bool) -> Self {
        let body = Body::Created { trigger, plan: plan.digest(), proposed };
        let created = Event {
            version: 1,
            sequence: 1,
            wall_ms: 0,
            elapsed_ms: 0,
            epoch: Epoch(1),
            member: "m".into(),
            body,
        };
        let run = Run::new(RunId::from("r"), plan, &created).unwrap();
        let engine = Engine::new(run, "m".into(), Epoch(1), at(0));
        Self { engine, journal: vec![created], refused: vec![], pending: VecDeque::new(), ms: 0 }
    }

    fn give(&mut self, input: Input) {
        let effects = self.engine.on(input, at(self.ms));
        self.pending.extend(effects);
    }

    /// Performs one effect; false when there is none.
    fn perform(&mut self, world: &mut World) -> bool {
        let Some(effect) = self.pending.pop_front() else { return false };
        match effect {
            Effect::Append { events, .. } => {
                self.journal.extend(events);
                self.give(Input::Appended);
            }
            Effect::Require => self.give(Input::Required(vec![world.requirement.clone()])),
            Effect::Inspect { step } => {
                let attempt = self.engine.run().steps[step].attempt;
                let found = world
                    .inspect
                    .get(&(step, attempt))
                    .cloned()
                    .unwrap_or(Inspection::Needed("would".into()));
                self.give(Input::Inspected { step, found });
            }
            Effect::Act { step, attempt } => {
                world.acted.push((step, attempt));
                let result =
                    world.act.get(&(step, attempt)).map_or(Ok("done".into()), |failure| Err(failure.clone()));
                self.give(Input::Acted { step, result });
            }
            Effect::Verify { step } => {
                let good = world.verify.get(&step).copied().unwrap_or(true);
                let answer = if good { Answer::Holds("ok".into()) } else { Answer::Fails("no".into()) };
                self.give(Input::Verified { step, evidence: vec![Evidence { what: "tcp".into(), answer }] });
            }
            Effect::Refuse { refusal, .. } => self.refused.push(refusal),
        }
        true
    }

    /// Until nothing happens any more for a minute of ticks.
    fn settle(&mut self, world: &mut World) -> State {
        self.give(Input::Tick);
        for _ in 0..120 {
            while self.perform(world) {}
            self.ms += 500;
            self.give(Input::Tick);
        }
        while self.perform(world) {}
        self.engine.run().state()
    }

    fn command(&mut self, command: Command, by: &str, roles: &[&str]) {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        self.give(Input::Command { request: "q".into(), by: by.into(), roles, command, seen: None });
    }

    fn states(&self) -> Vec<StepState> {
        self.engine.run().steps.iter().map(|record| record.state).collect()
    }

    /// What is journaled replays to what lives.
    fn check_replay(&self) {
        let replayed = Run::fold("r".into(), self.engine.run().plan.clone(), &self.journal).unwrap();
        assert_eq!(&replayed, self.engine.run());
    }

    /// A new leader takes the journal as it is now.
    fn take_over(self, epoch: u64) -> Self {
        let run = Run::fold("r".into(), self.engine.run().plan.clone(), &self.journal).unwrap();
        let engine = Engine::new(run, "n".into(), Epoch(epoch), at(self.ms));
        Self { engine, pending: VecDeque::new(), ..self }
    }
}

fn automatic() -> Trigger {
    Trigger::Operator { identity: "kim".into(), reason: "test".into(), overrides: vec![] }
}

fn reason() -> String {
    "because".into()
}

#[test]
fn a_good_run_inspects_acts_verifies_in_order() {
    let mut world = kind_world();
    let mut bench = Bench::new(plan(vec![step("one", &[]), step("two", &[0])]), automatic(), false);
    assert_eq!(bench.settle(&mut world), State::Ended(End::Succeeded));
    assert_eq!(world.acted, [(0, 1), (1, 1)]);
    let kinds: Vec<String> = bench
        .journal
        .iter()
        .map(|event| serde_json::to_value(event).unwrap()["event"].as_str().unwrap().to_owned())
        .collect();
    let one = ["step_started", "step_acted", "step_succeeded"];
    let expected = [&["created", "requirements_met"], &one[..], &one[..], &["ended"]].concat();
    assert_eq!(kinds, expected);
    bench.check_replay();
}

#[test]
fn what_is_already_so_is_not_done_again() {
    let mut world = kind_world();
    world.inspect.insert((0, 0), Inspection::Satisfied("is so".into()));
    let mut bench = Bench::new(plan(vec![step("one", &[])]), automatic(), false);
    assert_eq!(bench.settle(&mut world), State::Ended(End::Succeeded));
    assert_eq!((bench.states(), world.acted), (vec![AlreadyDone], vec![]));
}

#[test]
fn attempts_are_spent_then_a_person_is_asked_and_may_retry_or_skip() {
    let mut world = kind_world();
    world.act.insert((0, 1), failure(FailureKind::Failed));
    world.act.insert((0, 2), failure(FailureKind::Failed));
    let mut bench = Bench::new(plan(vec![step("one", &[]), step("two", &[0])]), automatic(), false);
    assert_eq!(bench.settle(&mut world), State::Blocked);
    assert_eq!(world.acted, [(0, 1), (0, 2)]);
    world.act.clear();
    let mut retried = bench.take_over(2);
    retried.settle(&mut world);
    retried.command(Command::Retry { step: Some("one".into()), reason: reason() }, "kim", &[]);
    assert_eq!(retried.settle(&mut world), State::Ended(End::Succeeded));
    retried.check_replay();

    world.act.insert((0, 1), failure(FailureKind::Refused));
    let mut bench = Bench::new(plan(vec![step("one", &[]), step("two", &[0])]), automatic(), false);
    assert_eq!(bench.settle(&mut world), State::Blocked);
    bench.command(Command::Skip { step: "one".into(), reason: reason() }, "kim", &[]);
    assert_eq!(bench.settle(&mut world), State::Ended(End::Partial));
}

#[test]
fn a_refusal_is_not_tried_again() {
    let mut world = kind_world();
    world.act.insert((0, 1), failure(FailureKind::Refused));
    let mut bench = Bench::new(plan(vec![step("one", &[])]), automatic(), false);
    assert_eq!(bench.settle(&mut world), State::Blocked);
    assert_eq!(world.acted, [(0, 1)]);
}

#[test]
fn policies_abort_or_go_on() {
    let mut world = kind_world();
    world.verify.insert(0, false);
    for (policy, end) in [(OnFailure::Abort, End::Aborted), (OnFailure::Continue, End::Partial)] {
        let first = Step { on_failure: policy, ..step("one", &[]) };
        let mut bench = Bench::new(plan(vec![first, step("two", &[0])]), automatic(), false);
        assert_eq!(bench.settle(&mut world), State::Ended(end));
        bench.check_replay();
    }
}

#[test]
fn an_unreachable_target_may_be_left_out() {
    let mut world = kind_world();
    world.inspect.insert((0, 0), Inspection::Unknown("no answer".into()));
    let drain = Step { unreachable: Unreachable::Skip, ..step("drain", &[]) };
    let mut bench = Bench::new(plan(vec![drain, step("two", &[0])]), automatic(), false);
    assert_eq!(bench.settle(&mut world), State::Ended(End::Succeeded), "a lost site may not answer");
    assert_eq!(bench.states(), [Skipped, Succeeded]);
}

#[test]
fn a_conflict_asks_a_person_and_touches_nothing() {
    let mut world = kind_world();
    world.inspect.insert((0, 0), Inspection::Conflict("it is a primary".into()));
    let mut bench = Bench::new(plan(vec![step("one", &[])]), automatic(), false);
    assert_eq!(bench.settle(&mut world), State::Blocked);
    assert_eq!((bench.states(), world.acted), (vec![Pending], vec![]));
}

#[test]
fn requirements_block_until_a_role_waives_them() {
    let mut world = kind_world();
    world.requirement = Answer::Unknown("never sampled".into());
    let mut bench = Bench::new(plan(vec![step("one", &[])]), automatic(), false);
    assert_eq!(bench.settle(&mut world), State::Blocked);
    bench.command(Command::Approve { step: None, reason: reason() }, "eve", &[]);
    bench.settle(&mut world);
    assert_eq!(bench.refused[0].kind, command::RefusalKind::Denied);
    bench.command(Command::Approve { step: None, reason: reason() }, "kim", &["commander"]);
    assert_eq!(bench.settle(&mut world), State::Ended(End::Succeeded));
    assert!(
        bench
            .journal
            .iter()
            .any(|event| matches!(&event.body, Body::Waived { by, .. } if by.as_str() == "kim"))
    );
}

#[test]
fn a_proposed_run_waits_and_goes_with_its_reason() {
    let mut world = kind_world();
    let mut bench = Bench::new(plan(vec![step("one", &[])]), automatic(), true);
    assert_eq!(bench.settle(&mut world), State::Proposed);
    bench.give(Input::Withdrawn("a is back".into()));
    assert_eq!(bench.settle(&mut world), State::Ended(End::Cancelled));

    let mut bench = Bench::new(plan(vec![step("one", &[])]), automatic(), true);
    bench.command(Command::Approve { step: None, reason: reason() }, "kim", &[]);
    assert_eq!(bench.settle(&mut world), State::Ended(End::Succeeded));
}

#[test]
fn approvals_count_people_not_clicks() {
    let ask = Action::ApprovalAsk { role: "commander".into(), quorum: 2, message: "go?".into() };
    let asked = Step { action: ask, verify: None, timeout: Span::secs(600), ..step("ask", &[]) };
    let mut world = kind_world();
    let mut bench = Bench::new(plan(vec![asked]), automatic(), false);
    let approve = || Command::Approve { step: Some("ask".into()), reason: reason() };
    for (by, roles) in [("kim", &["commander"][..]), ("kim", &["commander"]), ("eve", &[])] {
        assert_eq!(bench.settle(&mut world), State::Running);
        bench.command(approve(), by, roles);
    }
    assert_eq!(bench.settle(&mut world), State::Running);
    let kinds: Vec<_> = bench.refused.iter().map(|refusal| refusal.kind).collect();
    assert_eq!(kinds, [command::RefusalKind::Precondition, command::RefusalKind::Denied]);
    let mut bench = bench.take_over(2);
    bench.settle(&mut world);
    bench.command(approve(), "lee", &["commander"]);
    assert_eq!(bench.settle(&mut world), State::Ended(End::Succeeded), "an approval outlives its leader");
}

#[test]
fn a_fence_is_proven_or_somebody_gives_their_word() {
    let any_of = vec![FenceProof::SiteLeaseExpired, FenceProof::OperatorWord { role: "commander".into() }];
    let fence =
        Step { action: Action::FenceProve { site: "a".into(), any_of }, verify: None, ..step("fence", &[]) };
    let mut world = kind_world();
    world.act.insert((0, 1), failure(FailureKind::Refused));
    let mut bench = Bench::new(plan(vec![fence, step("promote", &[0])]), automatic(), false);
    assert_eq!(bench.settle(&mut world), State::Blocked);
    bench.command(Command::Skip { step: "fence".into(), reason: reason() }, "kim", &["commander"]);
    bench.settle(&mut world);
    assert_eq!(bench.refused.len(), 1, "a fence cannot be skipped");
    bench.command(Command::Approve { step: Some("fence".into()), reason: reason() }, "bob", &["intern"]);
    assert_eq!(bench.settle(&mut world), State::Blocked);
    assert_eq!(bench.refused[1].kind, command::RefusalKind::Denied, "not everybody's word counts");
    bench.command(Command::Approve { step: Some("fence".into()), reason: reason() }, "kim", &["commander"]);
    assert_eq!(bench.settle(&mut world), State::Ended(End::Succeeded));
    bench.check_replay();
}

/// The controller refuses such an override; the engine does not rely on it.
#[test]
fn no_word_replaces_a_proof_that_the_playbook_does_not_offer() {
    let fence = |any_of| {
        let action = Action::FenceProve { site: "a".into(), any_of };
        plan(vec![Step { action, verify: None, attempts: 1, ..step("fence", &[]) }, step("promote", &[0])])
    };
    let overrides = vec![Override { rule: "fence".into(), reason: reason() }];
    let trigger = Trigger::Operator { identity: "kim".into(), reason: reason(), overrides };
    let mut world = kind_world();
    world.act.insert((0, 1), failure(FailureKind::Failed));
    let mut bench = Bench::new(fence(vec![FenceProof::SiteLeaseExpired]), trigger.clone(), false);
    assert_eq!(bench.settle(&mut world), State::Blocked);
    assert_eq!(bench.states(), [Failed, Pending]);
    let word = FenceProof::OperatorWord { role: "commander".into() };
    let mut bench = Bench::new(fence(vec![FenceProof::SiteLeaseExpired, word]), trigger, false);
    assert_eq!(bench.settle(&mut world), State::Ended(End::Succeeded));
}

#[test]
fn pause_resume_abort() {
    let mut world = kind_world();
    world.act.insert((0, 1), failure(FailureKind::Unreachable));
    let mut bench = Bench::new(plan(vec![step("one", &[]), step("two", &[0])]), automatic(), false);
    bench.command(Command::Pause { reason: reason() }, "kim", &[]);
    assert_eq!(bench.settle(&mut world), State::Paused);
    bench.command(Command::Resume { reason: reason() }, "kim", &[]);
    bench.command(Command::Abort { reason: reason() }, "kim", &[]);
    assert_eq!(bench.settle(&mut world), State::Ended(End::Aborted));
    bench.command(Command::Abort { reason: reason() }, "kim", &[]);
    bench.settle(&mut world);
    assert_eq!(bench.refused.len(), 1, "an ended run takes no commands");
    bench.check_replay();
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
        let mut bench = Bench::new(plan(vec![step("one", &[]), step("two", &[0])]), automatic(), false);
        bench.give(Input::Tick);
        while !bench.pending.iter().any(|effect| matches!(effect, Effect::Act { .. })) {
            assert!(bench.perform(&mut world));
        }
        let mut bench = bench.take_over(2);
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
    let policy = prop_oneof![Just(OnFailure::Pause), Just(OnFailure::Abort), Just(OnFailure::Continue)];
    (prop::collection::btree_set(0..at.max(1), 0..3), policy, any::<bool>(), any::<bool>(), 1..4u32).prop_map(
        move |(needs, on_failure, promote, skip, attempts)| {
            let mut step = step(&format!("s{at}"), &[]);
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
        cuts in prop::collection::vec(1..40usize, 0..3),
        skip in 0..6usize,
    ) {
        let count = steps.len();
        let mut world = World { inspect, act, verify, ..kind_world() };
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
            prop_assert!(Run::fold("r".into(), bench.engine.run().plan.clone(), &bench.journal[..length]).is_ok());
        }
        bench.check_replay();
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

fn ask_two() -> Arc<Plan> {
    let ask = Action::ApprovalAsk { role: "commander".into(), quorum: 2, message: "go?".into() };
    plan(vec![Step { action: ask, verify: None, attempts: 1, ..step("ask", &[]) }])
}

fn approve() -> Command {
    Command::Approve { step: Some("ask".into()), reason: reason() }
}

impl Bench {
    /// Performs all effects but appends; those are returned and not durable yet.
    fn perform_but_appends(&mut self, world: &mut World) -> Vec<Event> {
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
