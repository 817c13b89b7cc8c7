//! One plan, executed many times: the controller that the daemon runs, in virtual time, over a
//! model of the fleet.
//!
//! Nothing here decides. The controller gets inputs and asks for effects, as in the daemon; the
//! journal is folded by the same function. What is modelled is the rest: how long things take,
//! what goes wrong, what people do, and a world of targets. A seed is one run; the same seed is
//! the same run.
//!
//! The model, where it has to choose: writing an entry takes 2 to 10 ms, an inspection 20 to 120
//! ms; what stands in a dark place is waited for as long as the daemon would. A leader that is
//! lost is followed when its lease has run out, and what it was doing reaches its target, or
//! does not, before that. A person comes a stated time after a run has begun to wait, tries
//! everything that blocks it at most three times, and approves what the playbook asks for.

mod check;
mod expect;
mod fault;
mod history;
mod life;
mod model;
mod outcome;
mod people;
mod report;
mod sabotage;
mod service;
mod story;
mod sweep;
mod tally;

pub use check::Breach;
pub(crate) use check::Checker;
pub use expect::Basis;
pub use fault::{Faults, Loss};
pub use history::{History, Unusable};
pub use outcome::{Finish, Outcome, StepTime, Wait};
pub use report::{Broken, Bucket, Decider, Objective, Quantiles, Report, Seed, Waiting};
pub use story::{Line, Teller};
pub use sweep::Point;
pub use tally::Tally;

use crate::clock::Clock;
use crate::dice::Dice;
use crate::world::{Places, Site, Targets, World};
use fault::Fate;
use life::Life;
use model::{Asked, Model};
use sabotage::Sabotage;
use service::{Promised, Return};
use standfast_core::bind::bind;
use standfast_core::bundle::Bundle;
use standfast_core::finding::Findings;
use standfast_core::ids::{Epoch, ResourceId, RunId, SiteId};
use standfast_core::journal::{Body, Event, Trigger, VERSION};
use standfast_core::plan::{Mode, Plan, Request};
use standfast_core::run::Run;
use standfast_core::time::Span;
use std::sync::Arc;
use std::time::Duration;
use story::Story;

/// What a simulation assumes.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How often things go wrong.
    pub faults: Faults,
    /// How long it takes until a person comes; none when nobody does.
    pub people: Option<Span>,
    /// From the loss to the begin of the run; none for what the fleet's timing promises.
    pub detection: Option<Span>,
    /// What runs have shown.
    pub history: History,
}

/// Everything that is the same in every seed.
#[derive(Debug)]
pub struct Case {
    bundle: Arc<Bundle>,
    options: Options,
    /// From the loss to the begin of the run.
    detection: Duration,
    plan: Arc<Plan>,
    /// The run as it is created.
    run: Run,
    created: Event,
    targets: Targets,
    world: World,
    /// Where each data set has to take writes after a success.
    data: Vec<(ResourceId, SiteId)>,
    steps: Vec<Model>,
    require: Vec<Asked>,
    from: usize,
    to: usize,
    promises: Vec<Promised>,
    /// What the promised services wait for.
    returns: Vec<Return>,
    /// How long the run takes, and how many entries it writes, when nothing goes wrong.
    calm: (Duration, u64),
    #[cfg(test)]
    sabotage: Option<Sabotage>,
}

