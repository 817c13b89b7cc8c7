//! Runs driven to their end by a small world that answers as a test says.

use super::*;
use crate::action::FenceProof;
use crate::ids::{Digest, RunId, ServiceId};
use crate::journal::{Override, Trigger};
use crate::plan::{Mode, OnFailure, Plan, Request, Require, Unreachable, Verify};
use crate::run::StepState::*;
use crate::time::Span;
use std::collections::BTreeMap;
use std::sync::Arc;

#[path = "engine_test/anything.rs"]
mod anything;
#[path = "engine_test/growth.rs"]
mod growth;
#[path = "engine_test/people.rs"]
mod people;
#[path = "engine_test/races.rs"]
mod races;
#[path = "engine_test/takeover.rs"]
mod takeover;
#[path = "engine_test/two.rs"]
mod two;
#[path = "engine_test/undo.rs"]
mod undo;

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
        undo_proof: None,
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
    /// Of undos: what an inspection finds if it is not what was done, how they fail, which acted.
    undo_inspect: BTreeMap<usize, Inspection>,
    undo: BTreeMap<(usize, u32), Failure>,
    undone: Vec<(usize, u32)>,
    back: BTreeSet<usize>,
}

fn kind_world() -> World {
    World {
        requirement: Answer::Holds("ok".into()),
        inspect: BTreeMap::new(),
        act: BTreeMap::new(),
        verify: BTreeMap::new(),
        acted: Vec::new(),
        undo_inspect: BTreeMap::new(),
        undo: BTreeMap::new(),
        undone: Vec::new(),
        back: BTreeSet::new(),
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
            Effect::InspectUndo { step } => {
                let found =
                    world.undo_inspect.get(&step).cloned().unwrap_or(match world.back.contains(&step) {
                        true => Inspection::Satisfied("as it was".into()),
                        false => Inspection::Needed("not as it was".into()),
                    });
                self.give(Input::UndoInspected { step, found });
            }
            Effect::Undo { step, attempt } => {
                world.undone.push((step, attempt));
                let failure = world.undo.get(&(step, attempt)).cloned();
                if failure.is_none() {
                    world.back.insert(step);
                }
                self.give(Input::Undone { step, result: failure.map_or(Ok("done".into()), Err) });
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
        self.ask(command, by, roles, false);
    }

    /// With `two`: in a fleet in which an override takes two.
    fn ask(&mut self, command: Command, by: &str, roles: &[&str], two: bool) {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        self.give(Input::Command { request: "q".into(), by: by.into(), roles, two, command, seen: None });
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
