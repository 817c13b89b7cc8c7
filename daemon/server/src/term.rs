//! One term of leadership: feeds the controller and performs its effects.
//!
//! Nothing here decides. Whatever takes time runs beside the loop and reports back; whatever is
//! written is guarded by the term; whatever acts looks first whether the term is still valid.

use crate::clock;
use crate::condition::Env;
use crate::guarded::{Committed, Guarded, Lost};
use crate::lead::{Me, TICK, Word};
use crate::look::Looker;
use crate::metrics::Metrics;
use crate::records::{self, ASKS, Asked, HOLDS, READINESS};
use crate::runner::{Job, Runner};
use crate::site_lease::SiteLeases;
use crate::site_lease::fence::Fences;
use crate::store::{KeyValue, Op, Store, StoreError, chunked};
use futures::future::join_all;
use standfast_core::audit::Fact;
use standfast_core::bundle::Bundle;
use standfast_core::controller::RefusalKind;
use standfast_core::controller::{Ask, Controller, Effect, Input as Ctl, Judgement, Refused};
use standfast_core::engine::{self, Refusal};
use standfast_core::ids::{Epoch, Identity, RunId, SiteId};
use standfast_core::journal::Event;
use standfast_core::leadership::Lease;
use standfast_core::site_lease::Expiry;
use standfast_core::time::Mono;
use standfast_core::verdict::Snapshot;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

mod asks;
mod housekeeping;
mod load;
mod readiness;
pub mod retention;
mod show;
mod told;
mod write;

use retention::Retention;
use told::settled;
use write::{Stored, append, create};

/// Until when the store has confirmed that this member leads, readable at any time without
/// waiting for the loop that keeps it.
#[derive(Clone, Debug, Default)]
pub struct Validity(Arc<AtomicU64>);

impl Validity {
    /// Sets it; none when this member does not lead.
    pub fn set(&self, until: Option<Mono>) {
        let ms = until.map_or(0, |until| until.since(Mono::default()).as_millis() as u64);
        self.0.store(ms, Ordering::Release);
    }

    /// Whether an effect may start now.
    pub fn holds(&self) -> bool {
        clock::now().mono < Mono::from_ms(self.0.load(Ordering::Acquire))
    }
}

/// What a term needs.
pub struct Deps {
    /// Who this member is.
    pub me: Me,
    /// The fencing token.
    pub epoch: Epoch,
    /// The lease that the leader key hangs on, for the log.
    pub lease: Lease,
    /// The right to write.
    pub guarded: Guarded,
    /// What conditions and actions need.
    pub env: Env,
    /// Where figures go.
    pub metrics: Metrics,
    /// Whether effects may start.
    pub validity: Validity,
    /// When the children of actions are killed, on the boot clock.
    pub leash: watch::Receiver<Duration>,
    /// What the leadership must know.
    pub words: mpsc::UnboundedSender<Word>,
    /// Where the judgement goes, for the next beat.
    pub judged: watch::Sender<Judgement>,
    /// How long runs that have ended are kept.
    pub retention: Retention,
    /// What this member has promised to other sites.
    pub leases: SiteLeases,
    /// The current bundle.
    pub bundle: watch::Receiver<Option<Arc<Bundle>>>,
    /// Cancelled when the term ends.
    pub stop: CancellationToken,
    /// Cancelled when what acts must end.
    pub kill: CancellationToken,
}

/// What is reported to a term.
pub enum Input {
    /// The beat read this.
    Snapshot {
        /// What was read.
        snapshot: Snapshot,
        /// When it was asked for.
        sent: Mono,
    },
    /// Another bundle is current.
    Bundle(Arc<Bundle>),
    /// Start nothing more; say when nothing acts any more.
    Drain(oneshot::Sender<()>),
    /// Something for the controller, from work beside the loop.
    Control(Ctl),
    /// A run is durable.
    Created(RunId, Stored),
    /// Entries of a run are durable.
    Appended(RunId, Stored),
    /// All requests that wait, or more of them.
    Asks(Vec<KeyValue>),
    /// An effect could not be performed, because the term had run out.
    Lapsed,
    /// An act, a verification or a write is over.
    Idle,
    /// A guarded write cannot be made.
    Lost(Lost),
}

