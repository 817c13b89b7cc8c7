//! What must hold at every step, judged by what becomes durable and by what is done.
//!
//! The judge reads the store's transactions as they are committed, the world, and what members
//! begin. It asks no member: it would believe the same mistake.

mod evidence;
mod promise;
mod restored;
mod told;

use super::coverage::{self, Coverage};
use super::fault::Fault;
use super::net::SITES;
use super::setting::Case;
use super::store::{Key, Op, Store, Txn, Value};
use crate::simulate::Checker;
use crate::world::{Deed, Targets, World, Wrong};
use standfast_core::action::Action;
use standfast_core::controller::{Ask, Refused};
use standfast_core::ids::{Epoch, RunId, SiteId, StepId};
use standfast_core::journal::{Body, End, Event};
use standfast_core::run::{Run, State, StepState};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;
use told::Told;

/// After the store has wrongly taken a lease back, so long two members may believe to lead.
const WRONGED: Duration = Duration::from_secs(12);

/// An invariant that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which, in a few words.
    pub invariant: &'static str,
    /// What was seen.
    pub what: String,
    /// When.
    pub at: Duration,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}, at {:.3} s", self.invariant, self.what, self.at.as_secs_f64())
    }
}

/// A run, folded from what is durable.
#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) run: Run,
    checker: Checker,
    pub(super) ended: Option<Duration>,
    /// Somebody else than who started it has approved it.
    second: bool,
}

/// Watches everything.
#[derive(Debug)]
pub(super) struct Judge {
    /// The bundle that was applied last.
    bundle: usize,
    pub(super) runs: BTreeMap<RunId, Tracked>,
    /// Entries that became durable with the last transaction.
    pub(super) news: Vec<(RunId, Event)>,
    asks: BTreeMap<u64, Ask>,
    /// What was acknowledged: a run, and how much of its journal.
    acknowledged: BTreeMap<RunId, u64>,
    leaders: BTreeMap<Epoch, usize>,
    epoch: Epoch,
    /// Whether the replicas were further behind than is allowed when a run last asked.
    behind: bool,
    /// When each epoch began.
    begun: BTreeMap<Epoch, Duration>,
    /// Until when a site is held down.
    holds: BTreeMap<SiteId, Duration>,
    unreached: [[Option<Duration>; SITES]; SITES],
    /// When each member has registered.
    joined: BTreeMap<usize, Duration>,
    wronged: Option<Duration>,
    /// The highest epoch of what a restored store has lost.
    lost: Option<Epoch>,
    /// By member: the highest epoch that it has seen.
    seen: BTreeMap<usize, Epoch>,
    /// By name: the highest epoch under which it was set.
    names: BTreeMap<usize, Epoch>,
    pub(super) told: Told,
    active: [u8; Fault::KINDS.len()],
    coverage: Coverage,
    broken: Option<Broken>,
}

impl Judge {
    pub(super) fn new(bundle: usize) -> Self {
        Self {
            bundle,
            runs: BTreeMap::new(),
            news: Vec::new(),
            asks: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            leaders: BTreeMap::new(),
            epoch: Epoch(0),
            behind: false,
            begun: BTreeMap::new(),
            holds: BTreeMap::new(),
            unreached: [[None; SITES]; SITES],
            joined: BTreeMap::new(),
            wronged: None,
            lost: None,
            seen: BTreeMap::new(),
            names: BTreeMap::new(),
            told: Told::default(),
            active: [0; Fault::KINDS.len()],
            coverage: Coverage { seeds: 1, ..Coverage::default() },
            broken: None,
        }
    }

    pub(super) fn broken(&self) -> Option<&Broken> {
        self.broken.as_ref()
    }

    pub(super) fn into_parts(self) -> (Option<Broken>, Coverage) {
        (self.broken, self.coverage)
    }

    /// The first thing that was wrong counts.
    fn note(&mut self, invariant: &'static str, what: impl Into<String>, at: Duration) {
        self.broken.get_or_insert_with(|| Broken { invariant, what: what.into(), at });
    }

    /// The bundle that was applied last.
    pub(super) fn bundle(&self) -> usize {
        self.bundle
    }

    /// All live runs have ended, all requests are answered.
    pub(super) fn is_quiet(&self) -> bool {
        self.asks.is_empty() && self.runs.values().all(|tracked| tracked.ended.is_some())
    }

    /// When the last run ended that held a site; none while one does.
    pub(super) fn free_since(&self, site: &SiteId) -> Option<Duration> {
        let of = |tracked: &&Tracked| {
            let request = &tracked.run.plan.request;
            request.from == *site || request.to == *site
        };
        self.runs
            .values()
            .filter(of)
            .try_fold(Duration::ZERO, |latest, tracked| Some(latest.max(tracked.ended?)))
    }

