//! One term: feeds the controller and performs its effects, as the daemon does.

mod load;
mod look;

pub(super) use load::Loading;

use super::lead::guard;
use super::member::Wake;
use super::service::Trouble;
use super::store::{Answered, Compare, Done, Head, Key, Op, Part, Reply, Request, Txn, Value};
use super::{Cluster, Then};
use standfast_core::controller::{Controller, Creation, Effect, Ending, Input as Ctl, Keep, Subject};
use standfast_core::engine;
use standfast_core::ids::{MemberId, RunId, SiteId};
use standfast_core::journal::Event;
use standfast_core::leadership::{Revision, Term};
use standfast_core::time::Mono;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// How often the controller is given the time.
pub(super) const TICK: Duration = Duration::from_millis(500);
/// Pause before what did not go through is sent again.
pub(super) const AGAIN: Duration = Duration::from_millis(50);

/// What a term tells the leadership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    GuardLost,
    StepDown(&'static str),
}

/// A guarded write, sent until it is settled or the term ends.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) nonce: String,
    pub(super) txn: Arc<Txn>,
    pub(super) what: Writing,
}

/// What is written.
#[derive(Clone, Debug)]
pub(super) enum Writing {
    /// Nothing: whether the guard holds.
    Begin,
    Create(RunId),
    Append(RunId, u64),
    Put,
    /// Something that is kept: the next one waits for it.
    Keep,
    Answer,
    /// That a site is fenced, for a step of a run.
    Fence(Box<super::fence::Proving>),
}

/// The leader of one term.
#[derive(Debug)]
pub(super) struct Leading {
    pub(super) term: Term,
    pub(super) controller: Controller,
    /// The revisions of the heads of live runs.
    heads: BTreeMap<RunId, Revision>,
    asked: BTreeSet<u64>,
    answering: u32,
    handing_over: Option<&'static str>,
    /// What is to be kept, in order; the first is being written.
    keeping: VecDeque<Vec<Op>>,
    /// When the last confirmed read was sent.
    pub(super) confirmed: Option<Mono>,
    /// When it was last looked whether playbooks could run.
    looked: Option<Mono>,
}

impl Leading {
    pub(super) fn new(member: MemberId, site: SiteId, term: Term) -> Self {
        Self {
            controller: Controller::new(member, site, term.epoch),
            term,
            heads: BTreeMap::new(),
            asked: BTreeSet::new(),
            answering: 0,
            handing_over: None,
            keeping: VecDeque::new(),
            confirmed: None,
            looked: None,
        }
    }
}

/// A request's number, as the controller knows it.
fn number(request: &str) -> u64 {
    request.parse().expect("requests are numbered here")
}

