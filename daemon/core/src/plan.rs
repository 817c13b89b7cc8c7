//! A plan: a playbook bound to from, to, mode and inputs. Nothing is left to choose.
//!
//! Plans are made by `bind`, stored with the run that executes them, and named by digest.

use crate::action::Action;
use crate::check::Check;
use crate::ids::{Digest, PlaybookId, ServiceId, SiteId, StepId};
use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Why a site is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The site is gone.
    Emergency,
    /// Both sites are there: no data loss.
    Planned,
    /// The real thing, as an exercise.
    Drill,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Emergency => "emergency",
            Self::Planned => "planned",
            Self::Drill => "drill",
        })
    }
}

/// What a run does when a step's attempts are spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Block before the point of no return's aftermath: a person is asked. The default.
    #[default]
    Pause,
    /// End the run.
    Abort,
    /// Go on; the run can only end Partial.
    Continue,
    /// Take back what was done, in reverse. Once the point of no return is crossed, as `Pause`.
    Rollback,
}

/// What a run does when a step's target cannot be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unreachable {
    /// A failure like any other.
    #[default]
    Fail,
    /// Expected of a lost site: the step is skipped.
    Skip,
}

/// Conditions that must hold for a step to have succeeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verify {
    /// Deadline, from the end of the act.
    pub within: Span,
    /// All must hold in one round.
    pub all: Vec<Check>,
}

/// A condition that must hold before the first step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Require {
    /// The condition.
    pub check: Check,
    /// The role that may waive it, by name.
    pub override_by: Option<String>,
}

/// What takes a step back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undo {
    /// Declared: leaving the effect in place does no harm.
    None,
    /// The action that takes it back.
    Act(Box<Action>),
}

/// One step, bound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its name in the playbook.
    pub id: StepId,
    /// Indices of the steps that must have ended well before; each smaller than its own.
    pub needs: Vec<usize>,
    /// What it does.
    pub action: Action,
    /// For one act, without its verification.
    pub timeout: Span,
    /// At least 1.
    pub attempts: u32,
    /// Before the second attempt; doubled for each further one, with jitter.
    pub backoff: Span,
    /// When attempts are spent.
    pub on_failure: OnFailure,
    /// When the target cannot be reached.
    pub unreachable: Unreachable,
    /// What proves it.
    pub verify: Option<Verify>,
    /// What takes it back; `None` when the playbook is silent.
    pub undo: Option<Undo>,
    /// What must be proven before it is taken back: an undo that makes a primary needs the other
    /// side to refuse writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo_proof: Option<Box<Action>>,
    /// Once this is journaled as started, the run only goes forward.
    pub point_of_no_return: bool,
}

impl Step {
    /// The action that takes it back, if one does.
    pub fn undo_action(&self) -> Option<&Action> {
        match &self.undo {
            Some(Undo::Act(action)) => Some(action),
            Some(Undo::None) | None => None,
        }
    }

    /// Longest one attempt may take: its act and its verification.
    pub(crate) fn once_ms(&self) -> u64 {
        self.timeout.as_ms().saturating_add(self.verify.as_ref().map_or(0, |verify| verify.within.as_ms()))
    }

    /// Longest all its attempts may take, with the pauses between them.
    pub(crate) fn worst_ms(&self) -> u64 {
        let attempts = self.once_ms().saturating_mul(self.attempts.into());
        (1..self.attempts).fold(attempts, |sum, after| sum.saturating_add(self.pause_ms(after, PAUSE.1)))
    }

    /// The pause after the failed attempt `after` (1 is the first): doubled with each, at most a
    /// minute, times so many thousandths, from [`PAUSE`].
    pub(crate) fn pause_ms(&self, after: u32, thousandths: u64) -> u64 {
        let backoff = self.backoff.as_ms();
        let doubled = backoff.saturating_mul(1 << after.saturating_sub(1).min(16));
        doubled.min(60_000.max(backoff)).saturating_mul(thousandths) / 1_000
    }
}

/// Least and most that jitter makes of a pause, in thousandths.
pub(crate) const PAUSE: (u64, u64) = (800, 1_200);

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The playbook.
    pub playbook: PlaybookId,
    /// The site to leave.
    pub from: SiteId,
    /// The site to go to.
    pub to: SiteId,
    /// Why.
    pub mode: Mode,
    /// Values of `$inputs.x`.
    pub inputs: BTreeMap<String, String>,
}

/// The immutable, ordered plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The bundle it was made from.
    pub bundle: Digest,
    /// What was asked for.
    pub request: Request,
    /// For people.
    pub title: String,
    /// Services that move, locked while the run lives.
    pub services: Vec<ServiceId>,
    /// Time objective of the strictest service, if any has one.
    pub rto: Option<Span>,
    /// Data-loss objective of the strictest service, if any has one.
    pub rpo: Option<Span>,
    /// Conditions before the first step.
    pub require: Vec<Require>,
    /// In an order that respects `needs`.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Names this plan: the same bundle, request and binding give the same digest.
    pub fn digest(&self) -> Digest {
        let json = serde_json::to_vec(self).expect("a plan has only string keys");
        Digest::of([json.as_slice()])
    }

    /// The chain of steps that may take longest, and how long that is at most, with every attempt
    /// and the pauses between them, as long as nothing waits for a person.
    pub fn critical_path(&self) -> (Vec<usize>, Span) {
        let ends = self.ends(Step::worst_ms);
        let mut path = Vec::new();
        let mut last = (0..ends.len()).max_by_key(|&step| (ends[step].0, std::cmp::Reverse(step)));
        let total = last.map_or(Span::default(), |step| ends[step].0);
        while let Some(step) = last {
            path.push(step);
            last = ends[step].1;
        }
        path.reverse();
        (path, total)
    }

    /// How long the steps take at most when nothing has to be attempted twice.
    pub fn once(&self) -> Span {
        self.ends_at_once().into_iter().map(|(end, _)| end).max().unwrap_or_default()
    }

    /// When each step has ended at the latest, counted from the start of the first, when nothing
    /// has to be attempted twice; and the step that it waited for longest.
    pub fn ends_at_once(&self) -> Vec<(Span, Option<usize>)> {
        self.ends(Step::once_ms)
    }

    fn ends(&self, longest_ms: impl Fn(&Step) -> u64) -> Vec<(Span, Option<usize>)> {
        let mut ends: Vec<(Span, Option<usize>)> = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let before = step.needs.iter().copied().max_by_key(|&need| (ends[need].0, need));
            let start = before.map_or(0, |need| ends[need].0.as_ms());
            ends.push((Span::ms(start.saturating_add(longest_ms(step))), before));
        }
        ends
    }
}

/// One line a step: order, name, action, what it waits for.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Request { playbook, from, to, mode, .. } = &self.request;
        writeln!(f, "{playbook}: {from} -> {to} ({mode}), plan {}", self.digest().short())?;
        for require in &self.require {
            writeln!(f, "  requires {}", require.check)?;
        }
        for (index, step) in self.steps.iter().enumerate() {
            write!(f, "  {:>3}  {:<20} {:<18}", index + 1, step.id.as_str(), step.action.name())?;
            let needs: Vec<_> = step.needs.iter().map(|&need| self.steps[need].id.as_str()).collect();
            if !needs.is_empty() {
                write!(f, " after {}", needs.join(", "))?;
            }
            if step.point_of_no_return {
                f.write_str(" (point of no return)")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
