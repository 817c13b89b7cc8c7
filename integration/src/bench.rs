//! What is promised about speed, measured: each figure with its bound.
//!
//! [`Name`] lists what can be measured; each has a file of its own. A [`Figure`] is what came
//! of it, judged by its median or by its worst sample; [`report`] shows them.

pub mod figure;
pub mod lint;
pub mod playbook;
pub mod report;

use crate::parts::Result;
use figure::Figure;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Name {
    /// Proving a playbook with 1,000 steps from its files alone.
    Lint,
}

impl Name {
    /// What it is about, while it is measured.
    pub fn title(self) -> &'static str {
        match self {
            Name::Lint => "lint of a playbook with 1,000 steps",
        }
    }

    /// Measures it. What was started for it is gone when this returns or is dropped.
    pub async fn measure(self) -> Result<Vec<Figure>> {
        match self {
            Name::Lint => lint::measure().await,
        }
    }
}
