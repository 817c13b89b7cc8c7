//! Names that point at nothing, or at something of another kind.

use crate::bundle::{Document, Documents};
use crate::decode::{Reference, Target};
use crate::finding::code::{self, Code};
use crate::finding::{Finding, Findings, quoted};
use crate::fleet::Fleet;
use crate::playbook::Playbook;
use crate::schema::ResourceKind;
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
                Target::Site => {
                    unknown(reference, code::UNKNOWN_SITE, "site", fleet.sites.keys().map(|k| k.as_str()))
                }
                Target::Service => unknown(
                    reference,
                    code::UNKNOWN_SERVICE,
                    "service",
                    fleet.services.keys().map(|k| k.as_str()),
                ),
                Target::Role => {
                    unknown(reference, code::UNKNOWN_ROLE, "role", fleet.roles.keys().map(String::as_str))
                }
                Target::Playbook => {
                    unknown(reference, code::UNKNOWN_PLAYBOOK, "playbook", playbooks.keys().copied())
                }
                Target::Input => unknown(reference, code::UNKNOWN_INPUT, "input", inputs.keys().copied()),
                Target::Resource(kind) => resource(fleet, reference, kind),
            });
        }
    }
}

fn unknown<'a>(
    reference: &Reference,
    code: Code,
    what: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Option<Finding> {
    let name = reference.name.as_str();
    if known.clone().any(|known| known == name) {
        return None;
    }
    Some(
        Finding::new(code, reference.at, format!("there is no {what} {}", quoted(name)))
            .did_you_mean(name, known),
    )
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
