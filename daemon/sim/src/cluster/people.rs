//! People: they ask for runs, answer what runs ask them, and mend what a failover has left.

use super::service::Trouble;
use super::store::{Asked, Compare, Key, Op, Reply, Request, Txn, Value};
use super::{Cluster, Happening, Then, fleets, setting};
use crate::dice::Dice;
use standfast_core::action::Action;
use standfast_core::controller::Ask;
use standfast_core::engine::Command;
use standfast_core::ids::{Identity, RunId, StepId};
use standfast_core::journal::{BlockKind, Body, Override};
use standfast_core::plan::Mode;
use standfast_core::run::{Run, State, StepState};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How often the same thing is tried before people give a run up.
const TRIES: u32 = 3;
/// How often people look once everything is mended.
const SOON: Duration = Duration::from_secs(5);
/// How long people wait after a run before they rebuild what it has left.
const SETTLED: Duration = Duration::from_secs(30);

/// What somebody wants by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// The how manieth of the requests.
    Start(usize),
    Pause,
    Resume,
    Abort,
    StepDown,
    Acknowledge(usize),
    /// Apply the how manieth bundle.
    Apply(usize),
    /// For so long; none: until somebody ends it.
    Freeze(Option<Duration>),
    Thaw,
    Maintain(usize, Option<Duration>),
    Release(usize),
    Switch(bool),
}

/// People, and what they have tried.
#[derive(Debug)]
pub(super) struct People {
    wants: Vec<(Duration, Want)>,
    /// Between two looks.
    every: Duration,
    tries: BTreeMap<(RunId, Option<StepId>), u32>,
    asked: u64,
    /// Requests that are not placed yet.
    placing: BTreeSet<u64>,
}

/// A request on its way into the store.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    number: u64,
    asked: Arc<Asked>,
    tries: u32,
}

impl People {
    pub(super) fn draw(dice: &mut Dice, safety: Duration) -> Self {
        let count = dice.below(5);
        let wants = (0..count).map(|_| {
            let span = |dice: &mut Dice| {
                let span = dice.between(Duration::from_secs(10), Duration::from_secs(60));
                (dice.below(3) > 0).then_some(span)
            };
            let want = match dice.below(20) {
                0..5 => Want::Start(dice.below(5) as usize),
                5 | 17 => Want::Pause,
                6 => Want::Resume,
                7 => Want::Abort,
                8 => Want::StepDown,
                9 | 10 => Want::Apply(dice.below(fleets::FOLLOWING as u64) as usize),
                11 => Want::Freeze(span(dice)),
                12 => Want::Thaw,
                13 => Want::Maintain(dice.below(2) as usize, span(dice)),
                14 => Want::Release(dice.below(2) as usize),
                15 | 16 => Want::Switch(dice.below(3) > 0),
                _ => Want::Acknowledge(dice.below(2) as usize),
            };
            (dice.between(Duration::from_secs(10), safety), want)
        });
        let wants = wants.collect();
        let every = dice.between(Duration::from_secs(4), Duration::from_secs(40));
        Self { wants, every, tries: BTreeMap::new(), asked: 0, placing: BTreeSet::new() }
    }

    /// Nobody wants anything, and nobody comes before everything is mended.
    #[cfg(test)]
    pub(super) fn stay_away(&mut self, until: Duration) {
        self.wants.clear();
        self.every = until;
    }

    /// Somebody wants something then.
    #[cfg(test)]
    pub(super) fn want_at(&mut self, at: Duration, want: Want) {
        self.wants.push((at, want));
    }

    pub(super) fn are_quiet(&self) -> bool {
        self.placing.is_empty()
    }
}

fn kim() -> Identity {
    "kim".into()
}

