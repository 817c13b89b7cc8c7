//! Performs the effects of leadership: campaigns, beats, begins and ends terms.
//!
//! Everything that takes time runs beside this loop and reports back to it, so that its ticks
//! stay on time: they are what ends a term that the store no longer confirms.

use crate::clock;
use crate::guarded::Guarded;
use crate::metrics::Metrics;
use crate::records::{self, JUDGEMENT, LEADER, Leader, MEMBERS, OBSERVATIONS, SITES};
use crate::site_lease::SiteLeases;
use crate::store::{LeaseId, Op, OpResult, Range, RangeReply, Store, StoreError};
use crate::term::retention::Retention;
use crate::term::{self, Validity};
use crate::trouble::Trouble;
use crate::watermark::Watermark;
use standfast_core::bundle::Bundle;
use standfast_core::controller::Judgement;
use standfast_core::ids::{Epoch, MemberId, SiteId};
use standfast_core::leadership::{Beat, Campaign, Effect, Input, Leadership, Term};
use standfast_core::time::Mono;
use standfast_core::timing::Timing;
use standfast_core::verdict::Snapshot;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

mod epoch;

pub use epoch::stored_epoch;
use epoch::{campaign, keep};

/// How often the machine is given the time.
pub const TICK: Duration = Duration::from_millis(100);

/// Who this member is.
#[derive(Clone, Debug)]
pub struct Me {
    /// Its name.
    pub id: MemberId,
    /// Its site.
    pub site: SiteId,
    /// Unique to this process.
    pub boot_id: String,
    /// Where its gRPC interface is reached.
    pub address: String,
}

/// What a term tells the leadership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// A guarded write lost its compare.
    GuardLost,
    /// Hand over, and why.
    StepDown(&'static str),
}

/// What the leadership needs.
pub struct Deps {
    /// Who this member is.
    pub me: Me,
    /// The store.
    pub store: Arc<dyn Store>,
    /// The current bundle.
    pub bundle: watch::Receiver<Option<Arc<Bundle>>>,
    /// What conditions and actions need.
    pub env: crate::condition::Env,
    /// Where figures go.
    pub metrics: Metrics,
    /// Whether this member sees the destinations of `on_loss` well.
    pub reaches: watch::Receiver<bool>,
    /// Whether this member leads, for readiness and logs.
    pub leads: watch::Sender<bool>,
    /// How long effects under way may take to end when the daemon is asked to.
    pub drain: Duration,
    /// How long runs that have ended are kept.
    pub retention: Retention,
    /// The site leases, as this member has a hand in them.
    pub leases: SiteLeases,
    /// The highest epoch that this member has seen.
    pub watermark: Watermark,
}

/// A report of an effect.
enum Report {
    Machine(Input),
    Won(Campaign, Leader),
    Beaten { nonce: String, input: Input, snapshot: Option<Snapshot> },
}

/// The term that runs.
struct Running {
    inputs: mpsc::UnboundedSender<term::Input>,
    judgement: watch::Receiver<Judgement>,
    guarded: Guarded,
    stop: CancellationToken,
    kill: CancellationToken,
}

struct Lead {
    deps: Deps,
    machine: Leadership,
    timing: Timing,
    validity: Validity,
    leash: watch::Sender<Duration>,
    reports: mpsc::UnboundedSender<Report>,
    words: mpsc::UnboundedSender<Word>,
    leader: Option<Leader>,
    running: Option<Running>,
    killing: Vec<CancellationToken>,
    unconfirmed: Arc<Trouble>,
    unread: Arc<Trouble>,
    regressed: Arc<Trouble>,
    unkept: Arc<Trouble>,
}

