//! The order of steps: a list runs from top to bottom, `parallel` and `needs` relax it.

use crate::graph;
use crate::ids::StepId;
use crate::plan::Mode;
use crate::playbook::{Entry, Playbook, Step};
use crate::source::Spanned;
use std::collections::{BTreeMap, BTreeSet};

/// More than this is not waited for in one playbook: behind a block each step waits for all of it, so
/// that it may grow with the square of the steps.
pub(crate) const MAX_WAITS: usize = 2_000_000;
/// So few steps cannot come to [`MAX_WAITS`], whatever waits for whatever.
const FEW_STEPS: usize = 2_000;

/// Whether more is waited for in a playbook than anything here is made for.
pub(crate) fn too_much(playbook: &Playbook) -> bool {
    playbook.flat().nth(FEW_STEPS).is_some() && Graph::of(playbook).cut
}

/// What every step of a playbook waits for, by indices into `Playbook::flat`.
#[derive(Debug)]
pub struct Graph {
    needs: Vec<BTreeSet<usize>>,
    /// Something is missing, because it is too much.
    cut: bool,
}

/// A step in an order that respects what it waits for.
#[derive(Debug, PartialEq, Eq)]
pub struct Ordered {
    /// Its index in `Playbook::flat`.
    pub step: usize,
    /// Places in this very order, each before its own, ascending.
    pub needs: Vec<usize>,
}

impl Graph {
    /// Of a whole playbook. Names that are not steps were reported and are passed over.
    pub fn of(playbook: &Playbook) -> Self {
        let mut named = BTreeMap::new();
        let mut count = 0;
        name(&playbook.steps, &mut named, &mut count);
        let mut walk = Walk { named, needs: Vec::with_capacity(count), left: Some(MAX_WAITS) };
        walk.entries(&playbook.steps, &BTreeSet::new());
        Self { needs: walk.needs, cut: walk.left.is_none() }
    }

    /// The steps that run in `mode`, each after what it waits for, otherwise from top to
    /// bottom. What a step that does not run waits for, is waited for in its place. `Err`: a
    /// cycle, as indices, the first one repeated at its end.
    pub fn ordered(&self, flat: &[&Step], mode: Mode) -> Result<Vec<Ordered>, Vec<usize>> {
        let sorted = graph::sorted(&self.needs)?;
        let mut place = vec![None; self.needs.len()];
        let mut instead: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); self.needs.len()];
        let mut order: Vec<Ordered> = Vec::new();
        for step in sorted {
            let mut needs = BTreeSet::new();
            for &need in &self.needs[step] {
                match place[need] {
                    Some(place) => {
                        needs.insert(place);
                    }
                    None => needs.extend(instead[need].iter().copied()),
                }
            }
            if flat.get(step).is_some_and(|step| step.runs_in(mode)) {
                place[step] = Some(order.len());
                order.push(Ordered { step, needs: needs.into_iter().collect() });
            } else {
                instead[step] = needs;
            }
        }
        Ok(order)
    }
}

/// The steps that each name stands for: itself, or all of a block.
fn name<'a>(entries: &'a [Entry], named: &mut BTreeMap<&'a str, Vec<usize>>, count: &mut usize) {
    for entry in entries {
        let first = *count;
        let id = match entry {
            Entry::Step(step) => {
                *count += 1;
                &step.id
            }
            Entry::Parallel { id, steps } => {
                for step in steps {
                    named.entry(step.id.value.as_str()).or_default().push(*count);
                    *count += 1;
                }
                id
            }
            Entry::Group { id, entries, .. } => {
                name(entries, named, count);
                id
            }
        };
        named.entry(id.value.as_str()).or_default().extend(first..*count);
    }
}

struct Walk<'a> {
    named: BTreeMap<&'a str, Vec<usize>>,
    needs: Vec<BTreeSet<usize>>,
    /// How much more may be waited for; none when that was not enough.
    left: Option<usize>,
}

impl Walk<'_> {
    /// `start` is what the first entry waits for, and one that waits for nothing in particular.
    fn entries(&mut self, entries: &[Entry], start: &BTreeSet<usize>) {
        let mut above = start.clone();
        for entry in entries {
            let first = self.needs.len();
            match entry {
                Entry::Step(step) => self.step(step, &above, start),
                Entry::Parallel { steps, .. } => {
                    steps.iter().for_each(|step| self.step(step, &above, start));
                }
                Entry::Group { needs, entries, .. } => {
                    let begin = self.of(needs.as_deref(), &above, start);
                    self.entries(entries, &begin);
                }
            }
            if self.needs.len() > first {
                above = (first..self.needs.len()).collect();
            }
        }
    }

    fn step(&mut self, step: &Step, above: &BTreeSet<usize>, start: &BTreeSet<usize>) {
        let needs = self.left.map(|_| self.of(step.needs.as_deref(), above, start)).unwrap_or_default();
        self.left = self.left.and_then(|left| left.checked_sub(needs.len()));
        self.needs.push(needs);
    }

    fn of(
        &self,
        needs: Option<&[Spanned<StepId>]>,
        above: &BTreeSet<usize>,
        start: &BTreeSet<usize>,
    ) -> BTreeSet<usize> {
        let of_name = |need: &Spanned<StepId>| self.named.get(need.value.as_str()).cloned();
        match needs {
            None => above.clone(),
            Some([]) => start.clone(),
            Some(needs) => needs.iter().filter_map(of_name).flatten().collect(),
        }
    }
}
