//! What a leader does: judges the sites, decides, and drives the runs.
//!
//! One controller lives as long as one term. Requests of people, the automation and the runs
//! all pass through it, so that every decision has one place, one order and one reason.

use crate::bind::bind;
use crate::bundle::Bundle;
use crate::engine::{self, Command, Engine, Refusal};
use crate::guard::{self, Facts, Guard, Ruling};
use crate::ids::{Digest, Epoch, Identity, MemberId, RunId, SiteId};
use crate::journal::{Body, End, Event, Override, Trigger, VERSION};
use crate::plan::{Mode, Plan, Request};
use crate::rules::{Automation, Rules};
use crate::run::{Run, State};
use crate::time::{Mono, Now, Span};
use crate::verdict::{Court, Finding, Snapshot, Verdict};
use crate::vote::Vote;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

mod start;

pub use engine::command::{About, RefusalKind};

/// The largest request that is taken, in bytes.
const MAX_ASK_BYTES: usize = 64 * 1024;
/// After a run that was not created, until the automation tries again.
const AGAIN: Duration = Duration::from_secs(10);

/// What a person may ask of the leader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Ask {
    /// Start a run. Bypasses detection and hold-down, never a lock.
    Start {
        /// What is to be run.
        request: Request,
        /// Why.
        reason: String,
        /// What the person takes upon themselves, by name.
        overrides: Vec<Override>,
        /// The plan that the person has seen, if they insist on it.
        plan: Option<Digest>,
    },
    /// Something for a run.
    Run {
        /// Which.
        run: RunId,
        /// What.
        command: Command,
    },
    /// End the hold-down of a site.
    Acknowledge {
        /// Which.
        site: SiteId,
        /// Why.
        reason: String,
    },
    /// Hand the leadership over.
    StepDown {
        /// Why.
        reason: String,
    },
}

/// What is reported to the controller.
#[derive(Clone, Debug)]
pub enum Input {
    /// The state found in the store at the begin of the term.
    Loaded {
        /// Runs that have not ended.
        runs: Vec<Run>,
        /// Hold-downs and what is left of them.
        holds: BTreeMap<SiteId, Span>,
    },
    /// The current bundle.
    Bundle(Arc<Bundle>),
    /// A confirmed read.
    Snapshot {
        /// What was read.
        snapshot: Snapshot,
        /// When it was asked for, on our clock.
        sent: Mono,
    },
    /// Time passes.
    Tick,
    /// A person asks.
    Asked {
        /// Answered exactly once.
        request: String,
        /// The name in the certificate.
        by: Identity,
        /// What.
        ask: Ask,
    },
    /// The run of `Create` is durable.
    Created,
    /// It is not: a lock was taken.
    NotCreated {
        /// By which run, if that is known.
        holder: Option<RunId>,
    },
    /// The store will never take it: too large, say.
    Impossible {
        /// What it said.
        why: String,
    },
    /// Something for a run.
    Run(RunId, engine::Input),
}

/// What the daemon has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Make a run durable, all or nothing: its plan, its first entry, its locks.
    Create(Box<Creation>),
    /// Make entries of a run durable.
    Append {
        /// Which run.
        run: RunId,
        /// The entries.
        events: Vec<Event>,
        /// Requests that are thereby done.
        answers: Vec<String>,
        /// What is released with the last entry.
        ending: Option<Ending>,
    },
    /// An effect of a run that is not an append.
    Run(RunId, engine::Effect),
    /// Answer a request.
    Answer {
        /// Which.
        request: String,
        /// The run it concerns, or why not.
        answer: Result<Option<RunId>, Refusal>,
    },
    /// Store that a failover was refused.
    Refused(Box<Refused>),
    /// Store what is left of every hold-down.
    Holds(BTreeMap<SiteId, Span>),
    /// Give the leadership up.
    HandOver,
}

/// A run to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Creation {
    /// Its name.
    pub run: RunId,
    /// What it executes.
    pub plan: Arc<Plan>,
    /// Its first entry.
    pub created: Event,
    /// What it locks: `site/NAME` and `service/NAME`.
    pub locks: Vec<String>,
    /// The request that asked for it.
    pub request: Option<String>,
}

/// What goes with the last entry of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Locks to be released.
    pub locks: Vec<String>,
    /// What is left of every hold-down then, those that begin included.
    pub holds: BTreeMap<SiteId, Span>,
}

