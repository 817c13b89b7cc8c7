//! What a leader does: judges the sites, decides, and drives the runs.
//!
//! One controller lives as long as one term. Requests of people, the automation and the runs
//! all pass through it, so that every decision has one place, one order and one reason.

use crate::bundle::Bundle;
use crate::check::Answer;
use crate::engine::{self, Engine, Refusal};
use crate::guard::{Guard, Removed};
use crate::ids::{Digest, Epoch, Identity, MemberId, RunId, SiteId};
use crate::journal::{Body, End, Event, Trigger, VERSION};
use crate::plan::Plan;
use crate::readiness::{Book, Ready};
use crate::rules::{OnLoss, Rules};
use crate::run::{Run, State};
use crate::site_lease::Expiry;
use crate::time::{Mono, Now, Span};
use crate::verdict::Court;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

mod decide;
mod flaps;
mod holds;
mod kept;
mod limited;
mod message;
mod moves;
mod order;
mod ordered;
mod refused;
mod start;

pub use engine::command::{About, RefusalKind, Unmet};
use flaps::Flapping;
pub use flaps::{Flaps, Locked};
use holds::Holds;
pub use kept::{Keep, Kept};
pub use message::{Ask, Creation, Effect, Ending, Input, Judged, Judgement, Refused, Subject, site_etag};
use moves::Moves;
pub use order::Order;
use order::{Lasting, Orders};

/// The largest request that is taken, in bytes.
const MAX_ASK_BYTES: usize = 64 * 1024;
/// After a run that was not created, until the automation tries again.
const AGAIN: Duration = Duration::from_secs(10);

/// What a person asks, until it is answered.
#[derive(Clone, Debug)]
struct Wish {
    request: String,
    by: Identity,
    ask: Ask,
    /// What the requirements of the run that is wanted answered, and of which plan they are.
    required: Option<(Digest, Vec<Answer>)>,
}

/// The leader of one term.
#[derive(Debug)]
pub struct Controller {
    me: MemberId,
    site: SiteId,
    epoch: Epoch,
    bundle: Option<(Arc<Bundle>, Arc<Rules>)>,
    court: Court,
    engines: BTreeMap<RunId, Engine>,
    holds: Holds,
    frozen: Lasting,
    maintained: Orders<SiteId>,
    /// The switches that are on.
    switched: BTreeMap<String, Order>,
    flaps: Flapping,
    moves: Moves,
    readiness: Book,
    loaded: bool,
    creating: Option<Creation>,
    /// When a run may be begun again after one was not taken.
    create_after: Mono,
    asks: VecDeque<Wish>,
    /// Wishes for a run, while what its playbook requires is asked: by request, with the plan.
    requiring: BTreeMap<String, (Wish, Digest)>,
    refused: BTreeMap<SiteId, Guard>,
    withdrawn: BTreeSet<RunId>,
    runs_begun: u64,
    judgement: Judgement,
    expiries: BTreeMap<SiteId, Expiry>,
    removed: Removed,
}

impl Controller {
    /// A controller for one term of `me`, which stands in `site`.
    pub fn new(me: MemberId, site: SiteId, epoch: Epoch) -> Self {
        Self {
            judgement: Judgement { epoch, member: me.clone(), ..Judgement::default() },
            me,
            site,
            epoch,
            bundle: None,
            court: Court::default(),
            engines: BTreeMap::new(),
            holds: Holds::default(),
            frozen: Lasting::default(),
            maintained: Orders::default(),
            switched: BTreeMap::new(),
            flaps: Flapping::default(),
            moves: Moves::default(),
            readiness: Book::default(),
            loaded: false,
            creating: None,
            create_after: Mono::default(),
            asks: VecDeque::new(),
            requiring: BTreeMap::new(),
            refused: BTreeMap::new(),
            withdrawn: BTreeSet::new(),
            runs_begun: 0,
            expiries: BTreeMap::new(),
            removed: Removed::default(),
        }
    }

    /// Lets a guard refuse nothing, so that a test sees what it is there for.
    #[cfg(any(test, feature = "mutants"))]
    pub fn without(&mut self, guard: Guard) {
        self.removed = Removed::the(guard);
        self.court.without(self.removed);
    }

    /// What the end of each site's lease proves, by the latest judgement.
    pub fn expiries(&self) -> &BTreeMap<SiteId, Expiry> {
        &self.expiries
    }

    /// The latest judgement.
    pub fn judgement(&self) -> &Judgement {
        &self.judgement
    }