    pub(super) fn faulty(&mut self, kind: usize) {
        self.active[kind] += 1;
        let states: BTreeSet<usize> = self.runs.values().filter_map(|t| coverage::state(&t.run)).collect();
        states.into_iter().for_each(|state| self.coverage.met[kind][state] = 1);
    }

    pub(super) fn mended(&mut self, kind: usize) {
        self.active[kind] -= 1;
    }

    pub(super) fn unreached(&mut self, from: usize, to: usize, now: Duration) {
        self.unreached[from][to] = Some(now);
    }

    pub(super) fn wronged(&mut self, now: Duration) {
        self.wronged = Some(now);
    }

    pub(super) fn refused(&mut self, _: &Refused) {
        self.coverage.refused += 1;
    }

    pub(super) fn unreadable(&mut self, run: &RunId) {
        self.note("what is written can be read back", format!("run {run} cannot be folded"), Duration::ZERO);
    }

    pub(super) fn not_live(&mut self, now: Duration) {
        let live = self.runs.iter().filter(|(_, tracked)| tracked.ended.is_none());
        let live: Vec<String> = live
            .map(|(id, tracked)| {
                format!("run {id} is {} and waits for {:?}", tracked.run.state(), tracked.run.waits_for())
            })
            .collect();
        let what = format!(
            "long after everything was mended: {}; {} requests wait",
            live.join("; "),
            self.asks.len()
        );
        self.note("what was begun comes to its end once everything is mended", what, now);
    }

    /// What a plan requires is asked, of replicas that are too far behind or not.
    pub(super) fn asked(&mut self, behind: bool) {
        self.behind = behind;
    }

    /// A member leads.
    pub(super) fn leads(&mut self, member: usize, epoch: Epoch, now: Duration) {
        self.coverage.terms += 1;
        if let Some(other) = self.leaders.insert(epoch, member) {
            self.note("one leader for each epoch", format!("m{other} and m{member} under {epoch}"), now);
        }
    }

    /// An act, or a stage of it, begins under `epoch`.
    pub(super) fn acts_on(&mut self, run: &RunId, epoch: Epoch, member: usize, now: Duration) {
        if epoch >= self.epoch || self.is_lost(epoch) {
            return;
        }
        if self.wronged.is_some_and(|at| now < at + WRONGED) {
            self.coverage.residual += 1;
            return;
        }
        let what = format!("m{member} acts for {run} under epoch {epoch}, and {} has begun", self.epoch);
        self.note("nobody acts under an epoch that is over", what, now);
    }

    /// A step begins to act.
    pub(super) fn acts(
        &mut self,
        run: &RunId,
        step: usize,
        attempt: u32,
        epoch: Epoch,
        member: usize,
        now: Duration,
    ) {
        self.acts_on(run, epoch, member, now);
        let current = epoch >= self.epoch && !self.is_lost(epoch);
        let Some(tracked) = self.runs.get_mut(run).filter(|_| current) else { return };
        tracked.checker.acts(step, attempt, epoch);
        self.look(run, now);
    }

    /// A step begins to be taken back.
    pub(super) fn undoes(&mut self, run: &RunId, step: usize, epoch: Epoch, member: usize, now: Duration) {
        self.acts_on(run, epoch, member, now);
        let current = epoch >= self.epoch && !self.is_lost(epoch);
        let Some(tracked) = self.runs.get_mut(run).filter(|_| current) else { return };
        tracked.checker.undoes(step, epoch);
        self.look(run, now);
    }

    /// A step is said to be taken back, and is not.
    pub(super) fn not_back(&mut self, run: &RunId, step: &StepId, now: Duration) {
        let what = format!("step {step} of run {run} is not");
        self.note("what is taken back is as it was", what, now);
    }

    /// An act was done.
    pub(super) fn done(&mut self, run: &RunId, step: usize, deed: &Deed, now: Duration) {
        let Some(tracked) = self.runs.get_mut(run) else { return };
        tracked.checker.touched(step);
        if !matches!(deed, Deed::Promote { .. }) {
            return;
        }
        let steps = tracked.run.steps.iter().zip(&tracked.run.plan.steps);
        let unproven = steps
            .filter(|(_, spec)| matches!(spec.action, Action::FenceProve { .. }))
            .any(|(record, _)| !matches!(record.state, StepState::Succeeded | StepState::AlreadyDone));
        if unproven || !tracked.run.cleared || !tracked.run.crossed {
            self.note("no promotion without its guards", format!("run {run} promotes"), now);
        }
    }