struct Run {
    deps: Deps,
    controller: Controller,
    runner: Runner,
    expiries: watch::Sender<BTreeMap<SiteId, Expiry>>,
    inputs: mpsc::UnboundedSender<Input>,
    stored: std::collections::BTreeMap<RunId, Stored>,
    /// Requests that were taken, with who asked for what until that is answered.
    asked: BTreeMap<String, Option<(Identity, Ask)>>,
    draining: Option<oneshot::Sender<()>>,
    /// Acts, verifications and writes under way.
    busy: usize,
    /// Answers that are being written.
    answering: Vec<JoinHandle<()>>,
    /// The last write of what is kept: the next one waits for it.
    keeping: Option<JoinHandle<()>>,
    /// Whether there is a run that has not ended.
    running: watch::Sender<bool>,
}

/// Leads until the term is stopped.
pub async fn run(
    deps: Deps,
    inputs: mpsc::UnboundedSender<Input>,
    mut received: mpsc::UnboundedReceiver<Input>,
) {
    let (stop, metrics) = (deps.stop.clone(), deps.metrics.clone());
    let term = async {
        let controller = Controller::new(deps.me.id.clone(), deps.me.site.clone(), deps.epoch);
        let expiries = watch::Sender::new(BTreeMap::new());
        let runner = Runner {
            fences: Fences::new(&deps, expiries.subscribe()),
            env: deps.env.clone(),
            metrics: deps.metrics.clone(),
            validity: deps.validity.clone(),
            leash: deps.leash.clone(),
            kill: deps.kill.clone(),
        };
        let mut run = Run {
            controller,
            runner,
            expiries,
            inputs,
            stored: Default::default(),
            asked: BTreeMap::new(),
            draining: None,
            busy: 0,
            answering: Vec::new(),
            keeping: None,
            running: watch::Sender::new(false),
            deps,
        };
        if let Err(lost) = run.begin().await {
            run.lost(&lost);
            return;
        }
        let store = run.deps.guarded.store().clone();
        tokio::spawn(asks::follow(store, run.inputs.clone(), run.deps.stop.clone()));
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(input) = received.recv() => run.on(input),
                _ = ticks.tick() => run.control(Ctl::Tick),
            }
        }
    };
    // Dropping the term drops all its state: nothing of it outlives the leadership.
    tokio::select! {
        () = term => {}
        () = stop.cancelled() => {}
    }
    // Nor may a figure of it be taken for the present one: another member judges now.
    metrics.forget_judgement();
}

impl Run {
    async fn begin(&mut self) -> Result<(), Lost> {
        let bundle = self.deps.bundle.borrow().clone();
        if let Some(bundle) = bundle {
            self.control(Ctl::Bundle(bundle));
        }
        let loaded = load::load(&self.deps.guarded, self.deps.me.site.clone()).await?;
        tracing::info!(
            epoch = self.deps.epoch.0,
            runs = loaded.runs.len(),
            lease = self.deps.lease,
            "the term begins"
        );
        for (run, revision) in &loaded.runs {
            self.stored.insert(run.id.clone(), Stored { run: run.clone(), revision: *revision });
        }
        let runs = loaded.runs.into_iter().map(|(run, _)| run).collect();
        self.control(Ctl::Known(loaded.readiness));
        self.control(Ctl::Loaded { runs, holds: loaded.holds, kept: loaded.kept });
        tokio::spawn(readiness::keep(readiness::Keeper {
            looker: Looker {
                me: self.deps.me.clone(),
                store: self.deps.guarded.store().clone(),
                env: self.deps.env.clone(),
                bundle: self.deps.bundle.clone(),
            },
            guarded: self.deps.guarded.clone(),
            metrics: self.deps.metrics.clone(),
            inputs: self.inputs.clone(),
            judged: self.deps.judged.subscribe(),
            running: self.running.subscribe(),
            stop: self.deps.stop.clone(),
        }));
        let (guarded, kept) = (self.deps.guarded.clone(), self.deps.retention);
        tokio::spawn(housekeeping::keep(guarded, kept, self.deps.stop.clone()));
        Ok(())
    }

    fn on_ask(&mut self, kv: &KeyValue) {
        let Some(request) = kv.key.strip_prefix(ASKS) else { return };
        if self.asked.contains_key(request) {
            return;
        }
        let (request, decoded) = (request.to_owned(), records::decode::<Asked>(kv));
        let asked = decoded.as_ref().ok().map(|asked| (asked.by.clone(), asked.ask.clone()));
        self.asked.insert(request.clone(), asked);
        match decoded {
            Ok(Asked { by, ask, .. }) => {
                if ask.is_order() {
                    tracing::warn!(%by, ?ask, "asked");
                }
                self.control(Ctl::Asked { request, by, ask });
            }
            Err(error) => {
                tracing::error!(%error, "a request is refused");
                let answer = Err(Refusal::new(RefusalKind::Invalid, error.to_string()));
                self.perform(Effect::Answer { request, answer });
            }
        }
    }

