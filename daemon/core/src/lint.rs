//! Static proof: what decoding cannot see because it needs all files.

pub(crate) mod bindings;
mod business;
mod effects;
mod fleet;
mod hosts;
mod limits;
mod objectives;
mod order;
mod people;
mod references;
mod sentries;
mod sql;
mod steps;
mod together;
mod traffic;

use crate::bundle::{Document, Documents};
use crate::compose;
use crate::date::Date;
use crate::finding::code::Group;
use crate::finding::{Finding, Findings, code, quoted};
use crate::fleet::Fleet;
use crate::playbook::Playbook;
use crate::proof;
use business::Business;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Adds what is wrong with all files together. Without `today` nothing is too old.
pub(crate) fn lint(documents: &Documents, today: Option<Date>, findings: &mut Findings) {
    let playbooks = playbooks(documents, findings);
    let fleet = the_fleet(documents, findings);
    let business = fleet.map(Business::of);
    for playbook in playbooks.values() {
        steps::lint(playbook, business.as_ref(), documents.cut, findings);
    }
    let composed = compose::all(&playbooks, findings);
    for playbook in composed.values().filter(|playbook| matches!(playbook, Cow::Owned(_))) {
        steps::composed(playbook, business.as_ref(), documents.cut, findings);
    }
    let (Some(fleet), Some(business)) = (fleet, business) else { return };
    fleet::lint(fleet, &playbooks, findings);
    objectives::data(fleet, &business, findings);
    if !documents.cut {
        let whole = composed.iter().map(|(name, playbook)| (*name, &**playbook)).collect();
        let inner = compose::inner(&playbooks);
        references::lint(documents, fleet, &playbooks, findings);
        limits::lint(fleet, &whole, findings);
        playbooks.values().for_each(|playbook| people::lint(fleet, playbook, findings));
        if fleet.sites.len() <= fleet::MAX_SITES {
            bindings::lint(fleet, &business, &whole, &inner, findings);
        }
        // Of what contradicts itself nothing more can be proven.
        match findings.has_errors_in(Group::Structure) {
            true => proof::cycles(fleet, findings),
            false => proof::prove(fleet, &whole, &inner, today, findings),
        }
    }
}

fn the_fleet<'a>(documents: &'a Documents, findings: &mut Findings) -> Option<&'a Fleet> {
    let mut fleets = documents.list.iter().filter_map(|document| match document {
        Document::Fleet { fleet, .. } => Some(&**fleet),
        Document::Playbook { .. } => None,
    });
    let first = fleets.next();
    // A file that cannot be read for what it is may be the fleet.
    if first.is_none() && !documents.cut && !documents.unknown {
        findings.push(
            Finding::new(code::NO_FLEET, None, "there is no fleet among these files")
                .help("give the file with `fleet: NAME` too, or its folder"),
        );
    }
    for other in fleets {
        let message = format!("{} is a second fleet", quoted(&other.name.value));
        findings
            .push(Finding::new(code::NO_FLEET, other.name.at, message).help("give the files of one fleet"));
    }
    first
}

fn playbooks<'a>(documents: &'a Documents, findings: &mut Findings) -> BTreeMap<&'a str, &'a Playbook> {
    let mut playbooks = BTreeMap::new();
    for document in &documents.list {
        let Document::Playbook { playbook, .. } = document else { continue };
        let name = playbook.id.value.as_str();
        if playbooks.contains_key(name) {
            let message = format!("{} is the name of another playbook already", quoted(name));
            findings.push(Finding::new(code::DUPLICATE_ID, playbook.id.at, message));
            continue;
        }
        playbooks.insert(name, &**playbook);
    }
    playbooks
}

#[cfg(test)]
mod steps_test;
#[cfg(test)]
pub(crate) mod tests;
