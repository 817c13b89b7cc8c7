//! What is promised about speed, measured: each figure with its bound.
//!
//! [`Name`] lists what can be measured; each has a file of its own. A [`Figure`] is what came
//! of it, judged by its median or by its worst sample; [`report`] shows them.

pub mod cluster;
pub mod cut;
pub mod figure;
pub mod journal;
pub mod lint;
pub mod overhead;
pub mod playbook;
pub mod proof;
pub mod report;
pub mod simulate;
pub mod sites;
pub mod takeover;
pub mod verdict;
pub mod write;

use crate::parts::Result;
use figure::Figure;
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Name {
    /// Simulating whole clusters in which everything fails.
    Cluster,
    /// From a real cut of the active site to a client's first accepted write, and Patroni beside it.
    Cut,
    /// The same, in networks of its own already.
    #[value(hide = true)]
    CutInside,
    /// Folding a journal of 100,000 entries, and taking a run of 10,000 steps up.
    Journal,
    /// Proving a playbook with 1,000 steps from its files alone.
    Lint,
    /// What a step costs that does nothing.
    Overhead,
    /// Proving a large business against the loss of each site, and how that grows.
    Proof,
    /// Simulating many runs of a playbook, and how that grows.
    Simulate,
    /// From the loss of a leader to the next one, and to the next step.
    Takeover,
    /// From the death of a site to its verdict.
    Verdict,
    /// From the death of a site to the first write of a client.
    Write,
}

impl Name {
    /// What it is about, while it is measured.
    pub fn title(self) -> &'static str {
        match self {
            Name::Cluster => "2,500 seeds of the cluster simulator",
            Name::Cut | Name::CutInside => "cut of a site to a client's first accepted write",
            Name::Journal => "journal of 100,000 entries, takeover of a run of 10,000 steps",
            Name::Lint => "lint of a playbook with 1,000 steps",
            Name::Overhead => "orchestration overhead in a run of 1,000 steps",
            Name::Proof => "site-loss proof of 10,000 services and 100 playbooks",
            Name::Simulate => "10,000 simulated runs of 100 steps",
            Name::Takeover => "loss of a leader to the next one",
            Name::Verdict => "death of a site to its verdict",
            Name::Write => "death of a site to a client's first accepted write",
        }
    }

    /// Whether it is measured when nothing is named.
    pub fn is_by_itself(self) -> bool {
        self != Name::CutInside
    }

    /// Measures it. What was started for it is gone when this returns or is dropped.
    /// Of cuts there are so many.
    pub async fn measure(self, cuts: usize) -> Result<Vec<Figure>> {
        match self {
            Name::Cluster => cluster::measure().await,
            Name::Cut => cut::measure(cuts).await,
            Name::CutInside => cut::inside(cuts).await,
            Name::Journal => journal::measure().await,
            Name::Lint => lint::measure().await,
            Name::Overhead => overhead::measure().await,
            Name::Proof => proof::measure().await,
            Name::Simulate => simulate::measure().await,
            Name::Takeover => takeover::measure().await,
            Name::Verdict => verdict::measure().await,
            Name::Write => write::measure().await,
        }
    }
}

/// Processor time of this thread: what is promised is promised for one core, however many others
/// want it.
fn processor() -> Duration {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(spent.tv_sec).unwrap_or(0), u32::try_from(spent.tv_nsec).unwrap_or(0))
}
