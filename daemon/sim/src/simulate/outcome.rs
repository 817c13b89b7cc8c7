//! What one seed came to.

use super::check::Breach;
use super::fault::Loss;
use standfast_core::ids::StepId;
use standfast_core::journal::{BlockKind, End};
use std::time::Duration;

/// How a simulated run ended, or what it waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish {
    /// It has ended.
    Ended(End),
    /// It waits for people, who do not come.
    Waits(Vec<Wait>),
    /// An invariant was broken; the run was not followed any further.
    Broken,
}

/// One thing that a run waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wait {
    /// The step; none for the requirements.
    pub step: Option<StepId>,
    /// Why; none for an approval that the playbook asks for.
    pub why: Option<BlockKind>,
}

/// When a step ended, and how long it took from when it could begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepTime {
    /// From when all it needs had ended to its own end.
    pub own: Duration,
    /// Since the run was begun.
    pub ended: Duration,
}

/// What one seed came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// How it ended.
    pub finish: Finish,
    /// From the begin of the run to its end, or to the last thing that happened.
    pub took: Duration,
    /// When the steps could begin.
    pub cleared: Duration,
    /// By step: none when it has not ended in a way that lets others go on.
    pub steps: Vec<Option<StepTime>>,
    /// When services were back since the run was begun, those together that wait for the same.
    pub back: Vec<Option<Duration>>,
    /// Entries of the journal.
    pub entries: u64,
    /// Where a leader was lost, if one was.
    pub lost: Option<Loss>,
    /// How often a person had to do something.
    pub visits: u32,
    /// The first invariant that was broken.
    pub breach: Option<Breach>,
}

impl Outcome {
    /// How long the run took, if it came to an end that is any good.
    pub fn done(&self) -> Option<Duration> {
        matches!(self.finish, Finish::Ended(End::Succeeded | End::Partial)).then_some(self.took)
    }
}