    /// A name was set: the name server has refused what is older.
    pub(super) fn named(&mut self, deed: &Deed, epoch: Epoch, now: Duration) {
        let Deed::Name { name, .. } = deed else { return };
        let after = self.names.entry(*name).or_default();
        let (before, old) = (*after, epoch < *after);
        *after = epoch.max(*after);
        if old {
            let what = format!("under epoch {epoch} after {before}");
            self.note("a name is not set by an earlier leader after a later one", what, now);
        }
    }

    fn look(&mut self, run: &RunId, now: Duration) {
        let breach = self.runs[run].checker.breach().map(|breach| (breach.invariant(), breach.to_string()));
        if let Some((invariant, what)) = breach {
            self.note(invariant, format!("run {run}: {what}"), now);
        }
    }

    /// The world has changed.
    pub(super) fn world(&mut self, targets: &Targets, world: &mut World, now: Duration) {
        world.look(targets);
        match world.take_wrong() {
            Some(wrong @ Wrong::TwoWriters { .. }) => {
                self.note("never two writers of one cluster", wrong.to_string(), now);
            }
            // At targets that cannot refuse it, what comes late is counted.
            Some(Wrong::EpochBack { .. }) => self.coverage.residual += 1,
            None => {}
        }
    }

    /// A transaction is committed.
    pub(super) fn committed(&mut self, cases: &[Case], store: &Store, txn: &Txn, now: Duration) {
        // Else somebody has only raised it.
        let campaigns = txn.then.iter().any(|op| matches!(op, Op::PutLeased(Key::Leader, ..)));
        for op in &txn.then {
            self.told.kept(op, now);
            match op {
                Op::Put(Key::Epoch, Value::Epoch(epoch)) if campaigns => self.begins(Epoch(*epoch), now),
                Op::Put(Key::Entry(run, _), Value::Entry(event)) => {
                    self.entry(cases, store, run, event, now);
                }
                Op::PutLeased(Key::Leader, Value::Leader { member, epoch, .. }, _) => {
                    self.wins(*member, *epoch, now);
                }
                Op::PutLeased(Key::Member(member), ..) => {
                    self.joined.insert(*member, now);
                }
                Op::Put(Key::Bundle, Value::Bundle(case)) => self.bundle = *case,
                Op::Put(Key::Ask(request), Value::Ask(asked)) => {
                    self.told.asked(&asked.ask);
                    self.asks.insert(*request, asked.ask.clone());
                }
                Op::Put(Key::Answer(request), Value::Answer(answer)) => {
                    let ask = self.asks.remove(request);
                    if let (Ok(_), Some(ask)) = (&**answer, &ask) {
                        if let Ask::Acknowledge { site, .. } = ask {
                            self.holds.remove(site);
                        }
                        self.told.answered(ask, self.asks.values(), now);
                    }
                    if let Ok(Some(subject)) = &**answer {
                        let most = self.acknowledged.entry(subject.run.clone()).or_default();
                        *most = (*most).max(subject.sequence);
                    }
                }
                _ => {}
            }
        }
        for request in txn.then.iter().filter_map(|op| match op {
            Op::Delete(Key::Ask(request)) => Some(*request),
            _ => None,
        }) {
            if self.asks.contains_key(&request) {
                self.note("nothing acknowledged is lost", format!("request {request} is gone"), now);
            }
        }
        self.kept(store, txn, now);
    }

    /// Whatever was acknowledged is in the store.
    fn kept(&mut self, store: &Store, txn: &Txn, now: Duration) {
        let answers = txn.then.iter().any(|op| matches!(op.key(), Key::Answer(_) | Key::Head(_)));
        let lost = self.acknowledged.iter().find(|(run, sequence)| {
            let head = store.get(&Key::Head((*run).clone()));
            !head.is_some_and(|kv| matches!(&kv.value, Value::Head(head) if head.sequence >= **sequence))
        });
        if let Some((run, sequence)) = lost.filter(|_| answers) {
            let what = format!("entry {sequence} of run {run} was acknowledged and is not there");
            self.note("nothing acknowledged is lost", what, now);
        }
    }

    fn begins(&mut self, epoch: Epoch, now: Duration) {
        if epoch <= self.epoch {
            self.note("epochs never go back", format!("{epoch} after {}", self.epoch), now);
        }
        self.epoch = epoch;
        self.begun.insert(epoch, now);
    }

    /// When the epoch after this one began.
    pub(super) fn superseded(&self, epoch: Epoch) -> Option<Duration> {
        self.begun.range(Epoch(epoch.0 + 1)..).next().map(|(_, at)| *at)
    }

