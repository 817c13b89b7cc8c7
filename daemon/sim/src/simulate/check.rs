//! What must hold in every seed, judged by what was seen from outside.
//!
//! The checker reads entries as they become durable, acts as they begin, and the world. It asks
//! neither run nor engine: it would believe the same mistake.

use crate::world::{Targets, World, Wrong};
use standfast_core::ids::{Epoch, ResourceId, SiteId, StepId};
use standfast_core::journal::{Body, End, Event};
use standfast_core::plan::{OnFailure, Plan};
use std::sync::Arc;
use std::time::Duration;

/// An invariant that was broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Breach {
    /// The world came to a state that must never be.
    #[error("{0}")]
    World(#[from] Wrong),
    /// A run succeeded, and a data set does not have exactly one writable site, the destination.
    #[error("the run succeeded, and {cluster} takes writes in {writers} instead of in {to} alone")]
    Writers {
        /// The data set.
        cluster: String,
        /// Where it takes writes.
        writers: String,
        /// Where it should.
        to: String,
    },
    /// A step began before what it needs had ended well.
    #[error("step {step} began before {need}, which it needs, had ended well")]
    BeforeNeeds {
        /// The step.
        step: StepId,
        /// What it needs.
        need: StepId,
    },
    /// A step that was finished began again, or was acted again.
    #[error("step {step} was finished, and was begun or acted again")]
    Again {
        /// The step.
        step: StepId,
    },
    /// A step was acted without a durable entry that announces this very attempt.
    #[error("attempt {attempt} of step {step} acted, and no durable entry announces it")]
    Unannounced {
        /// The step.
        step: StepId,
        /// The attempt.
        attempt: u32,
    },
    /// A step that may not be repeated was, and nobody had said so.
    #[error("step {step} may have been done, may not be done twice, and was acted again unasked")]
    Repeated {
        /// The step.
        step: StepId,
    },
    /// A step was taken back that could not be any more, or out of its order.
    #[error("step {step} was taken back {how}")]
    WrongWayBack {
        /// The step.
        step: StepId,
        /// What was wrong with it.
        how: &'static str,
    },
    /// An entry or an act came under an earlier epoch.
    #[error("epoch {epoch} came after epoch {after}")]
    EpochBack {
        /// The earlier one.
        epoch: Epoch,
        /// The later one.
        after: Epoch,
    },
    /// An entry came after the last one.
    #[error("entry {sequence} came after the end of the run")]
    AfterEnd {
        /// Its number.
        sequence: u64,
    },
    /// What was written cannot be read back.
    #[error("the journal does not fold: {0}")]
    Journal(String),
    /// Nothing more will happen, the run has not ended, and it waits for nobody.
    #[error("the run is {state}, nothing more will happen, and it waits for nobody")]
    Wedged {
        /// Where it stands.
        state: String,
    },
    /// Things go on happening for ever.
    #[error("the run has not ended after {happenings} happenings")]
    Endless {
        /// How many.
        happenings: u64,
    },
}

impl Breach {
    /// The invariant, in a few words, without names of this run.
    pub fn invariant(&self) -> &'static str {
        match self {
            Self::World(Wrong::TwoWriters { .. }) => "never two writers of one cluster",
            Self::Writers { .. } => "a run that succeeds leaves one writable site per data set",
            Self::BeforeNeeds { .. } => "no step before what it needs",
            Self::Again { .. } => "no finished step is acted again",
            Self::Unannounced { .. } => "no act before its entry is durable",
            Self::Repeated { .. } => "nothing is done twice that may not be, unless a person says so",
            Self::WrongWayBack { .. } => "what is taken back is so in reverse, before the point of no return",
            Self::World(Wrong::EpochBack { .. }) | Self::EpochBack { .. } => "epochs never go back",
            Self::AfterEnd { .. } | Self::Journal(_) => "what is written can be read back",
            Self::Wedged { .. } | Self::Endless { .. } => "every run ends or waits for people",
        }
    }

    /// All invariants.
    pub const ALL: [&'static str; 10] = [
        "never two writers of one cluster",
        "a run that succeeds leaves one writable site per data set",
        "every run ends or waits for people",
        "no step before what it needs",
        "no finished step is acted again",
        "no act before its entry is durable",
        "nothing is done twice that may not be, unless a person says so",
        "what is taken back is so in reverse, before the point of no return",
        "epochs never go back",
        "what is written can be read back",
    ];
}