/// Leads when it may, until `shutdown`; then drains, hands over and returns.
pub async fn run(deps: Deps, shutdown: CancellationToken) {
    let (reports, mut reported) = mpsc::unbounded_channel();
    let (words, mut heard) = mpsc::unbounded_channel();
    let timing = timing_of(&deps.bundle);
    let mut bundle = deps.bundle.clone();
    let machine = Leadership::new(timing, deps.me.boot_id.clone());
    let mut hints = deps.store.watch(LEADER, 0).await;
    let mut hints_end = false;
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut lead = Lead {
        deps,
        machine,
        timing,
        validity: Validity::default(),
        leash: watch::Sender::new(Duration::ZERO),
        reports,
        words,
        leader: None,
        running: None,
        killing: Vec::new(),
        unconfirmed: Arc::new(Trouble::new("a beat was not confirmed")),
        unread: Arc::new(Trouble::new("a record is left out")),
        regressed: Arc::new(Trouble::new("this member does not lead")),
        unkept: Arc::new(Trouble::new("the highest epoch is not kept on disk")),
    };
    let mut drained: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(std::future::pending());
    let mut draining = false;
    loop {
        tokio::select! {
            // Before there is a bundle there is nothing to lead, and no telling for how long.
            _ = ticks.tick(), if bundle.borrow().is_some() => lead.give(Input::Tick),
            Some(report) = reported.recv() => lead.reported(report),
            Some(word) = heard.recv() => lead.give(match word {
                Word::GuardLost => Input::GuardLost,
                Word::StepDown(why) => Input::StepDown(why),
            }),
            Ok(()) = bundle.changed() => {
                lead.timing = timing_of(&bundle);
                lead.retime();
                let current = bundle.borrow_and_update().clone();
                if let (Some(running), Some(current)) = (&lead.running, current) {
                    let _ = running.inputs.send(term::Input::Bundle(current));
                }
            }
            batch = hints.next(), if !hints_end => match batch {
                // Only a hint: the state comes from a read.
                Ok(_) => lead.read_leader(),
                Err(end) => {
                    tracing::debug!(?end, "the watch on the leader key ended; reads go on");
                    hints_end = true;
                }
            },
            // Beats go on meanwhile: what still acts does so under a lease that holds.
            () = shutdown.cancelled(), if !draining => {
                draining = true;
                drained = lead.drain();
            }
            () = &mut drained => break,
        }
        if hints_end {
            hints = lead.deps.store.watch(LEADER, 0).await;
            hints_end = false;
        }
    }
    lead.end().await;
}

fn timing_of(bundle: &watch::Receiver<Option<Arc<Bundle>>>) -> Timing {
    bundle.borrow().as_ref().map_or_else(Timing::default, |bundle| bundle.fleet.timing)
}

impl Lead {
    fn give(&mut self, input: Input) {
        let effects = self.machine.on(input, clock::now());
        let valid_until = self.machine.valid_until();
        self.validity.set(valid_until);
        if let Some(until) = valid_until {
            let kill_at = until - self.timing.validity.0 + self.timing.kill.0;
            self.leash.send_replace(kill_at.since(Mono::default()));
        }
        for effect in effects {
            self.perform(effect);
        }
    }

    fn retime(&mut self) {
        for effect in self.machine.retime(self.timing, clock::now()) {
            self.perform(effect);
        }
    }

    fn reported(&mut self, report: Report) {
        match report {
            Report::Machine(input) => self.give(input),
            Report::Won(campaign, leader) => {
                self.leader = Some(leader);
                self.give(Input::Campaigned(campaign));
            }
            Report::Beaten { nonce, input, snapshot } => {
                // A late answer to an earlier term says nothing of this one.
                if self.running.as_ref().is_none_or(|running| running.guarded.nonce() != nonce) {
                    return;
                }
                if let (Some(running), Some(snapshot), Input::Beaten { sent, .. }) =
                    (&self.running, snapshot, &input)
                {
                    let _ = running.inputs.send(term::Input::Snapshot { snapshot, sent: *sent });
                }
                self.give(input);
            }
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::ReadLeader => self.read_leader(),
            Effect::Grant => self.grant(),
            Effect::Campaign { lease, nonce } => self.campaign(lease, nonce),
            Effect::Beat(term) => self.beat(&term),
            Effect::Revoke(lease) => {
                let store = self.deps.store.clone();
                tokio::spawn(async move { revoke(&*store, lease).await });
            }
            Effect::Lead(term) => self.lead(&term),
            Effect::Stop { why } => {
                tracing::warn!(why, "this member leads no more");
                self.stop();
            }
            Effect::KillChildren => {
                for kill in self.killing.drain(..) {
                    kill.cancel();
                }
            }
        }
    }

