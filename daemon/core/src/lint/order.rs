//! Which steps are surely over when another one starts.

use crate::bind::Ordered;
use crate::playbook::Step;

/// The steps that run in one mode, in an order that respects what each waits for.
pub(super) struct Way<'a> {
    steps: Vec<&'a Step>,
    order: &'a [Ordered],
    /// A row of bits for each step: those that it waits for, directly or through others.
    before: Vec<u64>,
    words: usize,
}

impl<'a> Way<'a> {
    /// Of the steps of a playbook, in `order`.
    pub(super) fn of(flat: &[&'a Step], order: &'a [Ordered]) -> Self {
        let words = order.len().div_ceil(64);
        let mut before = vec![0u64; words * order.len()];
        for (place, ordered) in order.iter().enumerate() {
            let (earlier, row) = before.split_at_mut(place * words);
            let row = &mut row[..words];
            for &need in &ordered.needs {
                for (mine, theirs) in row.iter_mut().zip(&earlier[need * words..]) {
                    *mine |= theirs;
                }
                row[need / 64] |= 1 << (need % 64);
            }
        }
        Self { steps: order.iter().map(|ordered| flat[ordered.step]).collect(), order, before, words }
    }

    /// The steps in their order.
    pub(super) fn steps(&self) -> &[&'a Step] {
        &self.steps
    }

    /// Indices into `Playbook::flat`, in the same order.
    pub(super) fn indices(&self) -> impl Iterator<Item = usize> {
        self.order.iter().map(|ordered| ordered.step)
    }

    /// What a step waits for directly, as places in this order.
    pub(super) fn needs(&self, place: usize) -> &[usize] {
        &self.order[place].needs
    }

    /// Whether `first` has ended when `then` starts.
    pub(super) fn precedes(&self, first: usize, then: usize) -> bool {
        self.before[then * self.words + first / 64] >> (first % 64) & 1 == 1
    }

    /// Whether a step is one of these, or starts only after one of them.
    pub(super) fn at_or_after(&self, those: impl Fn(&Step) -> bool) -> Vec<bool> {
        let mut found: Vec<bool> = Vec::with_capacity(self.steps.len());
        for (place, step) in self.steps.iter().enumerate() {
            let is = those(step) || self.needs(place).iter().any(|&need| found[need]);
            found.push(is);
        }
        found
    }
}
