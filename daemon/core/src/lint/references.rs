//! Names that point at nothing, or at something of another kind.

use crate::bundle::{Document, Documents};
use crate::decode::{Reference, Target};
use crate::finding::code::{self, Code};
use crate::finding::{Finding, Findings, quoted};
use crate::fleet::Fleet;
use crate::playbook::Playbook;
use crate::schema::ResourceKind;
use std::borrow::Borrow;
use std::collections::BTreeMap;

pub(super) fn lint(
    documents: &Documents,
    fleet: &Fleet,
    playbooks: &BTreeMap<&str, &Playbook>,
    findings: &mut Findings,
) {
    let mut inputs: BTreeMap<&str, &Option<String>>;
    for document in &documents.list {
        let references = match document {
            Document::Fleet { references, .. } => {
                inputs = BTreeMap::new();
                references
            }
            Document::Playbook { playbook, references } => {
                inputs = playbook.inputs.iter().map(|(name, default)| (name.as_str(), default)).collect();
                references
            }
        };
        for reference in references {
            let name = reference.name.as_str();
            if fleet.broken.contains(name) {
                continue;
            }
            findings.extend(match reference.target {
                Target::Site => missing(&fleet.sites, reference, code::UNKNOWN_SITE, "site"),
                Target::Service => missing(&fleet.services, reference, code::UNKNOWN_SERVICE, "service"),
                Target::Role => missing(&fleet.roles, reference, code::UNKNOWN_ROLE, "role"),
                Target::Playbook => missing(playbooks, reference, code::UNKNOWN_PLAYBOOK, "playbook"),
                Target::Input => missing(&inputs, reference, code::UNKNOWN_INPUT, "input"),
                Target::Resource(kind) => resource(fleet, reference, kind),
            });
        }
    }
}

fn missing<K: Ord + Borrow<str>, V>(
    known: &BTreeMap<K, V>,
    reference: &Reference,
    code: Code,
    what: &str,
) -> Option<Finding> {
    let name = reference.name.as_str();
    if known.contains_key(name) {
        return None;
    }
    let message = format!("there is no {what} {}", quoted(name));
    Some(Finding::new(code, reference.at, message).did_you_mean(name, known.keys().map(Borrow::borrow)))
}

fn resource(fleet: &Fleet, reference: &Reference, kind: ResourceKind) -> Option<Finding> {
    let name = reference.name.as_str();
    let of_kind = fleet.resources.iter().filter(|(_, resource)| resource.body.kind() == kind);
    let known = of_kind.map(|(id, _)| id.as_str());
    let message = match fleet.resources.get(name).map(|resource| resource.body.kind()) {
        Some(found) if found == kind => return None,
        Some(found) => {
            format!(
                "the resource {} is of kind `{}`; this needs `{}`",
                quoted(name),
                found.name(),
                kind.name()
            )
        }
        None => format!("there is no resource {}", quoted(name)),
    };
    Some(Finding::new(code::UNKNOWN_RESOURCE, reference.at, message).did_you_mean(name, known))
}