impl Cluster<'_> {
    /// The term of a member, if it is still that one.
    pub(super) fn term(&mut self, member: usize, nonce: &str) -> Option<&mut Leading> {
        self.members[member].leading.as_mut().filter(|leading| leading.term.nonce == nonce)
    }

    /// Tells the controller something, and performs what it asks for.
    pub(super) fn control(&mut self, member: usize, input: Ctl) {
        let now = self.now(member);
        let Some(leading) = &mut self.members[member].leading else { return };
        let effects = leading.controller.on(input, now);
        for effect in effects {
            self.term_effect(member, effect);
        }
    }

    pub(super) fn term_tick(&mut self, member: usize, epoch: u64) {
        if self.members[member].leading.as_ref().is_none_or(|leading| leading.term.epoch.0 != epoch) {
            return;
        }
        self.control(member, Ctl::Tick);
        self.look(member);
        self.wake_after(member, TICK, Wake::TermTick(epoch));
    }

    pub(super) fn say(&mut self, member: usize, word: Word) {
        self.wake_after(member, Duration::ZERO, Wake::Word(word));
    }

    fn term_effect(&mut self, member: usize, effect: Effect) {
        match effect {
            Effect::Create(creation) => self.create(member, *creation),
            Effect::Append { run, events, answers, ending } => {
                self.append(member, run, events, &answers, ending);
            }
            Effect::Run(run, effect) => self.run_effect(member, run, effect),
            Effect::Require { request, plan } => self.require(member, request, &plan),
            Effect::Answer { request, answer } => {
                if let Some(leading) = &mut self.members[member].leading {
                    leading.answering += 1;
                }
                let ops = answer_ops(&request, answer);
                self.write(member, ops, Vec::new(), Vec::new(), Writing::Answer);
            }
            Effect::Refused(refused) => {
                self.judge.refused(&refused);
                let put = Op::Put(Key::Refused(refused.site), Value::Mark);
                self.write(member, vec![put], Vec::new(), Vec::new(), Writing::Put);
            }
            Effect::Holds(holds) => {
                let put = Op::Put(Key::Holds, Value::Holds(Arc::new(holds)));
                self.write(member, vec![put], Vec::new(), Vec::new(), Writing::Put);
            }
            Effect::Readiness(known) => {
                let put = Op::Put(Key::Readiness, Value::Readiness(Arc::new(known)));
                self.write(member, vec![put], Vec::new(), Vec::new(), Writing::Put);
            }
            Effect::Unfence { site, request } => {
                let place = self.case.targets.site(&site).expect("a site of the fleet");
                let mut ops = vec![Op::Delete(Key::Fenced(place))];
                ops.extend(answer_ops(&request, Ok(None)));
                self.write(member, ops, Vec::new(), Vec::new(), Writing::Put);
            }
            Effect::Keep { keep, request } => self.keep(member, keep, request.as_deref()),
            Effect::HandOver { why } => match &mut self.members[member].leading {
                Some(leading) if leading.answering > 0 => leading.handing_over = Some(why),
                _ => self.say(member, Word::StepDown(why)),
            },
        }
    }

    /// Sends a guarded write.
    pub(super) fn write(
        &mut self,
        member: usize,
        then: Vec<Op>,
        when: Vec<Compare>,
        look: Vec<Key>,
        what: Writing,
    ) {
        let Some(leading) = &self.members[member].leading else { return };
        let mut txn = guard(&leading.term);
        txn.when.extend(when);
        txn.then = then;
        txn.look.push(Key::Leader);
        txn.look.extend(look);
        let nonce = leading.term.nonce.clone();
        self.send(member, Write { nonce, txn: Arc::new(txn), what });
    }

    pub(super) fn send(&mut self, member: usize, write: Write) {
        if self.term(member, &write.nonce).is_some() {
            let request = Request::Txn(write.txn.clone());
            self.call(member, None, request, Then::Written(Box::new(write)));
        }
    }

    pub(super) fn written(&mut self, member: usize, write: Write, come: Result<Reply, Trouble>) {
        let Some(leading) = self.term(member, &write.nonce) else { return };
        let ours = |done: &Done| {
            let leader = done.seen.first().and_then(Option::as_ref);
            leader.is_some_and(|kv| {
                let nonce =
                    matches!(&kv.value, Value::Leader { nonce, .. } if **nonce == *leading.term.nonce);
                nonce && kv.created == leading.term.key_revision
            })
        };
        match come {
            Ok(Reply::Done(done)) if done.held => self.settled(member, write.what, done.revision),
            Ok(Reply::Done(done)) if ours(&done) => self.compared(member, write, done),
            Ok(_) => self.say(member, Word::GuardLost),
            Err(Trouble::Ambiguous | Trouble::Unavailable) => {
                self.wake_after(member, AGAIN, Wake::Again(Box::new(write)));
            }
            Err(Trouble::NoSpace | Trouble::NoLease) => {
                self.say(member, Word::StepDown("a write cannot be made"));
            }
        }
    }

    /// A guarded write is made.
    fn settled(&mut self, member: usize, what: Writing, revision: Revision) {
        let Some(leading) = &mut self.members[member].leading else { return };
        match what {
            Writing::Begin => self.read_locks(member),
            Writing::Create(run) => {
                leading.heads.insert(run, revision);
                self.control(member, Ctl::Created);
            }
            Writing::Append(run, _) => {
                leading.heads.insert(run.clone(), revision);
                self.control(member, Ctl::Run(run, engine::Input::Appended));
            }
            Writing::Put => {}
            Writing::Keep => {
                leading.keeping.pop_front();
                self.keep_next(member);
            }
            Writing::Answer => {
                leading.answering -= 1;
                if let Some(why) = leading.handing_over.filter(|_| leading.answering == 0) {
                    self.say(member, Word::StepDown(why));
                }
            }
            Writing::Fence(proving) => self.fence_written(member, *proving, true),
        }
    }

    /// The guard holds, another condition does not: our own unclear write, or what it says.
    fn compared(&mut self, member: usize, write: Write, done: Done) {
        let head = done.seen.get(1).and_then(Option::as_ref);
        let own = |sequence: u64| {
            let kv = head?;
            let Value::Head(head) = &kv.value else { return None };
            (*head.nonce == *write.nonce && head.sequence == sequence).then_some(kv.modified)
        };
        match write.what {
            Writing::Create(run) => match own(1) {
                Some(revision) => self.settled(member, Writing::Create(run), revision),
                None => {
                    let holder = done.seen.iter().skip(2).flatten().find_map(|kv| match &kv.value {
                        Value::Lock(run) => Some(run.clone()),
                        _ => None,
                    });
                    self.control(member, Ctl::NotCreated { holder });
                }
            },
            Writing::Append(run, sequence) => match own(sequence) {
                Some(revision) => self.settled(member, Writing::Append(run, sequence), revision),
                None => self.say(member, Word::GuardLost),
            },
            Writing::Fence(proving) => self.fence_written(member, *proving, false),
            Writing::Begin | Writing::Put | Writing::Keep | Writing::Answer => {
                self.say(member, Word::GuardLost)
            }
        }
    }

    /// Keeps something, after what was to be kept before.
    fn keep(&mut self, member: usize, keep: Keep, request: Option<&str>) {
        let Some(leading) = &mut self.members[member].leading else { return };
        let mut ops = request.map(|request| answer_ops(request, Ok(None))).unwrap_or_default();
        ops.push(Op::Put(Key::Kept(Part::of(&keep)), Value::Kept(Arc::new(keep))));
        leading.keeping.push_back(ops);
        if leading.keeping.len() == 1 {
            self.keep_next(member);
        }
    }

    fn keep_next(&mut self, member: usize) {
        let Some(leading) = &self.members[member].leading else { return };
        if let Some(ops) = leading.keeping.front().cloned() {
            self.write(member, ops, Vec::new(), Vec::new(), Writing::Keep);
        }
    }

    fn create(&mut self, member: usize, creation: Creation) {
        let Some(leading) = &self.members[member].leading else { return };
        let age = leading.confirmed.map(|sent| self.now(member).mono.since(sent));
        let validity = self.timing(member).validity.0;
        self.judge.wants(&creation, leading.term.epoch, (age, validity), self.clock.elapsed());
        let Creation { run, plan, created, locks, request } = creation;
        let head = Head { plan, nonce: leading.term.nonce.as_str().into(), sequence: 1 };
        let key = Key::Head(run.clone());
        let mut when = vec![Compare::Absent(key.clone())];
        let mut then = vec![
            Op::Put(key.clone(), Value::Head(head)),
            Op::Put(Key::Entry(run.clone(), 1), Value::Entry(Arc::new(created))),
        ];
        let mut look = vec![key];
        for lock in locks {
            when.push(Compare::Absent(Key::Lock(lock.clone())));
            then.push(Op::Put(Key::Lock(lock.clone()), Value::Lock(run.clone())));
            look.push(Key::Lock(lock));
        }
        if let Some(request) = request {
            let subject = Subject { run: run.clone(), sequence: 1, existed: false };
            then.extend(answer_ops(&request, Ok(Some(subject))));
        }
        self.write(member, then, when, look, Writing::Create(run));
    }

    fn append(
        &mut self,
        member: usize,
        run: RunId,
        events: Vec<Event>,
        answers: &[String],
        ending: Option<Ending>,
    ) {
        let Some(leading) = &mut self.members[member].leading else { return };
        let (Some(revision), Some(live)) = (leading.heads.remove(&run), leading.controller.run(&run)) else {
            return self.say(member, Word::GuardLost);
        };
        let sequence = events.last().map_or(0, |event| event.sequence);
        let head = Head { plan: live.plan.clone(), nonce: leading.term.nonce.as_str().into(), sequence };
        let key = Key::Head(run.clone());
        let mut then = vec![Op::Put(key.clone(), Value::Head(head))];
        for event in events {
            then.push(Op::Put(Key::Entry(run.clone(), event.sequence), Value::Entry(Arc::new(event))));
        }
        for request in answers {
            let subject = Subject { run: run.clone(), sequence, existed: false };
            then.extend(answer_ops(request, Ok(Some(subject))));
        }
        if let Some(Ending { locks, holds }) = ending {
            then.extend(locks.into_iter().map(|lock| Op::Delete(Key::Lock(lock))));
            then.push(Op::Put(Key::Holds, Value::Holds(Arc::new(holds))));
        }
        let when = vec![Compare::Modified(key.clone(), revision)];
        self.write(member, then, when, vec![key], Writing::Append(run, sequence));
    }
}

fn answer_ops(request: &str, answer: Answered) -> Vec<Op> {
    let request = number(request);
    vec![Op::Put(Key::Answer(request), Value::Answer(Arc::new(answer))), Op::Delete(Key::Ask(request))]
}
