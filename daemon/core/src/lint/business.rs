//! The services of a fleet by number: what each needs, and which resources each is. Made once,
//! so that judging a playbook costs what the playbook touches.

use crate::fleet::{Fleet, Service};
use crate::graph;
use crate::ids::ServiceId;
use std::collections::{BTreeMap, BTreeSet};

/// Services by number.
pub(super) struct Business<'a> {
    /// Each after what it needs; in the order of names while they need each other in a circle.
    services: Vec<(&'a ServiceId, &'a Service)>,
    numbers: BTreeMap<&'a ServiceId, usize>,
    needs: Vec<Vec<usize>>,
    of_resource: BTreeMap<&'a str, Vec<usize>>,
}

impl<'a> Business<'a> {
    /// Of a fleet.
    pub(super) fn of(fleet: &'a Fleet) -> Self {
        let by_name: BTreeMap<&ServiceId, usize> =
            fleet.services.keys().enumerate().map(|(number, id)| (id, number)).collect();
        let needs_by_name: Vec<BTreeSet<usize>> = fleet
            .services
            .values()
            .map(|service| {
                service.needs.iter().filter_map(|need| by_name.get(&need.value).copied()).collect()
            })
            .collect();
        // A circle was reported; then no order is better than another.
        let order = graph::sorted(&needs_by_name).unwrap_or_else(|_| (0..by_name.len()).collect());
        let all: Vec<(&ServiceId, &Service)> = fleet.services.iter().collect();
        let mut place = vec![0; order.len()];
        order.iter().enumerate().for_each(|(number, &name)| place[name] = number);
        let services: Vec<_> = order.iter().map(|&name| all[name]).collect();
        let needs = order.iter().map(|&name| needs_by_name[name].iter().map(|&need| place[need]).collect());
        let needs = needs.collect();
        // In the order of names, in which a map is filled fastest.
        let numbers = fleet.services.keys().zip(place).collect();
        let mut of_resource: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (number, (id, service)) in services.iter().enumerate() {
            let own = service.resources.is_empty().then(|| id.as_str());
            for resource in service.resources.iter().map(|resource| resource.value.as_str()).chain(own) {
                of_resource.entry(resource).or_default().push(number);
            }
        }
        Self { services, numbers, needs, of_resource }
    }

    /// Its number, if there is such a service.
    pub(super) fn number(&self, id: &ServiceId) -> Option<usize> {
        self.numbers.get(id).copied()
    }

    /// The service of a number.
    pub(super) fn service(&self, number: usize) -> (&'a ServiceId, &'a Service) {
        self.services[number]
    }

    /// What it needs directly. Each smaller than its own number, unless there is a circle.
    pub(super) fn needs(&self, number: usize) -> &[usize] {
        &self.needs[number]
    }

    /// The services that a resource is, or is part of.
    pub(super) fn of_resource(&self, resource: &str) -> &[usize] {
        self.of_resource.get(resource).map(Vec::as_slice).unwrap_or_default()
    }

    /// These and all that they need, ascending.
    pub(super) fn with_needs(&self, those: impl IntoIterator<Item = usize>) -> Vec<usize> {
        let mut seen = vec![false; self.services.len()];
        let mut next: Vec<usize> = those.into_iter().collect();
        let mut all = Vec::new();
        while let Some(number) = next.pop() {
            if !std::mem::replace(&mut seen[number], true) {
                all.push(number);
                next.extend(&self.needs[number]);
            }
        }
        all.sort_unstable();
        all
    }

    /// All services that need one of these, by number, nearest first: each with the next one on
    /// its way there, none for those themselves.
    pub(super) fn toward(&self, those: impl IntoIterator<Item = usize>) -> Vec<Option<Option<usize>>> {
        let mut needed_by: Vec<Vec<usize>> = vec![Vec::new(); self.services.len()];
        for (number, needs) in self.needs.iter().enumerate() {
            needs.iter().for_each(|&need| needed_by[need].push(number));
        }
        let mut toward = vec![None; self.services.len()];
        let mut queue: std::collections::VecDeque<usize> = those.into_iter().collect();
        queue.iter().for_each(|&number| toward[number] = Some(None));
        while let Some(number) = queue.pop_front() {
            for &above in &needed_by[number] {
                if toward[above].is_none() {
                    toward[above] = Some(Some(number));
                    queue.push_back(above);
                }
            }
        }
        toward
    }
}