    /// A step begins to act while an act of an earlier epoch may still take effect.
    pub(super) fn overlaps(&mut self, run: &RunId, step: usize, of: (Epoch, Epoch), now: Duration) {
        let id = self.runs.get(run).map(|tracked| tracked.run.plan.steps[step].id.to_string());
        let what = format!("step {} of {run} under {} and under {}", id.unwrap_or_default(), of.0, of.1);
        self.note("effects of different epochs never overlap", what, now);
    }

    fn entry(&mut self, cases: &[Case], store: &Store, id: &RunId, event: &Event, now: Duration) {
        self.news.push((id.clone(), event.clone()));
        let plan = match store.get(&Key::Head(id.clone())).map(|kv| &kv.value) {
            Some(Value::Head(head)) => head.plan.clone(),
            _ => return self.note("what is written can be read back", format!("run {id} has no head"), now),
        };
        let case = cases.iter().find(|case| case.bundle.digest == plan.bundle);
        let case = case.expect("a plan is of a bundle that was applied");
        if let Body::Created { trigger, proposed, .. } = &event.body {
            self.created(case, store, (trigger, *proposed), &plan.request, now);
            let of = (trigger, *proposed);
            if let Some((invariant, what)) = self.promised(case, of, &plan.request, event.wall_ms, now) {
                self.note(invariant, what, now);
            }
            match Run::new(id.clone(), plan.clone(), event) {
                Ok(run) if !self.runs.contains_key(id) => {
                    let tracked = Tracked { run, checker: Checker::new(plan), ended: None, second: false };
                    self.runs.insert(id.clone(), tracked);
                    self.alone(id, now);
                }
                Ok(_) => self.note("a journal never forks", format!("run {id} is created again"), now),
                Err(illegal) => self.note("what is written can be read back", illegal.to_string(), now),
            }
            return self.meet(id);
        }
        let Some(tracked) = self.runs.get_mut(id) else {
            return self.note("a journal never forks", format!("run {id} was never created"), now);
        };
        if let Err(illegal) = tracked.run.apply(event) {
            return self.note("a journal never forks", format!("run {id}: {illegal}"), now);
        }
        let step = event.step().and_then(|step| tracked.run.step_index(step));
        tracked.checker.durable(event, step, now);
        if let Body::Ended { end, .. } = &event.body {
            tracked.ended = Some(now);
            let request = tracked.run.plan.request.clone();
            self.coverage.ended(*end);
            // What was proposed in vain leaves nothing behind.
            if *end != End::Cancelled {
                let until = now + case.timing.hold_down.0 * 99 / 100;
                self.holds.extend([request.from, request.to].map(|site| (site, until)));
            }
        }
        if let Body::RequirementsMet { evidence } = &event.body {
            let waived = &self.runs[id].run.waived;
            let unmet =
                evidence.iter().enumerate().find(|(at, seen)| !seen.answer.holds() && !waived.contains(at));
            if let Some((_, seen)) = unmet {
                let what = format!("run {id} goes on, and {} does not hold", seen.what);
                self.note("no promotion without its guards", what, now);
            } else if self.behind && waived.is_empty() && !evidence.is_empty() {
                let what = format!("run {id} goes on, and its replica is too far behind");
                self.note("no promotion without its guards", what, now);
            }
        }
        self.takes_two(case, id, event, now);
        self.look(id, now);
        self.meet(id);
    }

    /// A run meets the faults of this moment.
    fn meet(&mut self, id: &RunId) {
        let Some(state) = self.runs.get(id).and_then(|tracked| coverage::state(&tracked.run)) else { return };
        let active = self.active.iter().enumerate().filter(|(_, count)| **count > 0);
        active.for_each(|(kind, _)| self.coverage.met[kind][state] = 1);
    }

    /// The last look.
    pub(super) fn finish(&mut self, store: &Store, now: Duration) {
        let state =
            |tracked: &Tracked| matches!(tracked.run.state(), State::Ended(_)) == tracked.ended.is_some();
        if store.get(&Key::Bundle).is_none_or(|kv| kv.value != Value::Bundle(self.bundle)) {
            self.note("nothing acknowledged is lost", "the bundle that was applied is gone", now);
        }
        let lost = self.runs.iter().find(|(id, tracked)| {
            let last = Key::Entry((*id).clone(), tracked.run.sequence);
            store.get(&last).is_none() || !state(tracked)
        });
        if let Some((id, _)) = lost {
            self.note("nothing acknowledged is lost", format!("the end of run {id} is gone"), now);
        }
    }
}