    fn on(&mut self, input: Input) {
        match input {
            Input::Snapshot { snapshot, sent } => self.control(Ctl::Snapshot { snapshot, sent }),
            Input::Bundle(bundle) => self.control(Ctl::Bundle(bundle)),
            Input::Control(input) => self.control(input),
            Input::Created(run, stored) => {
                self.stored.insert(run, stored);
                self.control(Ctl::Created);
            }
            Input::Appended(run, stored) => {
                self.stored.insert(run.clone(), stored);
                self.control(Ctl::Run(run.clone(), engine::Input::Appended));
                if self.controller.run(&run).is_none() {
                    self.stored.remove(&run);
                }
            }
            Input::Asks(asks) => asks.iter().for_each(|kv| self.on_ask(kv)),
            Input::Lost(lost) => self.lost(&lost),
            Input::Lapsed => self.lost(&Lost::Guard),
            Input::Idle => {
                self.busy -= 1;
                self.drained();
            }
            Input::Drain(done) => {
                self.draining = Some(done);
                self.drained();
            }
        }
    }

    fn drained(&mut self) {
        if self.busy == 0
            && let Some(done) = self.draining.take()
        {
            let _ = done.send(());
            // Nothing may start between here and the end of the term.
            self.deps.stop.cancel();
        }
    }

    fn lost(&self, lost: &Lost) {
        match lost {
            Lost::Stopped => {}
            Lost::Guard => {
                let _ = self.deps.words.send(Word::GuardLost);
            }
            Lost::Refused(_) | Lost::Illegal(_) => {
                tracing::error!(error = %lost, "a write of the leader cannot be made; stepping down");
                let _ = self.deps.words.send(Word::StepDown("a write of the leader cannot be made"));
            }
        }
    }

    fn control(&mut self, input: Ctl) {
        let judges = matches!(input, Ctl::Tick | Ctl::Snapshot { .. });
        for effect in self.controller.on(input, clock::now()) {
            self.perform(effect);
        }
        if judges {
            self.show();
        }
    }

    /// Runs `work` beside the loop and reports what it comes to; the term is not drained before.
    fn beside(&mut self, work: impl Future<Output = Option<Input>> + Send + 'static) -> JoinHandle<()> {
        self.busy += 1;
        let inputs = self.inputs.clone();
        tokio::spawn(async move {
            if let Some(input) = work.await {
                let _ = inputs.send(input);
            }
            let _ = inputs.send(Input::Idle);
        })
    }

    /// Writes under the guard; only a loss is reported.
    fn put(&mut self, ops: Vec<Op>) -> JoinHandle<()> {
        let guarded = self.deps.guarded.clone();
        self.beside(async move { guarded.put(ops).await.err().map(Input::Lost) })
    }