impl Cluster<'_> {
    /// People come in from time to time.
    pub(super) fn invite(&mut self) {
        for (place, (at, _)) in self.people.wants.iter().enumerate() {
            self.clock.after(*at, Happening::Want(place));
        }
        self.clock.after(self.people.every, Happening::Visit);
    }

    pub(super) fn want(&mut self, place: usize) {
        let reason = String::from("as planned");
        let live = self.judge.runs.iter().find(|(_, tracked)| tracked.ended.is_none());
        let live = live.map(|(id, _)| id.clone());
        let command = |command| live.clone().map(|run| Ask::Run { run, command, seen: None });
        let ask = match self.people.wants[place].1 {
            Want::Start(which) => {
                let request = setting::requests()[which].clone();
                let mail = request.playbook.as_str() == setting::MAILS;
                if request.mode == Mode::Drill && !mail && live.is_none() {
                    // The source is made read-only first, and seen to be.
                    self.fence_by_hand(request.from.as_str());
                }
                let lag = Override { rule: "lag".into(), reason: reason.clone() };
                let overrides = if mail { Vec::new() } else { vec![lag] };
                Some(Ask::Start { request, reason, overrides, plan: None })
            }
            Want::Pause => command(Command::Pause { reason }),
            Want::Resume => command(Command::Resume { reason }),
            Want::Abort => command(Command::Abort { reason }),
            Want::StepDown => Some(Ask::StepDown { reason }),
            Want::Apply(case) if self.judge.bundle() < fleets::FOLLOWING => return self.apply(case),
            Want::Apply(_) => None,
            Want::Freeze(left) => Some(Ask::Freeze { reason, left: left.map(Into::into) }),
            Want::Thaw => Some(Ask::Thaw { reason }),
            Want::Maintain(site, left) => {
                let site = self.case.site(site).clone();
                Some(Ask::Maintain { site, reason, left: left.map(Into::into) })
            }
            Want::Release(site) => Some(Ask::Release { site: self.case.site(site).clone(), reason }),
            Want::Switch(on) => Some(Ask::Switch { name: "armed".into(), on, reason }),
            Want::Acknowledge(site) => {
                Some(Ask::Acknowledge { site: self.case.site(site).clone(), reason, seen: None })
            }
        };
        if let Some(ask) = ask {
            self.wish(kim(), ask);
        }
    }

    /// Another bundle is applied, with whatever member is there; one that nobody answers for is given
    /// up.
    fn apply(&mut self, case: usize) {
        let put = Op::Put(Key::Bundle, Value::Bundle(case));
        let txn = Txn { then: vec![put], ..Txn::default() };
        let member = self.dice.below(self.members.len() as u64) as usize;
        if self.members[member].runs() {
            self.call(member, None, Request::Txn(Arc::new(txn)), Then::Nothing);
        }
    }

    /// Somebody has gone there and closed the gate.
    fn fence_by_hand(&mut self, site: &str) {
        let site = self.case.targets.site(&site.into()).expect("a site of the fleet");
        self.gates[site].by_hand = true;
        self.stands(site);
    }

    /// Somebody looks at all runs, and does what they wait for.
    pub(super) fn visit(&mut self) {
        let every = if self.healed { SOON } else { self.people.every };
        self.clock.after(every, Happening::Visit);
        self.bump();
        let live = self.judge.runs.values().filter(|tracked| tracked.ended.is_none());
        let live: Vec<Run> = live.map(|tracked| tracked.run.clone()).collect();
        for run in live {
            self.attend(&run);
        }
        for site in 0..2 {
            let settled = self.judge.free_since(self.case.site(site));
            let settled = settled.is_some_and(|at| self.clock.elapsed() >= at + SETTLED);
            if settled && (self.healed || self.dice.below(3) == 0) {
                self.protect(site);
            }
        }
    }

    fn attend(&mut self, run: &Run) {
        let reason = String::from("looked at");
        let say = |command| Ask::Run { run: run.id.clone(), command, seen: None };
        match run.state() {
            State::Proposed if self.dice.below(5) > 0 => {
                // Who has waived something may not know that it takes another one.
                let by = self.somebody();
                self.wish(by, say(Command::Approve { step: None, reason }));
            }
            State::Proposed => self.wish(kim(), say(Command::Reject { reason })),
            State::Paused if self.healed || self.dice.below(2) == 0 => {
                self.wish(kim(), say(Command::Resume { reason }));
            }
            _ => self.answer_blocks(run),
        }
    }

    fn somebody(&mut self) -> Identity {
        if self.dice.below(2) == 0 { kim() } else { "lee".into() }
    }

    fn answer_blocks(&mut self, run: &Run) {
        // What takes two takes another one the next time.
        let by = self.somebody();
        let say = |command| Ask::Run { run: run.id.clone(), command, seen: None };
        let reason = || String::from("looked at");
        for (record, spec) in run.steps.iter().zip(&run.plan.steps) {
            if record.state == StepState::Started && matches!(spec.action, Action::ApprovalAsk { .. }) {
                let step = Some(spec.id.clone());
                self.wish(by.clone(), say(Command::Approve { step, reason: reason() }));
            }
        }
        for (step, block) in &run.blocks {
            let tries = self.people.tries.entry((run.id.clone(), step.clone())).or_default();
            *tries += 1;
            if *tries > TRIES {
                self.wish(by.clone(), say(Command::Abort { reason: reason() }));
                return;
            }
            let at = step.as_ref().and_then(|step| run.step_index(step));
            let fence = at.is_some_and(|at| matches!(run.plan.steps[at].action, Action::FenceProve { .. }));
            let command = match (block.kind, step) {
                (BlockKind::Requirement, _) => Command::Approve { step: None, reason: reason() },
                (_, Some(step)) if fence && self.dice.below(2) == 0 => {
                    self.fence_by_hand(run.plan.request.from.as_str());
                    Command::Approve { step: Some(step.clone()), reason: reason() }
                }
                (_, Some(_)) if run.no_way_back().is_none() && self.dice.below(4) == 0 => {
                    Command::Rollback { reason: reason() }
                }
                (_, Some(step)) if !fence && self.dice.below(6) == 0 => {
                    Command::Skip { step: step.clone(), reason: reason() }
                }
                _ => Command::Retry { step: step.clone(), reason: reason() },
            };
            self.wish(by.clone(), say(command));
        }
    }

    /// Places a request with some member.
    pub(super) fn wish(&mut self, by: Identity, ask: Ask) {
        self.people.asked += 1;
        self.people.placing.insert(self.people.asked);
        let asked = Arc::new(Asked { by, ask });
        self.ask_again(Asking { number: self.people.asked, asked, tries: 0 });
    }

    /// Whoever got no answer asks another member for the same, a few times.
    pub(super) fn ask_again(&mut self, mut asking: Asking) {
        if !self.people.placing.contains(&asking.number) {
            return;
        }
        asking.tries += 1;
        if asking.tries > 4 {
            self.people.placing.remove(&asking.number);
            return;
        }
        let ask = Key::Ask(asking.number);
        let txn = Txn {
            when: vec![Compare::Absent(ask.clone()), Compare::Absent(Key::Answer(asking.number))],
            then: vec![Op::Put(ask, Value::Ask(asking.asked.clone()))],
            ..Txn::default()
        };
        let then = Then::Placed(asking.number);
        self.clock.after(Duration::from_secs(4), Happening::Ask(Box::new(asking)));
        let running: Vec<usize> =
            (0..self.members.len()).filter(|member| self.members[*member].runs()).collect();
        if let Some(&member) = self.dice.pick(&running) {
            self.call(member, None, Request::Txn(Arc::new(txn)), then);
        }
    }

    /// A member has told somebody what came of placing a request: written now, or by an earlier try
    /// that nobody answered.
    pub(super) fn placed(&mut self, number: u64, come: &Result<Reply, Trouble>) {
        if come.is_ok() {
            self.people.placing.remove(&number);
        }
    }

    /// What is journaled as taken back is as it was, as far as it can be seen.
    fn as_it_was(&mut self, run: &RunId, step: &StepId) {
        let Some(tracked) = self.judge.runs.get(run) else { return };
        let Some(at) = tracked.run.step_index(step) else { return };
        let model = setting::model(self.cases, &tracked.run.plan_digest);
        let undo = model.undos[at].as_ref().map(|(deed, _)| deed);
        if undo.is_some_and(|deed| self.world.is_done(&self.case.targets, deed) == Some(false)) {
            self.judge.not_back(run, step, self.clock.elapsed());
        }
    }

    /// Tells what has become durable.
    pub(super) fn after_entries(&mut self) {
        for (run, event) in std::mem::take(&mut self.judge.news) {
            self.aimed();
            if let Body::StepUndone { step, .. } = &event.body {
                self.as_it_was(&run, step);
            }
            self.tell(|_| format!("{run} {} (epoch {}): {}", event.sequence, event.epoch, event.line()));
        }
    }
}
