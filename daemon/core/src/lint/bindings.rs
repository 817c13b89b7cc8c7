//! Every playbook bound for every pair of sites that it can be run for: what a plan would
//! refuse in the night is found here.

use crate::bind::assemble;
use crate::finding::Findings;
use crate::fleet::Fleet;
use crate::ids::SiteId;
use crate::plan::Request;
use crate::playbook::Playbook;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn lint(fleet: &Fleet, playbooks: &BTreeMap<&str, &Playbook>, findings: &mut Findings) {
    for playbook in playbooks.values() {
        let inputs: BTreeMap<_, _> = playbook
            .inputs
            .iter()
            .filter_map(|(name, default)| Some((name.clone(), default.clone()?)))
            .collect();
        for (from, to) in pairs(fleet, playbook) {
            for &mode in &playbook.modes {
                let request = Request {
                    playbook: playbook.id.value.clone(),
                    from: from.clone(),
                    to: to.clone(),
                    mode,
                    inputs: inputs.clone(),
                };
                // Only its findings count here.
                let _ = assemble(fleet, playbook, &request, findings);
            }
        }
    }
}

/// The ways that `on_loss` names, else those between placements of its services.
fn pairs<'a>(fleet: &'a Fleet, playbook: &Playbook) -> BTreeSet<(&'a SiteId, &'a SiteId)> {
    let known = |site: &SiteId| fleet.sites.contains_key(site);
    let automatic: BTreeSet<_> = fleet
        .on_loss
        .iter()
        .filter(|entry| entry.playbook.value == playbook.id.value)
        .map(|entry| (&entry.site.value, &entry.to.value))
        .filter(|(from, to)| from != to && known(from) && known(to))
        .collect();
    if !automatic.is_empty() {
        return automatic;
    }
    let placements = playbook.services.iter().filter_map(|id| fleet.services.get(&id.value));
    let ways = placements.flat_map(|service| {
        let active = service.runs_in.iter().filter(|(_, active)| **active);
        active.flat_map(|(from, _)| service.runs_in.keys().map(move |to| (from, to)))
    });
    ways.filter(|(from, to)| from != to && known(from) && known(to)).collect()
}