/// A failover that was not begun, with everything that was known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The site.
    pub site: SiteId,
    /// Unix time in milliseconds.
    pub wall_ms: i64,
    /// The guard that refused.
    pub guard: Guard,
    /// Its words.
    pub reason: String,
    /// The evidence.
    pub finding: Finding,
}

/// What the leader thinks of a site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// The verdict with its evidence.
    pub finding: Finding,
    /// What every guard says of a failover from here now; empty if `on_loss` is silent.
    pub rulings: Vec<Ruling>,
}

/// What the leader thinks, published with every beat.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// Under which term.
    pub epoch: Epoch,
    /// By whom.
    pub member: MemberId,
    /// Unix time in milliseconds.
    pub wall_ms: i64,
    /// By site, in order.
    pub sites: Vec<Judged>,
    /// What is left of the hold-downs.
    pub holds: BTreeMap<SiteId, Span>,
}

/// The leader of one term.
#[derive(Debug)]
pub struct Controller {
    me: MemberId,
    site: SiteId,
    epoch: Epoch,
    bundle: Option<(Arc<Bundle>, Rules)>,
    court: Court,
    engines: BTreeMap<RunId, Engine>,
    holds: BTreeMap<SiteId, Mono>,
    holds_stored: Mono,
    loaded: bool,
    creating: Option<Creation>,
    /// When a run may be begun again after one was not taken.
    create_after: Mono,
    asks: VecDeque<(String, Identity, Ask)>,
    refused: BTreeMap<SiteId, Guard>,
    withdrawn: BTreeSet<RunId>,
    runs_begun: u64,
    judgement: Judgement,
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
            holds: BTreeMap::new(),
            holds_stored: Mono::default(),
            loaded: false,
            creating: None,
            create_after: Mono::default(),
            asks: VecDeque::new(),
            refused: BTreeMap::new(),
            withdrawn: BTreeSet::new(),
            runs_begun: 0,
        }
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

    /// One input, all that follows from it.
    pub fn on(&mut self, input: Input, now: Now) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::Loaded { runs, holds } => {
                self.loaded = true;
                self.holds = holds.into_iter().map(|(site, left)| (site, now.mono + left.0)).collect();
                self.holds_stored = now.mono;
                for run in runs {
                    let id = run.id.clone();
                    self.engines.insert(id.clone(), Engine::new(run, self.me.clone(), self.epoch, now));
                    self.drive(&id, engine::Input::Tick, now, &mut effects);
                }
            }
            Input::Bundle(bundle) => {
                let rules = bundle.rules();
                self.bundle = Some((bundle, rules));
            }
            Input::Snapshot { snapshot, sent } => {
                self.court.on_snapshot(snapshot, sent);
                self.judge(now, &mut effects);
            }
            Input::Tick => {
                let runs: Vec<RunId> = self.engines.keys().cloned().collect();
                for run in runs {
                    self.drive(&run, engine::Input::Tick, now, &mut effects);
                }
                self.judge(now, &mut effects);
                self.keep_holds(now, &mut effects);
            }
            Input::Asked { request, by, ask } => self.asks.push_back((request, by, ask)),
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
            let Some((request, by, ask)) = self.asks.pop_front() else { break };
            self.asked(request, by, ask, now, &mut effects);
        }
        effects
    }

    /// Tells whoever wanted the run; the automation notes it and leaves it for a while.
    fn not_created(&mut self, refusal: Refusal, now: Now, effects: &mut Vec<Effect>) {
        let Some(Creation { request, created, .. }) = self.creating.take() else { return };
        match (request, created.body) {
            (Some(request), _) => effects.push(Effect::Answer { request, answer: Err(refusal) }),
            (None, Body::Created { trigger: Trigger::Automatic { evidence }, .. }) => {
                self.create_after = now.mono + AGAIN;
                if self.refused.insert(evidence.site.clone(), Guard::Locks) != Some(Guard::Locks) {
                    effects.push(Effect::Refused(Box::new(Refused {
                        site: evidence.site.clone(),
                        wall_ms: now.wall_ms,
                        guard: Guard::Locks,
                        reason: refusal.message,
                        finding: *evidence,
                    })));
                }
            }
            (None, _) => {}
        }
    }

    fn asked(&mut self, request: String, by: Identity, ask: Ask, now: Now, effects: &mut Vec<Effect>) {
        // What is stored with every step of a run must not outgrow a transaction.
        let bytes = serde_json::to_vec(&ask).map_or(usize::MAX, |json| json.len());
        if bytes > MAX_ASK_BYTES {
            let message = format!("the request has {bytes} bytes, at most {MAX_ASK_BYTES} are taken");
            effects
                .push(Effect::Answer { request, answer: Err(Refusal::new(RefusalKind::Invalid, message)) });
            return;
        }
        match ask {
            Ask::Start { request: wanted, reason, overrides, plan } => {
                match self.start(&by, &wanted, reason, overrides, plan.as_ref()) {
                    Ok(start::Start::Again(run)) => {
                        effects.push(Effect::Answer { request, answer: Ok(Some(run)) })
                    }
                    Ok(start::Start::New(plan, trigger)) => {
                        self.create(plan, trigger, false, Some(request), now, effects);
                    }
                    Err(refusal) => effects.push(Effect::Answer { request, answer: Err(refusal) }),
                }
            }
            Ask::Run { run, command } if self.engines.contains_key(&run) => {
                let roles = self.roles(&by);
                self.drive(&run, engine::Input::Command { request, by, roles, command }, now, effects);
            }
            Ask::Run { run, .. } => {
                let message = format!("run {run} is not live; see: standfast run list");
                effects.push(Effect::Answer {
                    request,
                    answer: Err(Refusal::new(RefusalKind::Precondition, message)),
                });
            }
            Ask::Acknowledge { site, .. } => {
                let answer = match self.holds.remove(&site) {
                    Some(_) => {
                        effects.push(Effect::Holds(self.left(now)));
                        Ok(None)
                    }
                    None => Err(Refusal::new(RefusalKind::Precondition, format!("{site} is not held down"))),
                };
                effects.push(Effect::Answer { request, answer });
            }
            Ask::StepDown { .. } => {
                effects.push(Effect::Answer { request, answer: Ok(None) });
                effects.push(Effect::HandOver);
            }
        }
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
                        let mut holds = self.left(now);
                        holds.extend(self.begun_holds(id, &plan, end));
                        Ending { locks: start::locks(&plan), holds }
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
            for (site, left) in self.begun_holds(id, &plan, end) {
                self.holds.insert(site, now.mono + left.0);
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
        let folded = Run::new(run.clone(), plan, &created).expect("this controller made its first entry");
        self.engines.insert(run.clone(), Engine::new(folded, self.me.clone(), self.epoch, now));
        if from_here {
            effects.push(Effect::HandOver);
        } else {
            self.drive(&run, engine::Input::Tick, now, effects);
        }
    }

    fn roles(&self, identity: &Identity) -> BTreeSet<String> {
        let Some((_, rules)) = &self.bundle else { return BTreeSet::new() };
        rules.roles.iter().filter(|(_, who)| who.contains(identity)).map(|(role, _)| role.clone()).collect()
    }

    /// Judges every site, then asks the guards, then acts, proposes or says why not.
    fn judge(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let Some((bundle, rules)) = self.bundle.clone() else { return };
        let mut sites = Vec::new();
        for finding in self.court.judge(&rules, now) {
            let rulings = match rules.on_loss(&finding.site) {
                Some(entry) => {
                    let facts = self.facts(&rules, &finding, &entry.to, now);
                    guard::ask(&facts)
                }
                None => Vec::new(),
            };
            sites.push(Judged { finding, rulings });
        }
        for Judged { finding, rulings } in &sites {
            self.withdraw(finding, now, effects);
            self.decide(&bundle, &rules, finding, rulings, now, effects);
        }
        let (epoch, member) = (self.epoch, self.me.clone());
        self.judgement = Judgement { epoch, member, wall_ms: now.wall_ms, sites, holds: self.left(now) };
    }

    fn facts<'a>(&self, rules: &'a Rules, finding: &'a Finding, to: &SiteId, now: Now) -> Facts<'a> {
        let wanted = |lock: &String| {
            let service = lock.strip_prefix("service/");
            *lock == format!("site/{}", finding.site)
                || *lock == format!("site/{to}")
                || service.is_some_and(|service| {
                    rules.services.get(&finding.site).is_some_and(|services| services.contains(service))
                })
        };
        let locked = self.engines.values().find_map(|engine| {
            let lock = start::locks(&engine.run().plan).into_iter().find(wanted)?;
            Some((engine.run().id.clone(), lock.replace('/', " ")))
        });
        let hold = [&finding.site, to]
            .into_iter()
            .filter_map(|site| Some((site.clone(), self.hold_left(site, now)?)))
            .max_by_key(|(_, left)| *left);
        let destination = self.court.destination(&finding.site, to, rules, now);
        Facts { rules, finding, age: self.court.age(now), destination, locked, hold }
    }

    fn decide(
        &mut self,
        bundle: &Bundle,
        rules: &Rules,
        finding: &Finding,
        rulings: &[Ruling],
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        let Some(entry) = rules.on_loss(&finding.site) else { return };
        if !self.loaded || self.creating.is_some() || now.mono < self.create_after {
            return;
        }
        let refusal = guard::refusing(rulings);
        // Everything but the permission to act by itself is there: propose.
        let advised = refusal.is_some_and(|ruling| {
            rules.automation != Automation::Off
                && matches!(ruling.guard, Guard::Automation | Guard::Laboratory)
        });
        match refusal {
            Some(ruling) if !advised => {
                let lost = finding.confirmed >= entry.confirm;
                // While a run of our own is under way, none of its doings is a refusal worth a record.
                let under_way = rulings
                    .iter()
                    .any(|ruling| ruling.guard == Guard::Locks && ruling.says == guard::Says::Refuses);
                let news = self.refused.get(&finding.site) != Some(&ruling.guard) && !under_way;
                if lost && news {
                    self.refused.insert(finding.site.clone(), ruling.guard);
                    effects.push(Effect::Refused(Box::new(Refused {
                        site: finding.site.clone(),
                        wall_ms: now.wall_ms,
                        guard: ruling.guard,
                        reason: ruling.reason.clone(),
                        finding: finding.clone(),
                    })));
                } else if finding.verdict == Verdict::Healthy {
                    self.refused.remove(&finding.site);
                }
            }
            _ => {
                let wanted = Request {
                    playbook: entry.playbook.clone(),
                    from: entry.site.clone(),
                    to: entry.to.clone(),
                    mode: Mode::Emergency,
                    inputs: BTreeMap::new(),
                };
                // An applied bundle has been linted; a plan that does not bind was refused then.
                let Ok(plan) = bind(bundle, &wanted) else { return };
                let trigger = Trigger::Automatic { evidence: Box::new(finding.clone()) };
                self.create(Arc::new(plan), trigger, advised, None, now, effects);
            }
        }
    }

    /// Takes a proposal back once enough sites say that its reason is gone. Silence is not
    /// enough: it is no recovery.
    fn withdraw(&mut self, finding: &Finding, now: Now, effects: &mut Vec<Effect>) {
        let maybe =
            finding.votes.iter().filter(|vote| matches!(vote.vote, Vote::Down | Vote::Abstain)).count();
        if maybe >= finding.needed {
            return;
        }
        let proposals: Vec<RunId> = self
            .engines
            .values()
            .map(Engine::run)
            .filter(|run| run.state() == State::Proposed && run.plan.request.from == finding.site)
            .filter(|run| matches!(run.trigger, Trigger::Automatic { .. }))
            .map(|run| run.id.clone())
            .collect();
        for run in proposals {
            self.withdrawn.insert(run.clone());
            let why = format!("{} is {} again", finding.site, finding.verdict);
            self.drive(&run, engine::Input::Withdrawn(why), now, effects);
        }
    }

    fn hold_left(&self, site: &SiteId, now: Now) -> Option<Span> {
        let until = self.holds.get(site)?;
        Some(Span::from(until.since(now.mono))).filter(|left| *left > Span::default())
    }

    fn left(&self, now: Now) -> BTreeMap<SiteId, Span> {
        self.holds.keys().filter_map(|site| Some((site.clone(), self.hold_left(site, now)?))).collect()
    }

    /// Stores what is left of hold-downs, so that the next leader counts on, not anew.
    fn keep_holds(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let due = now.mono.since(self.holds_stored) >= Duration::from_secs(10);
        if self.loaded && due && !self.holds.is_empty() {
            self.holds_stored = now.mono;
            let left = self.left(now);
            self.holds.retain(|site, _| left.contains_key(site));
            effects.push(Effect::Holds(left));
        }
    }
}

#[cfg(test)]
#[path = "controller_test.rs"]
mod tests;