    /// Runs `work` beside the loop; its report comes back to it.
    fn beside(&self, work: impl Future<Output = Report> + Send + 'static) {
        let reports = self.reports.clone();
        tokio::spawn(async move {
            let _ = reports.send(work.await);
        });
    }

    fn read_leader(&self) {
        let store = self.deps.store.clone();
        let (reports, reaches) = (self.reports.clone(), *self.deps.reaches.borrow());
        let (watermark, unkept) = (self.deps.watermark.clone(), self.unkept.clone());
        tokio::spawn(async move {
            // No answer is no news: the machine asks again.
            if let Ok(reply) = store.range(Range::key(LEADER)).await {
                if let Some(leader) = reply.kvs.first().and_then(|kv| records::decode::<Leader>(kv).ok()) {
                    keep(&watermark, leader.epoch, &unkept);
                }
                let _ =
                    reports.send(Report::Machine(Input::LeaderKey { held: !reply.kvs.is_empty(), reaches }));
            }
        });
    }

    fn grant(&self) {
        let (store, ttl) = (self.deps.store.clone(), self.timing.ttl.0);
        self.beside(async move {
            let lease = store.lease_grant(ttl).await;
            if let Err(error) = &lease {
                tracing::debug!(%error, "no lease to campaign with");
            }
            Report::Machine(Input::Granted(lease.ok().map(|lease| lease.0)))
        });
    }

    fn campaign(&self, lease: u64, nonce: String) {
        let (store, me) = (self.deps.store.clone(), self.deps.me.clone());
        let (watermark, regressed) = (self.deps.watermark.clone(), self.regressed.clone());
        let unkept = self.unkept.clone();
        self.beside(async move {
            let sent = clock::now().mono;
            let (member, site, address) = (me.id, me.site, me.address);
            let since_ms = clock::wall_ms();
            let mut leader = Leader { member, site, epoch: Epoch(0), nonce, address, since_ms };
            let outcome = campaign(&*store, &mut leader, lease, &watermark).await;
            match watermark.regressed() {
                Some(why) => regressed.met(why),
                None => regressed.over(),
            }
            let campaign = match outcome {
                Ok(Some(key_revision)) => {
                    keep(&watermark, leader.epoch, &unkept);
                    Campaign::Won { key_revision, epoch: leader.epoch, sent }
                }
                Ok(None) => Campaign::Lost,
                Err(error) if error.is_ambiguous() => Campaign::Ambiguous,
                Err(_) => Campaign::Lost,
            };
            Report::Won(campaign, leader)
        });
    }

    fn beat(&self, term: &Term) {
        let Some(running) = &self.running else { return };
        let (store, metrics, limit) =
            (self.deps.store.clone(), self.deps.metrics.clone(), self.timing.renew.0);
        let (guarded, lease) = (running.guarded.clone(), LeaseId(term.lease));
        let judgement = records::encode(&*running.judgement.borrow());
        let (unconfirmed, unread) = (self.unconfirmed.clone(), self.unread.clone());
        self.beside(async move {
            let sent = clock::now().mono;
            let txn = guarded
                .txn()
                .then(Op::put(JUDGEMENT, judgement))
                .then(Op::Range(Range::prefix(MEMBERS)))
                .then(Op::Range(Range::prefix(OBSERVATIONS)))
                .then(Op::Range(Range::prefix(SITES)));
            let (kept, written) = tokio::join!(
                tokio::time::timeout(limit, store.lease_keep(lease)),
                tokio::time::timeout(limit, store.txn(txn)),
            );
            metrics.stored("beat", clock::now().mono.since(sent));
            let lost_lease = matches!(&kept, Ok(Err(StoreError::LeaseExpired { .. })));
            let lost_key = matches!(&written, Ok(Ok(reply)) if !reply.succeeded);
            let (outcome, snapshot) = match (kept, written) {
                _ if lost_lease || lost_key => (Beat::Lost, None),
                (Ok(Ok(_)), Ok(Ok(reply))) => {
                    unconfirmed.over();
                    (Beat::Held, snapshot(&reply.results, &unread))
                }
                (kept, written) => {
                    match (kept, written) {
                        (Ok(Err(error)), _) | (_, Ok(Err(error))) => {
                            metrics.store_failed("beat", "unavailable");
                            unconfirmed.met(error);
                        }
                        _ => {
                            metrics.store_failed("beat", "timeout");
                            unconfirmed.met("no answer in time");
                        }
                    }
                    (Beat::Unanswered, None)
                }
            };
            let nonce = guarded.nonce().to_owned();
            Report::Beaten { nonce, input: Input::Beaten { sent, outcome }, snapshot }
        });
    }

