//! The records of a run's steps.
//!
//! A slice would do, but for this: a run of many steps has many entries, and whatever walks over all
//! records at each of them takes hours instead of seconds. So the tests of this crate count every look.

use super::StepRecord;
use std::ops::{Index, IndexMut};

/// One record for each step, as in the plan.
#[derive(Debug, PartialEq, Eq)]
pub struct Steps(Vec<StepRecord>);

impl Steps {
    /// So many times this one.
    pub(super) fn all(record: StepRecord, steps: usize) -> Self {
        Self(vec![record; steps])
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them: not at every entry.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &StepRecord> {
        looked(self.0.len());
        self.0.iter()
    }
}

impl Clone for Steps {
    fn clone(&self) -> Self {
        looked(self.0.len());
        Self(self.0.clone())
    }
}

impl Index<usize> for Steps {
    type Output = StepRecord;

    fn index(&self, at: usize) -> &StepRecord {
        looked(1);
        &self.0[at]
    }
}

impl IndexMut<usize> for Steps {
    fn index_mut(&mut self, at: usize) -> &mut StepRecord {
        looked(1);
        &mut self.0[at]
    }
}

#[cfg(not(test))]
fn looked(_: usize) {}

#[cfg(test)]
fn looked(steps: usize) {
    LOOKS.with(|looks| looks.set(looks.get() + steps));
}

#[cfg(test)]
thread_local! {
    static LOOKS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// How many records this test has looked at so far.
#[cfg(test)]
pub(crate) fn looks() -> usize {
    LOOKS.with(std::cell::Cell::get)
}