    /// Writes under the guard, and to the audit; only a loss is reported.
    fn tell(&mut self, ops: Vec<Op>, facts: Vec<Fact>) -> JoinHandle<()> {
        let guarded = self.deps.guarded.clone();
        self.beside(async move { guarded.tell(ops, facts).await.err().map(Input::Lost) })
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Create(creation) => {
                let (guarded, run) = (self.deps.guarded.clone(), creation.run.clone());
                tracing::info!(%run, plan = creation.plan.digest().short(), "creating a run");
                self.beside(async move {
                    Some(match create(&guarded, &creation).await {
                        Ok(Ok(stored)) => Input::Created(run, stored),
                        Ok(Err(holder)) => Input::Control(Ctl::NotCreated { holder }),
                        Err(Lost::Refused(
                            error @ (StoreError::TooLarge { .. } | StoreError::Invalid(_)),
                        )) => Input::Control(Ctl::Impossible { why: error.to_string() }),
                        Err(lost) => Input::Lost(lost),
                    })
                });
            }
            Effect::Append { run, events, answers, ending } => {
                log(&run, &events);
                let guarded = self.deps.guarded.clone();
                let stored = self.stored.remove(&run);
                // The end of a run writes hold-downs: what was written of them before must not come after.
                let (ends, before) = match ending {
                    Some(_) => (true, self.keeping.take()),
                    None => (false, None),
                };
                let writing = self.beside(async move {
                    settled(before).await;
                    Some(match append(&guarded, &run, stored, &events, &answers, ending).await {
                        Ok(stored) => Input::Appended(run, stored),
                        Err(lost) => Input::Lost(lost),
                    })
                });
                if ends {
                    self.keeping = Some(writing);
                }
            }
            Effect::Run(run, effect) => self.perform_run(&run, effect),
            // The next leader asks anew, and nothing waits for this one.
            Effect::Require { .. } if self.draining.is_some() => {}
            Effect::Require { request, plan } => {
                let (runner, inputs) = (self.runner.clone(), self.inputs.clone());
                tokio::spawn(async move {
                    let answers = runner.required(&plan).await;
                    let _ = inputs.send(Input::Control(Ctl::Required { request, answers }));
                });
            }
            Effect::Answer { request, answer } => {
                let (ops, facts) = self.answer(&request, answer);
                let writing = self.tell(ops, facts);
                self.answering.retain(|writing| !writing.is_finished());
                self.answering.push(writing);
            }
            Effect::Refused(refused) => {
                let Refused { site, guard, reason, .. } = &*refused;
                let guard = guard.map_or_else(|| "required".to_owned(), |guard| guard.id());
                tracing::warn!(%site, guard, reason, "a failover is refused");
                let key = format!("{}{site}/{guard}", records::REFUSALS);
                self.tell(vec![Op::put(key, records::encode(&*refused))], vec![Fact::from(&*refused)]);
            }
            Effect::Readiness(known) => {
                drop(self.put(vec![Op::put(READINESS, records::encode(&known))]));
            }
            Effect::Holds(holds) => {
                self.ordered(vec![Op::put(HOLDS, records::encode(&holds))], Vec::new());
            }
            Effect::Unfence { site, request } => {
                tracing::warn!(%site, "a fenced site may come back");
                let (mut ops, facts) = self.answer(&request, Ok(None));
                ops.push(Op::delete(records::site_fenced(&site)));
                self.tell(ops, facts);
            }
            Effect::Keep { keep, request } => self.keep(&keep, request.as_deref()),
            Effect::HandOver { why } => {
                // What is not answered yet, the next leader would be asked again: to hand over.
                let (words, answering) = (self.deps.words.clone(), std::mem::take(&mut self.answering));
                tokio::spawn(async move {
                    join_all(answering).await;
                    let _ = words.send(Word::StepDown(why));
                });
            }
        }
    }

    fn perform_run(&mut self, id: &RunId, effect: engine::Effect) {
        // What is done is still verified while the term drains; the rest is for the next leader.
        if self.draining.is_some() && !matches!(effect, engine::Effect::Verify { .. }) {
            return;
        }
        if !self.deps.validity.holds() {
            let _ = self.inputs.send(Input::Lapsed);
            return;
        }
        let Some(run) = self.controller.run(id) else { return };
        let job = Job::new(run, self.deps.epoch);
        let (runner, id) = (self.runner.clone(), id.clone());
        let awaited = matches!(
            effect,
            engine::Effect::Act { .. } | engine::Effect::Verify { .. } | engine::Effect::Undo { .. }
        );
        let work = async move {
            let come = runner.perform(&job, effect).await;
            Some(come.map_or(Input::Lapsed, |input| Input::Control(Ctl::Run(id, input))))
        };
        if awaited {
            self.beside(work);
        } else {
            let inputs = self.inputs.clone();
            tokio::spawn(async move {
                if let Some(input) = work.await {
                    let _ = inputs.send(input);
                }
            });
        }
    }
}

/// What happens in a run, as log lines.
fn log(run: &RunId, events: &[Event]) {
    for event in events {
        let step = event.step().map(ToString::to_string);
        tracing::info!(%run, sequence = event.sequence, step, "{}", event.line());
    }
}

/// What stands under `keys` of a lost compare.
fn compared(committed: Committed) -> Result<crate::store::TxnReply, Vec<crate::store::OpResult>> {
    match committed {
        Committed::Written(reply) => Ok(reply),
        Committed::Compared(seen) => Err(seen),
    }
}

/// Reads a frozen plan.
pub async fn plan(
    store: &dyn Store,
    digest: &standfast_core::ids::Digest,
) -> Result<Option<standfast_core::plan::Plan>, crate::store::StoreError> {
    let bytes = chunked::get(store, &records::plan(digest)).await?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}