/// What is known of a step from outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Waiting,
    /// Its attempt is announced.
    Announced(u32, Epoch),
    /// It is to be taken back under this epoch.
    Back(Epoch),
    /// It is taken back.
    Undone,
    /// It is done, or left out.
    Well,
    Failed,
}

#[derive(Clone, Copy, Debug, Default)]
struct Watched {
    phase: Phase,
    /// It may have been done.
    touched: bool,
    ended: Option<Duration>,
}

/// Watches one run.
#[derive(Debug)]
pub(crate) struct Checker {
    plan: Arc<Plan>,
    steps: Vec<Watched>,
    epoch: Epoch,
    crossed: bool,
    /// When the requirements were met.
    cleared: Option<Duration>,
    end: Option<(End, Duration)>,
    breach: Option<Breach>,
}

impl Checker {
    pub(crate) fn new(plan: Arc<Plan>) -> Self {
        let steps = vec![Watched::default(); plan.steps.len()];
        Self { plan, steps, epoch: Epoch(0), crossed: false, cleared: None, end: None, breach: None }
    }

    /// The first thing that was wrong counts.
    pub(crate) fn note(&mut self, breach: Breach) {
        self.breach.get_or_insert(breach);
    }

    pub(crate) fn breach(&self) -> Option<&Breach> {
        self.breach.as_ref()
    }

    pub(crate) fn end(&self) -> Option<(End, Duration)> {
        self.end
    }

    pub(crate) fn cleared(&self) -> Option<Duration> {
        self.cleared
    }

    /// When a step ended well.
    pub(crate) fn ended_well(&self, step: usize) -> Option<Duration> {
        let watched = &self.steps[step];
        watched.ended.filter(|_| watched.phase == Phase::Well)
    }

    /// When a step ended in a way that lets others go on.
    pub(crate) fn released(&self, step: usize) -> Option<Duration> {
        self.steps[step].ended.filter(|_| self.lets_go(step))
    }

    fn lets_go(&self, step: usize) -> bool {
        match self.steps[step].phase {
            Phase::Well => true,
            Phase::Failed => self.plan.steps[step].on_failure == OnFailure::Continue,
            Phase::Waiting | Phase::Announced(..) | Phase::Back(_) | Phase::Undone => false,
        }
    }

    /// An entry is durable; `step` is the place of the step that it is about.
    pub(crate) fn durable(&mut self, event: &Event, step: Option<usize>, now: Duration) {
        if event.epoch < self.epoch {
            self.note(Breach::EpochBack { epoch: event.epoch, after: self.epoch });
        }
        self.epoch = event.epoch;
        if self.end.is_some() {
            self.note(Breach::AfterEnd { sequence: event.sequence });
        }
        match &event.body {
            Body::RequirementsMet { .. } => self.cleared = Some(now),
            Body::Ended { end, .. } => self.end = Some((*end, now)),
            body => {
                if let Some(step) = step {
                    self.step(step, body, event.epoch, now);
                }
            }
        }
    }

