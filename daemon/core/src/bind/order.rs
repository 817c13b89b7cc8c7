//! The order of steps: a list runs from top to bottom, `parallel` and `needs` relax it.

use crate::graph;
use crate::plan::Mode;
use crate::playbook::{Entry, Playbook, Step};
use std::collections::{BTreeMap, BTreeSet};

/// What every step of a playbook waits for, by indices into `Playbook::flat`.
#[derive(Debug)]
pub struct Graph {
    needs: Vec<BTreeSet<usize>>,
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
        let mut named: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let mut index = 0;
        for entry in &playbook.steps {
            match entry {
                Entry::Step(step) => {
                    named.entry(step.id.value.as_str()).or_default().push(index);
                    index += 1;
                }
                Entry::Parallel { id, steps } => {
                    for step in steps {
                        named.entry(step.id.value.as_str()).or_default().push(index);
                        named.entry(id.value.as_str()).or_default().push(index);
                        index += 1;
                    }
                }
            }
        }
        let needs_of = |step: &Step, above: &BTreeSet<usize>| match &step.needs {
            None => above.clone(),
            Some(given) => {
                let of_name = |name: &str| named.get(name).cloned().unwrap_or_default();
                given.iter().flat_map(|need| of_name(need.value.as_str())).collect()
            }
        };
        let mut needs = Vec::with_capacity(index);
        let mut above = BTreeSet::new();
        for entry in &playbook.steps {
            let first = needs.len();
            match entry {
                Entry::Step(step) => needs.push(needs_of(step, &above)),
                Entry::Parallel { steps, .. } => {
                    needs.extend(steps.iter().map(|step| needs_of(step, &above)));
                }
            }
            if needs.len() > first {
                above = (first..needs.len()).collect();
            }
        }
        Self { needs }
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
