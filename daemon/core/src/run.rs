//! A run: the fold over its journal.
//!
//! `apply` is the one transition function, live, after a takeover, in a replay and in a
//! simulation. An event that does not fit is an error here, and a lost compare in the store.

use crate::action::Action;
use crate::ids::{Digest, Epoch, Identity, RunId, StepId};
use crate::journal::{Block, Body, End, Event, Override, Trigger, VERSION};
use crate::plan::Plan;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

mod fold;
mod legal;
mod steps;

pub use steps::Steps;
#[cfg(test)]
pub(crate) use steps::looks;

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Waits for approval.
    Proposed,
    /// Steps start as they become ready.
    Running,
    /// A person asked that no step starts.
    Paused,
    /// A person is needed.
    Blocked,
    /// What was done is taken back.
    RollingBack,
    /// Over.
    Ended(End),
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proposed => f.write_str("Proposed"),
            Self::Running => f.write_str("Running"),
            Self::Paused => f.write_str("Paused"),
            Self::Blocked => f.write_str("Blocked"),
            Self::RollingBack => f.write_str("RollingBack"),
            Self::Ended(end) => end.fmt(f),
        }
    }
}

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Not started, or to be started again.
    Pending,
    /// An attempt is acting.
    Started,
    /// The act is over; what proves it is being asked.
    Verifying,
    /// Its leader was lost in mid-attempt.
    Unknown,
    /// Done and verified.
    Succeeded,
    /// Nothing was to be done.
    AlreadyDone,
    /// Attempts are spent.
    Failed,
    /// Left out.
    Skipped,
    /// It is taken back.
    Undoing,
    /// Done, and taken back.
    Undone,
    /// Done, and could not be taken back.
    UndoFailed,
}

impl StepState {
    /// Whether nothing more happens to the step by itself.
    pub fn ended(self) -> bool {
        matches!(
            self,
            Self::Succeeded
                | Self::AlreadyDone
                | Self::Failed
                | Self::Skipped
                | Self::Undone
                | Self::UndoFailed
        )
    }
}

impl fmt::Display for StepState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// One step of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepRecord {
    /// Where it stands.
    pub state: StepState,
    /// Attempts so far.
    pub attempt: u32,
    /// `elapsed_ms` of its first start.
    pub started_ms: Option<u64>,
    /// `elapsed_ms` of its end.
    pub ended_ms: Option<u64>,
    /// The last thing seen of it, for people.
    pub detail: String,
    /// Who approved, when it asks for approvals.
    pub approvals: BTreeSet<Identity>,
    /// A person skipped it.
    pub skipped_by: Option<Identity>,
    /// The epoch under which an act of it began whose end nobody has seen: it may be under way still.
    pub unsettled: Option<Epoch>,
    /// An attempt may have changed its target.
    pub touched: bool,
    /// Attempts so far to take it back.
    pub undo_attempt: u32,
}

/// What somebody would override, and another person has to approve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overriding {
    /// Who asked for it.
    pub by: Identity,
    /// Why.
    pub reason: String,
}

impl fmt::Display for Overriding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} overrides it ({}): another person has to approve that", self.by, self.reason)
    }
}

/// An event that cannot follow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("journal entry {sequence} cannot follow: {why}")]
pub struct Illegal {
    /// Its sequence number.
    pub sequence: u64,
    /// Why.
    pub why: String,
}

/// The state of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its name.
    pub id: RunId,
    /// What it executes.
    pub plan: Arc<Plan>,
    /// The plan's digest, kept: making it anew reads all of the plan.
    pub plan_digest: Digest,
    /// What started it.
    pub trigger: Trigger,
    /// Its steps, as in the plan.
    pub steps: Steps,
    /// What people must decide, by step.
    pub blocks: BTreeMap<Option<StepId>, Block>,
    /// What waits for a second person, by step; none for the requirements.
    pub overriding: BTreeMap<Option<StepId>, Overriding>,
    /// Requirements that a person waived.
    pub waived: BTreeSet<usize>,
    /// Whether the requirements held.
    pub cleared: bool,
    /// Whether a point of no return is crossed.
    pub crossed: bool,
    /// A person asked for its end.
    pub abort_asked: Option<String>,
    /// The epoch of the last entry.
    pub epoch: Epoch,
    /// The sequence number of the last entry.
    pub sequence: u64,
    /// `elapsed_ms` of the last entry.
    pub elapsed_ms: u64,
    /// Unix time of creation in milliseconds.
    pub created_wall_ms: i64,
    /// Unix time of the last entry in milliseconds.
    pub wall_ms: i64,
    proposed: bool,
    paused: bool,
    /// Why what was done is taken back, once that has begun.
    rollback: Option<String>,
    ended: Option<End>,
    shape: Arc<Shape>,
    unmet: Vec<usize>,
    ready: BTreeSet<usize>,
    /// Steps that are Started, Verifying or Unknown.
    under_way: BTreeSet<usize>,
    open: usize,
    /// Failed steps whose policy is to end the run.
    aborting: BTreeSet<usize>,
    /// Failed steps whose policy is to take back what was done.
    retreating: BTreeSet<usize>,
    /// What is to be taken back, or could not be.
    undoable: BTreeSet<usize>,
}