    /// All live runs.
    pub fn runs(&self) -> impl Iterator<Item = &Run> {
        self.engines.values().map(Engine::run)
    }

    /// A live run.
    pub fn run(&self, run: &RunId) -> Option<&Run> {
        self.engines.get(run).map(Engine::run)
    }

    /// What is run when a site is lost, whether it could, and how old the look is that says so.
    pub fn ready(&self, now: Now) -> Vec<Ready> {
        let Some((bundle, rules)) = &self.bundle else { return Vec::new() };
        let ready = |entry: &OnLoss| Ready {
            site: entry.site.clone(),
            playbook: entry.playbook.clone(),
            ready: self.readiness.says(rules, entry, &bundle.digest, now).is_ok(),
            age: self.readiness.age_of(&entry.site, now),
        };
        rules.on_loss.iter().map(ready).collect()
    }

    /// When the next deadline of a run falls: until then ticks change nothing about any run.
    pub fn due(&self) -> Option<Mono> {
        self.engines.values().filter_map(Engine::due).min()
    }

    /// One input, all that follows from it.
    pub fn on(&mut self, input: Input, now: Now) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::Loaded { runs, holds, kept } => {
                self.loaded = true;
                self.keep(kept, now);
                self.holds = Holds::loaded(holds, now);
                for run in runs {
                    let id = run.id.clone();
                    self.flaps.leaves(&run.plan.request.from, &id);
                    self.note_move(&id, &run.plan, now);
                    self.engines.insert(id.clone(), Engine::new(run, self.me.clone(), self.epoch, now));
                    self.drive(&id, engine::Input::Tick, now, &mut effects);
                }
            }
            Input::Bundle(bundle) => {
                let rules = bundle.rules();
                self.bundle = Some((bundle, rules));
            }
            Input::Snapshot { snapshot, sent } => {
                self.court.on_snapshot(snapshot, sent, now);
                self.judge(now, &mut effects);
            }
            Input::Tick => {
                let runs: Vec<RunId> = self.engines.keys().cloned().collect();
                for run in runs {
                    self.drive(&run, engine::Input::Tick, now, &mut effects);
                }
                self.judge(now, &mut effects);
                if self.loaded {
                    effects.extend(self.holds.due(now).map(Effect::Holds));
                    effects.extend(self.kept_due(now));
                }
                effects.extend(self.readiness.due(now).map(Effect::Readiness));
            }
            Input::Known(known) => self.readiness = Book::loaded(known, now),
            Input::Looked(readiness) => {
                self.readiness.found(*readiness, now);
                effects.push(Effect::Readiness(self.readiness.aged(now)));
            }
            Input::Asked { request, by, ask } => {
                self.asks.push_back(Wish { request, by, ask, required: None });
            }
            Input::Required { request, answers } => {
                if let Some((wish, plan)) = self.requiring.remove(&request) {
                    self.asks.push_back(Wish { required: Some((plan, answers)), ..wish });
                }
            }
            Input::Created => self.created(now, &mut effects),
            Input::NotCreated { holder } => {
                let name = holder.as_ref().map_or_else(|| "another run".into(), |run| format!("run {run}"));
                let message = format!("{name} holds one of the sites or services; see: standfast run list");
                let refusal = Refusal::new(RefusalKind::Precondition, message);
                let about = holder.map(About::Run);
                self.not_created(Refusal { about, ..refusal }, now, &mut effects);
            }
            Input::Impossible { why } => {
                self.not_created(Refusal::new(RefusalKind::Invalid, why), now, &mut effects);
            }
            Input::Run(run, input) => self.drive(&run, input, now, &mut effects),
        }
        while self.loaded && self.creating.is_none() {
            let Some(wish) = self.asks.pop_front() else { break };
            self.asked(wish, now, &mut effects);
        }
        effects
    }

    /// Tells whoever wanted the run; the automation notes it and leaves it for a while.
    fn not_created(&mut self, refusal: Refusal, now: Now, effects: &mut Vec<Effect>) {
        let Some(Creation { request, created, plan, .. }) = self.creating.take() else { return };
        match (request, created.body) {
            (Some(request), body) => {
                if let Body::Created { trigger: Trigger::Operator { identity, .. }, .. } = &body {
                    self.note_refused(identity, &plan.request, &refusal, now, effects);
                }
                effects.push(Effect::Answer { request, answer: Err(refusal) });
            }
            (None, Body::Created { trigger: Trigger::Automatic { evidence }, .. }) => {
                self.create_after = now.mono + AGAIN;
                if self.refused.insert(evidence.site.clone(), Guard::Locks) != Some(Guard::Locks) {
                    effects.push(Effect::Refused(Box::new(Refused {
                        site: evidence.site.clone(),
                        wall_ms: now.wall_ms,
                        guard: Some(Guard::Locks),
                        reason: refusal.message,
                        finding: *evidence,
                        wanted: None,
                    })));
                }
            }
            (None, _) => {}
        }
    }

    fn asked(&mut self, wish: Wish, now: Now, effects: &mut Vec<Effect>) {
        // What is stored with every step of a run must not outgrow a transaction.
        let bytes = serde_json::to_vec(&wish.ask).map_or(usize::MAX, |json| json.len());
        if bytes > MAX_ASK_BYTES {
            let message = format!("the request has {bytes} bytes, at most {MAX_ASK_BYTES} are taken");
            let answer = Err(Refusal::new(RefusalKind::Invalid, message));
            effects.push(Effect::Answer { request: wish.request, answer });
            return;
        }
        let Wish { request, by, ask, required } = wish;
        match ask {
            Ask::Start { .. } => self.begin(Wish { request, by, ask, required }, now, effects),
            Ask::Run { run, command, .. } if self.is_alone(&by, &run, &command) => {
                effects.push(Effect::Answer { request, answer: Err(engine::command::alone()) });
            }
            Ask::Run { run, command, seen } if self.engines.contains_key(&run) => {
                let (roles, two) = (self.roles(&by), self.overrides_take_two());
                let command = engine::Input::Command { request, by, roles, two, command, seen };
                self.drive(&run, command, now, effects);
            }
            Ask::Run { run, .. } => {
                let message = format!("run {run} is not live; see: standfast run list");
                let answer = Err(Refusal::new(RefusalKind::Precondition, message));
                effects.push(Effect::Answer { request, answer });
            }
            Ask::Acknowledge { site, seen, .. } => match self.acknowledge(&site, seen.as_deref(), now) {
                Ok(()) => {
                    effects.push(Effect::Holds(self.holds.left(now)));
                    let keep = self.flaps.store(self.flaps_within(), now);
                    effects.push(Effect::Keep { keep, request: Some(request) });
                }
                Err(refusal) => effects.push(Effect::Answer { request, answer: Err(refusal) }),
            },
            Ask::Rejoin { site, .. } => {
                let fenced = self.court.leases().fenced.contains_key(&site);
                let held = self.engines.values().map(Engine::run).find(|run| run.plan.request.from == site);
                let refusal = |message| Refusal::new(RefusalKind::Precondition, message);
                effects.push(match held {
                    _ if !fenced => {
                        Effect::Answer { request, answer: Err(refusal(format!("{site} is not fenced"))) }
                    }
                    Some(run) => {
                        let message = format!("run {} leaves {site} now; let it end first", run.id);
                        let about = Some(About::Run(run.id.clone()));
                        Effect::Answer { request, answer: Err(Refusal { about, ..refusal(message) }) }
                    }
                    None => Effect::Unfence { site, request },
                });
            }
            ask @ (Ask::Freeze { .. }
            | Ask::Thaw { .. }
            | Ask::Maintain { .. }
            | Ask::Release { .. }
            | Ask::Switch { .. }) => effects.push(self.ordered(request, by, ask, now)),
            Ask::StepDown { .. } => {
                effects.push(Effect::Answer { request, answer: Ok(None) });
                effects.push(Effect::HandOver { why: "asked to step down" });
            }
        }
    }

    /// Ends the hold-down of a site, if it is as the person has `seen` it.
    fn acknowledge(&mut self, site: &SiteId, seen: Option<&str>, now: Now) -> Result<(), Refusal> {
        let lock = format!("site/{site}");
        let mut runs = self.engines.values().map(Engine::run);
        let run = runs.find(|run| start::locks(&run.plan).contains(&lock)).map(|run| &run.id);
        let held = self.holds.of(site, now).is_some() || self.flaps.left(site).is_some();
        let etag = site_etag(held, self.flaps.locks(site), run);
        if seen.is_some_and(|seen| seen != etag) {
            let message = format!("site {site} has changed since you read it; read it again");
            return Err(Refusal::new(RefusalKind::Stale, message).about(About::Site(site.clone())));
        }
        let held = self.holds.end(site);
        if self.flaps.acknowledge(site) || held {
            return Ok(());
        }
        let message = format!("{site} is neither held down nor locked");
        Err(Refusal::new(RefusalKind::Precondition, message))
    }

    /// Gives an input to a run and passes its effects on.
    fn drive(&mut self, id: &RunId, input: engine::Input, now: Now, effects: &mut Vec<Effect>) {
        let Some(engine) = self.engines.get_mut(id) else { return };
        let appended = input == engine::Input::Appended;
        let come = engine.on(input, now);
        let (plan, state) = (engine.run().plan.clone(), engine.run().state());
        for effect in come {
            match effect {
                engine::Effect::Append { events, answers } => {
                    let end = events.iter().find_map(|event| match event.body {
                        Body::Ended { end, .. } => Some(end),
                        _ => None,
                    });
                    let ending = end.map(|end| {
                        // From here on: what is stored of hold-downs after this comes after it, and what
                        // this holds must be part of it.
                        let begun = self.begun_holds(id, &plan, end);
                        self.holds.begin(begun, now);
                        Ending { locks: start::locks(&plan), holds: self.holds.left(now) }
                    });
                    effects.push(Effect::Append { run: id.clone(), events, answers, ending });
                }
                engine::Effect::Refuse { request, refusal } => {
                    effects.push(Effect::Answer { request, answer: Err(refusal) });
                }
                other => effects.push(Effect::Run(id.clone(), other)),
            }
        }
        if appended && let State::Ended(end) = state {
            self.engines.remove(id);
            let begun = self.begun_holds(id, &plan, end);
            // Counted from when the end is durable, unless a person has ended one meanwhile.
            self.holds.renew(begun, now);
            let (from, to) = (&plan.request.from, &plan.request.to);
            if end == End::Cancelled {
                self.moves.returns(id);
            }
            match end {
                End::Cancelled if self.withdrawn.remove(id) => self.flaps.returns(from),
                End::Succeeded | End::Partial => {
                    self.flaps.leaves(from, id);
                    self.flaps.returns(to);
                }
                _ => self.flaps.leaves(from, id),
            }
            self.withdrawn.remove(id);
        }
    }

    /// The hold-downs that begin with the end of a run. A withdrawn proposal leaves none: nothing
    /// has been done, nobody has said no.
    fn begun_holds(&self, id: &RunId, plan: &Plan, end: End) -> BTreeMap<SiteId, Span> {
        if end == End::Cancelled && self.withdrawn.contains(id) {
            return BTreeMap::new();
        }
        let hold = self.bundle.as_ref().map_or(Span::secs(3_600), |(_, rules)| rules.timing.hold_down);
        [&plan.request.from, &plan.request.to].map(|site| (site.clone(), hold)).into()
    }

    /// Asks for a run to be made durable.
    fn create(
        &mut self,
        plan: Arc<Plan>,
        trigger: Trigger,
        proposed: bool,
        request: Option<String>,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        self.runs_begun += 1;
        let run = RunId::new(format!("r{}-{}", self.epoch, self.runs_begun));
        let created = Event {
            version: VERSION,
            sequence: 1,
            wall_ms: now.wall_ms,
            elapsed_ms: 0,
            epoch: self.epoch,
            member: self.me.clone(),
            body: Body::Created { trigger, plan: plan.digest(), proposed },
        };
        let creation = Creation { run, locks: start::locks(&plan), plan, created, request };
        self.creating = Some(creation.clone());
        effects.push(Effect::Create(Box::new(creation)));
    }

    fn created(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let Some(Creation { run, plan, created, .. }) = self.creating.take() else { return };
        // Before its first effect: a leader in the site that is left hands over, if it can.
        let elsewhere = |site: &SiteId| *site != plan.request.from && *site != self.site;
        let from_here = plan.request.from == self.site && self.court.members().any(elsewhere);
        self.flaps.leaves(&plan.request.from, &run);
        self.note_move(&run, &plan, now);
        let folded = Run::new(run.clone(), plan, &created).expect("this controller made its first entry");
        self.engines.insert(run.clone(), Engine::new(folded, self.me.clone(), self.epoch, now));
        if from_here {
            effects.push(Effect::HandOver { why: "the run that it has begun leaves its own site" });
        } else {
            self.drive(&run, engine::Input::Tick, now, effects);
        }
    }

    fn roles(&self, identity: &Identity) -> BTreeSet<String> {
        let Some((_, rules)) = &self.bundle else { return BTreeSet::new() };
        rules.roles.iter().filter(|(_, who)| who.contains(identity)).map(|(role, _)| role.clone()).collect()
    }
}

#[cfg(test)]
#[path = "controller_test.rs"]
mod tests;