    fn lead(&mut self, term: &Term) {
        let Some(leader) = self.leader.take() else { return };
        tracing::info!(epoch = term.epoch.0, "this member leads");
        let (inputs, received) = mpsc::unbounded_channel();
        let (judged, judgement) = watch::channel(Judgement::default());
        let (stop, kill) = (CancellationToken::new(), CancellationToken::new());
        let guarded = Guarded::new(self.deps.store.clone(), term, &leader, stop.clone());
        self.running = Some(Running {
            inputs: inputs.clone(),
            judgement,
            guarded: guarded.clone(),
            stop: stop.clone(),
            kill: kill.clone(),
        });
        let deps = term::Deps {
            me: self.deps.me.clone(),
            epoch: term.epoch,
            lease: term.lease,
            guarded,
            env: self.deps.env.clone(),
            metrics: self.deps.metrics.clone(),
            validity: self.validity.clone(),
            leash: self.leash.subscribe(),
            words: self.words.clone(),
            judged,
            retention: self.deps.retention,
            leases: self.deps.leases.clone(),
            bundle: self.deps.bundle.clone(),
            stop,
            kill,
        };
        let (words, stopped) = (self.words.clone(), deps.stop.clone());
        let running = tokio::spawn(term::run(deps, inputs, received));
        tokio::spawn(async move {
            // A leader whose term has died would hold the lead and do nothing with it.
            if running.await.is_err() && !stopped.is_cancelled() {
                tracing::error!("the term ended by itself; handing over");
                let _ = words.send(Word::StepDown("its term ended by itself"));
            }
        });
        self.deps.metrics.set_leader(true);
        self.deps.metrics.set_epoch(term.epoch.0);
        self.deps.leads.send_replace(true);
    }

    fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop.cancel();
            self.killing.push(running.kill);
        }
        self.deps.metrics.set_leader(false);
        self.deps.leads.send_replace(false);
    }

    /// Lets what acts end; over at once when this member does not lead.
    fn drain(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let (done, idle) = tokio::sync::oneshot::channel();
        if let Some(running) = &self.running {
            let _ = running.inputs.send(term::Input::Drain(done));
        }
        let within = self.deps.drain;
        Box::pin(async move {
            if tokio::time::timeout(within, idle).await.is_err() {
                tracing::warn!("what acts did not end in time; the next leader will look at it");
            }
        })
    }

    /// Gives the lease back, so that another takes over at once.
    async fn end(mut self) {
        let effects = self.machine.on(Input::Shutdown, clock::now());
        self.validity.set(None);
        for effect in effects {
            match effect {
                Effect::Revoke(lease) => revoke(&*self.deps.store, lease).await,
                other => self.perform(other),
            }
        }
    }
}

async fn revoke(store: &dyn Store, lease: u64) {
    if let Err(error) = store.lease_revoke(LeaseId(lease)).await {
        tracing::debug!(%error, "a lease was not given back; it will expire");
    }
}

/// What the beat's transaction read.
fn snapshot(results: &[OpResult], unread: &Trouble) -> Option<Snapshot> {
    let [_, OpResult::Range(members), OpResult::Range(observations), OpResult::Range(sites)] = results else {
        return None;
    };
    // Without them no lease is known to have ended, and nothing is proven by one.
    let leases = records::leases(&sites.kvs).inspect_err(|error| unread.met(error));
    fn read<T: serde::de::DeserializeOwned>(range: &RangeReply, unread: &Trouble) -> Vec<T> {
        let decoded = range.kvs.iter().map(records::decode::<T>);
        decoded.filter_map(|record| record.inspect_err(|error| unread.met(error)).ok()).collect()
    }
    let members: Vec<records::Member> = read(members, unread);
    Some(Snapshot {
        observations: read(observations, unread),
        members: members.into_iter().map(|member| (member.id, member.site)).collect(),
        leases: leases.unwrap_or_default(),
    })
}