/// What follows from the plan alone; shared by all copies of a run.
#[derive(Debug, PartialEq, Eq)]
struct Shape {
    index: BTreeMap<StepId, usize>,
    dependents: Vec<Vec<usize>>,
}

impl Run {
    /// A run from its first event.
    pub fn new(id: RunId, plan: Arc<Plan>, created: &Event) -> Result<Self, Illegal> {
        let illegal = |why: &str| Illegal { sequence: created.sequence, why: why.into() };
        let Body::Created { trigger, plan: digest, proposed } = &created.body else {
            return Err(illegal("a journal begins with its creation"));
        };
        if created.sequence != 1 || created.version != VERSION {
            return Err(illegal("not the first entry, or of a version this member does not read"));
        }
        if *digest != plan.digest() {
            return Err(illegal("its plan has another digest"));
        }
        let mut dependents = vec![Vec::new(); plan.steps.len()];
        let mut unmet = Vec::with_capacity(plan.steps.len());
        for (step, spec) in plan.steps.iter().enumerate() {
            for &need in &spec.needs {
                if need >= step {
                    return Err(illegal("a step needs a later one"));
                }
                dependents[need].push(step);
            }
            unmet.push(spec.needs.len());
        }
        let pending = StepRecord {
            state: StepState::Pending,
            attempt: 0,
            started_ms: None,
            ended_ms: None,
            detail: String::new(),
            approvals: BTreeSet::new(),
            skipped_by: None,
            unsettled: None,
            touched: false,
            undo_attempt: 0,
        };
        Ok(Self {
            id,
            plan_digest: digest.clone(),
            trigger: trigger.clone(),
            steps: Steps::all(pending, plan.steps.len()),
            blocks: BTreeMap::new(),
            overriding: BTreeMap::new(),
            waived: BTreeSet::new(),
            cleared: false,
            crossed: false,
            abort_asked: None,
            epoch: created.epoch,
            sequence: 1,
            elapsed_ms: created.elapsed_ms,
            created_wall_ms: created.wall_ms,
            wall_ms: created.wall_ms,
            proposed: *proposed,
            paused: false,
            rollback: None,
            ended: None,
            shape: Arc::new(Shape {
                index: plan.steps.iter().enumerate().map(|(index, step)| (step.id.clone(), index)).collect(),
                dependents,
            }),
            ready: unmet.iter().enumerate().filter(|(_, unmet)| **unmet == 0).map(|(step, _)| step).collect(),
            unmet,
            under_way: BTreeSet::new(),
            open: plan.steps.len(),
            aborting: BTreeSet::new(),
            retreating: BTreeSet::new(),
            undoable: BTreeSet::new(),
            plan,
        })
    }

