//! Names that point at nothing, or at something of another kind.

use crate::bundle::{Document, Documents};
use crate::decode::{Reference, Target};
use crate::finding::code;
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
            let (code, what, known): (_, _, Names<'_>) = match reference.target {
                Target::Site => (code::UNKNOWN_SITE, "site", (&fleet.sites).into()),
                Target::Service => (code::UNKNOWN_SERVICE, "service", (&fleet.services).into()),
                Target::Role => (code::UNKNOWN_ROLE, "role", (&fleet.roles).into()),
                Target::Playbook => (code::UNKNOWN_PLAYBOOK, "playbook", playbooks.into()),
                Target::Input => (code::UNKNOWN_INPUT, "input", (&inputs).into()),
                Target::Resource(kind) => {
                    findings.extend(resource(fleet, reference, kind));
                    continue;
                }
            };
            if !(known.has)(name) {
                let message = format!("there is no {what} {}", quoted(name));
                findings.push(Finding::new(code, reference.at, message).did_you_mean(name, (known.all)()));
            }
        }
    }
}

/// The names of one kind, to look up and to list.
struct Names<'a> {
    has: Box<dyn Fn(&str) -> bool + 'a>,
    all: Box<dyn Fn() -> Vec<&'a str> + 'a>,
}

impl<'a, K: Ord + Borrow<str>, V> From<&'a BTreeMap<K, V>> for Names<'a> {
    fn from(map: &'a BTreeMap<K, V>) -> Self {
        Self {
            has: Box::new(|name| map.contains_key(name)),
            all: Box::new(|| map.keys().map(Borrow::borrow).collect()),
        }
    }
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