    fn step(&mut self, step: usize, body: &Body, epoch: Epoch, now: Duration) {
        let phase = match body {
            Body::StepStarted { attempt, .. } => {
                self.begins(step);
                self.crossed |= self.plan.steps[step].point_of_no_return;
                Phase::Announced(*attempt, epoch)
            }
            Body::StepAlreadyDone { .. } => {
                self.begins(step);
                Phase::Well
            }
            Body::StepSucceeded { .. } | Body::StepSkipped { .. } => Phase::Well,
            Body::StepFailed { .. } => Phase::Failed,
            Body::AttemptFailed { .. } => Phase::Waiting,
            Body::UndoStarted { .. } => {
                self.way_back(step);
                Phase::Back(epoch)
            }
            Body::StepUndone { .. } => {
                self.way_back(step);
                Phase::Undone
            }
            Body::Retried { .. } => {
                // A person takes it upon themselves.
                self.steps[step].touched = false;
                Phase::Waiting
            }
            _ => return,
        };
        let watched = &mut self.steps[step];
        watched.ended = matches!(phase, Phase::Well | Phase::Failed).then_some(now);
        watched.phase = phase;
    }

    /// Nothing that was done later stands, and nothing is past its way back.
    fn way_back(&mut self, step: usize) {
        let id = self.plan.steps[step].id.clone();
        let later = step + 1..self.steps.len();
        let stands = |at: usize| self.steps[at].touched && self.plan.steps[at].undo_action().is_some();
        if self.crossed {
            self.note(Breach::WrongWayBack { step: id, how: "past the point of no return" });
        } else if later.into_iter().any(|at| stands(at) && self.steps[at].phase != Phase::Undone) {
            self.note(Breach::WrongWayBack { step: id, how: "before what was done after it" });
        }
    }

    /// A step begins to be taken back.
    pub(crate) fn undoes(&mut self, step: usize, epoch: Epoch) {
        if self.steps[step].phase != Phase::Back(epoch) {
            let id = self.plan.steps[step].id.clone();
            self.note(Breach::WrongWayBack { step: id, how: "without an entry that announces it" });
        }
    }

    fn begins(&mut self, step: usize) {
        let id = |step: usize| self.plan.steps[step].id.clone();
        if self.steps[step].phase == Phase::Well {
            self.note(Breach::Again { step: id(step) });
        } else if let Some(need) = self.plan.steps[step].needs.iter().find(|need| !self.lets_go(**need)) {
            self.note(Breach::BeforeNeeds { step: id(step), need: id(*need) });
        }
    }

    /// An attempt begins to act.
    pub(crate) fn acts(&mut self, step: usize, attempt: u32, epoch: Epoch) {
        let spec = &self.plan.steps[step];
        let (id, repeatable) = (spec.id.clone(), spec.action.idempotent());
        if epoch < self.epoch {
            self.note(Breach::EpochBack { epoch, after: self.epoch });
        }
        match self.steps[step].phase {
            Phase::Well => self.note(Breach::Again { step: id }),
            Phase::Announced(announced, under) if (announced, under) == (attempt, epoch) => {
                if self.steps[step].touched && !repeatable {
                    self.note(Breach::Repeated { step: id });
                }
            }
            _ => self.note(Breach::Unannounced { step: id, attempt }),
        }
    }

    /// An act may have changed something.
    pub(crate) fn touched(&mut self, step: usize) {
        self.steps[step].touched = true;
    }

    /// The last look: the world at the end of the run. `data` says where each data set has to
    /// take writes after a success.
    pub(crate) fn finish(&mut self, targets: &Targets, world: &World, data: &[(ResourceId, SiteId)]) {
        if let Some(wrong) = world.wrong() {
            self.note(wrong.clone().into());
        }
        if !matches!(self.end, Some((End::Succeeded, _))) {
            return;
        }
        for (cluster, to) in data {
            let writers: Vec<&str> =
                world.writers(targets, cluster).map(|site| targets.sites()[site].as_str()).collect();
            if writers != [to.as_str()] {
                let writers = if writers.is_empty() { "no site".into() } else { writers.join(" and ") };
                let (cluster, to) = (cluster.to_string(), to.to_string());
                self.note(Breach::Writers { cluster, writers, to });
                return;
            }
        }
    }
}