    /// Folds a whole journal.
    pub fn fold<'a>(
        id: RunId,
        plan: Arc<Plan>,
        journal: impl IntoIterator<Item = &'a Event>,
    ) -> Result<Self, Illegal> {
        let mut events = journal.into_iter();
        let first =
            events.next().ok_or_else(|| Illegal { sequence: 0, why: "the journal is empty".into() })?;
        let mut run = Self::new(id, plan, first)?;
        for event in events {
            run.apply(event)?;
        }
        Ok(run)
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        match self.ended {
            Some(end) => State::Ended(end),
            None if self.proposed => State::Proposed,
            None if self.rollback.is_some() => State::RollingBack,
            None if self.paused => State::Paused,
            None if !self.blocks.is_empty() => State::Blocked,
            None => State::Running,
        }
    }

    /// The place of a step in the plan.
    pub fn step_index(&self, step: &StepId) -> Option<usize> {
        self.shape.index.get(step).copied()
    }

    /// Pending steps whose needs are met, in plan order.
    pub fn ready(&self) -> impl Iterator<Item = usize> + '_ {
        self.ready.iter().copied()
    }

    /// Steps that are Started, Verifying or Unknown, in plan order.
    pub fn under_way(&self) -> impl Iterator<Item = usize> + '_ {
        self.under_way.iter().copied()
    }

    /// Whether a step is pending and its needs are met.
    pub(crate) fn is_ready(&self, step: usize) -> bool {
        self.ready.contains(&step)
    }

    /// The steps that need this one.
    pub(crate) fn dependents(&self, step: usize) -> &[usize] {
        &self.shape.dependents[step]
    }

    /// The first failed step whose policy is to end the run.
    pub(crate) fn aborting(&self) -> Option<usize> {
        self.aborting.first().copied()
    }

    /// The first failed step whose policy is to take back what was done.
    pub(crate) fn retreating(&self) -> Option<usize> {
        self.retreating.first().copied()
    }

    /// The step that is taken back next: what was done last comes first.
    pub fn next_undo(&self) -> Option<usize> {
        self.undoable.last().copied()
    }

    /// Why nothing can be taken back any more, if that is so: the point of no return is crossed, or
    /// a step has changed something and nothing says what takes it back.
    pub fn no_way_back(&self) -> Option<String> {
        let steps = || self.steps.iter().zip(&self.plan.steps);
        if self.crossed {
            let step = steps().find(|(record, spec)| spec.point_of_no_return && record.started_ms.is_some());
            let step = step.map_or("", |(_, spec)| spec.id.as_str());
            return Some(format!("the point of no return is crossed ({step}): the run only goes forward"));
        }
        let silent = steps().find(|(record, spec)| record.touched && spec.undo.is_none());
        silent
            .filter(|(_, spec)| spec.action.changes())
            .map(|(_, spec)| format!("step {} has acted, and nothing says how it is taken back", spec.id))
    }

    /// Steps that have not ended.
    pub fn open(&self) -> usize {
        self.open
    }

    /// The waiver of `rule` that the run was started with.
    pub fn overridden(&self, rule: &str) -> Option<&Override> {
        match &self.trigger {
            Trigger::Operator { overrides, .. } => overrides.iter().find(|waiver| waiver.rule == rule),
            Trigger::Automatic { .. } => None,
        }
    }

    /// What people must do, a line each.
    pub fn waits_for(&self) -> Vec<String> {
        let mut waits = Vec::new();
        if self.state() == State::Proposed {
            waits.push(format!("approval of the run: standfast run approve {} --reason ...", self.id));
        }
        for block in self.blocks.values() {
            let step =
                block.step.as_ref().map_or_else(|| "requirements".into(), |step| format!("step {step}"));
            waits.push(format!("{step}: {}", block.why));
            waits.extend(self.overriding.get(&block.step).map(|asked| format!("{step}: {asked}")));
        }
        for at in self.under_way() {
            let (record, step) = (&self.steps[at], &self.plan.steps[at]);
            if let (StepState::Started, Action::ApprovalAsk { role, quorum, message }) =
                (record.state, &step.action)
            {
                let given = record.approvals.len();
                waits.push(format!("step {}: {message} ({given} of {quorum} approvals by {role})", step.id));
            }
        }
        if !matches!(self.state(), State::Ended(_)) { waits } else { Vec::new() }
    }

    /// How the run ends, once no step is open.
    pub fn outcome(&self) -> (End, String) {
        let names = |wanted: &dyn Fn(&StepRecord) -> bool| -> Vec<&str> {
            let steps = self.steps.iter().zip(&self.plan.steps);
            steps.filter(|(record, _)| wanted(record)).map(|(_, step)| step.id.as_str()).collect()
        };
        if let Some(why) = &self.rollback {
            let stuck = names(&|record| record.state == StepState::UndoFailed);
            let undone = names(&|record| record.state == StepState::Undone);
            return match (stuck.as_slice(), undone.as_slice()) {
                ([], []) => (End::RolledBack, format!("{why}; nothing was to be taken back")),
                ([], undone) => (End::RolledBack, format!("{why}; taken back: {}", undone.join(", "))),
                (stuck, _) => (End::Stuck, format!("{why}; a person has to take back: {}", stuck.join(", "))),
            };
        }
        let failed = names(&|record| record.state == StepState::Failed);
        let skipped = names(&|record| record.skipped_by.is_some());
        if failed.is_empty() && skipped.is_empty() {
            return (End::Succeeded, "every step succeeded".into());
        }
        let mut why = Vec::new();
        if !failed.is_empty() {
            why.push(format!("failed: {}", failed.join(", ")));
        }
        if !skipped.is_empty() {
            why.push(format!("skipped by hand: {}", skipped.join(", ")));
        }
        (End::Partial, why.join("; "))
    }

    /// Whether `event` can follow, and the place of the step that it then changes.
    pub(crate) fn admits(&self, event: &Event) -> Result<Option<usize>, Illegal> {
        self.check(event).map_err(|why| Illegal { sequence: event.sequence, why })
    }
}