impl Case {
    /// Binds the playbook and makes a model of everything that it touches.
    pub fn new(bundle: Arc<Bundle>, request: &Request, options: Options) -> Result<Self, Findings> {
        let plan = Arc::new(bind(&bundle, request)?);
        let playbook = &bundle.playbooks[&plan.request.playbook];
        let mut targets = Targets::new(Places::of(&bundle.fleet), bundle.fleet.sites.keys().cloned());
        for (cluster, servers) in bundle.fleet.databases() {
            servers.keys().for_each(|site| {
                targets.database(&cluster, site);
            });
        }
        let active = model::active(&bundle, &plan.request.from);
        let data = model::data(&bundle, &plan, &active);
        let steps = model::models(playbook, &plan, &options.history, &mut targets);
        let require = model::asked(plan.require.iter().map(|require| &require.check), &mut targets);
        let created = created(&plan);
        let run = Run::new(RunId::from("simulated"), plan.clone(), &created)
            .expect("the first entry is made of this very plan");
        let detection = options.detection.unwrap_or_else(|| detected(&bundle, plan.request.mode));
        let of = |site: &SiteId| targets.site(site).expect("a plan goes between sites of its fleet");
        let (promises, returns) = service::promised(&bundle, playbook, &plan);
        let mut case = Self {
            promises,
            returns,
            from: of(&plan.request.from),
            to: of(&plan.request.to),
            world: World::new(&targets, &active),
            detection: detection.0,
            bundle,
            options,
            plan,
            run,
            created,
            targets,
            data,
            steps,
            require,
            calm: (Duration::ZERO, 1),
            #[cfg(test)]
            sabotage: None,
        };
        let calm = case.live(0, case.calm_fate(), &Faults::NONE, Story::default()).0;
        case.calm = (calm.took, calm.entries);
        Ok(case)
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What is assumed.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// From the loss of the site to the begin of the run.
    pub fn detection(&self) -> Duration {
        self.detection
    }

    /// Where the times of a step come from.
    pub fn basis(&self, step: usize) -> Basis {
        self.steps[step].pace.basis
    }

    /// How many runs can be counted: for each the times of all that returns are kept, 256 MiB in
    /// all.
    pub fn most_runs(&self) -> u64 {
        (64 << 20) / (self.returns.len() as u64 + 1)
    }

    /// How many entries a run writes in which nothing goes wrong.
    pub fn entries(&self) -> u64 {
        self.calm.1
    }

    /// What a seed comes to.
    pub fn seed(&self, seed: u64) -> Outcome {
        self.live(seed, self.fate(seed), &self.options.faults, Story::default()).0
    }

    /// What a seed comes to, told step by step.
    pub fn replay(&self, seed: u64) -> (Outcome, Vec<Line>) {
        let (outcome, story) = self.live(seed, self.fate(seed), &self.options.faults, Story::told());
        (outcome, story.lines())
    }

    /// The same when a leader is lost right there.
    pub fn seed_with_loss(&self, seed: u64, loss: Loss) -> Outcome {
        let fate = Fate { loss: Some(loss), ..self.fate(seed) };
        self.live(seed, fate, &self.options.faults, Story::default()).0
    }

    fn fate(&self, seed: u64) -> Fate {
        let (length, entries) = self.calm;
        Fate::draw(&self.options.faults, &Dice::new(seed), length, entries)
    }

    #[cfg(test)]
    fn breaks(&self, what: Sabotage) -> bool {
        self.sabotage == Some(what)
    }

    #[cfg(not(test))]
    fn breaks(&self, _: Sabotage) -> bool {
        false
    }

    fn calm_fate(&self) -> Fate {
        Fate { alive: false, lag: false, slow: None, loss: None }
    }

    fn live(&self, seed: u64, fate: Fate, faults: &Faults, story: Story) -> (Outcome, Story) {
        Life::new(self, seed, fate, faults, story).run()
    }

    /// The world as it stands when the run begins.
    fn world(&self, fate: &Fate) -> World {
        let mut world = self.world.clone();
        if self.plan().request.mode == Mode::Emergency {
            world.set_site(self.from, if fate.alive { Site::CUT_OFF } else { Site::GONE });
        }
        world
    }
}

/// In an emergency the run begins when the loss is seen: at the latest as the fleet's timing says.
fn detected(bundle: &Bundle, mode: Mode) -> Span {
    match mode {
        Mode::Emergency => bundle.fleet.timing.bounds().in_turn,
        Mode::Planned | Mode::Drill => Span::default(),
    }
}

fn created(plan: &Plan) -> Event {
    let trigger = Trigger::Operator {
        identity: "simulation".into(),
        reason: format!("{} is presumed to be left", plan.request.from),
        overrides: Vec::new(),
    };
    Event {
        version: VERSION,
        sequence: 1,
        wall_ms: Clock::<()>::default().now().wall_ms,
        elapsed_ms: 0,
        epoch: Epoch(1),
        member: life::member(Epoch(1)),
        body: Body::Created { trigger, plan: plan.digest(), proposed: false },
    }
}

#[cfg(test)]
#[path = "simulate_test.rs"]
mod tests;
