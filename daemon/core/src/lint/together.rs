//! Steps that lean on each other, and steps that get into each other's way.

use super::order::Way;
use super::steps::promotes;
use crate::decode::{Call, Value, Var};
use crate::finding::{Finding, Findings, code, quoted};
use crate::plan::{OnFailure, Unreachable};
use crate::playbook::{Entry, Playbook};
use crate::source::Place;
use std::collections::BTreeMap;

/// Reports steps that others name in `needs` although their failure is passed over.
pub(super) fn needed(playbook: &Playbook, findings: &mut Findings) {
    let mut needed_by: BTreeMap<&str, &str> = BTreeMap::new();
    for step in playbook.flat() {
        for need in step.needs.iter().flatten() {
            needed_by.entry(need.value.as_str()).or_insert(step.id.value.as_str());
        }
    }
    for entry in &playbook.steps {
        let (block, steps) = match entry {
            Entry::Step(step) => (None, std::slice::from_ref(&**step)),
            Entry::Parallel { id, steps } => (Some(id.value.as_str()), steps.as_slice()),
            // Its own steps were looked at in their own playbook.
            Entry::Group { .. } => continue,
        };
        for step in steps.iter().filter(|step| step.on_failure == OnFailure::Continue) {
            let name = step.id.value.as_str();
            let by = needed_by.get(name).or_else(|| needed_by.get(block?));
            if let Some(by) = by {
                let message = format!("{} needs {}, whose failure is passed over", quoted(by), quoted(name));
                findings.push(passed_over(step.key_at("on_failure"), message));
            }
        }
    }
}

/// Reports promotions and approvals that what follows goes on without.
pub(super) fn leaned_on(way: &Way<'_>, findings: &mut Findings) {
    let mut followed = vec![false; way.steps().len()];
    for place in 0..followed.len() {
        way.needs(place).iter().for_each(|&need| followed[need] = true);
    }
    for (step, _) in way.steps().iter().zip(followed).filter(|(_, followed)| *followed) {
        let (what, skips) = match step.call.spec.name {
            _ if promotes(&step.call) => ("the promotion", step.unreachable == Unreachable::Skip),
            "approval.ask" => ("the approval", false),
            _ => continue,
        };
        let key = match (step.on_failure, skips) {
            (OnFailure::Continue, _) => "on_failure",
            (_, true) => "unreachable",
            _ => continue,
        };
        let message = format!("what follows goes on without {what} {}", quoted(step.id.value.as_str()));
        findings.push(passed_over(step.key_at(key), message));
    }
}

fn passed_over(at: Place, message: String) -> Finding {
    Finding::new(code::PASSED_OVER, at, message)
        .help("leave it out: a person is asked when it fails, and may skip it by name")
}

/// What a step writes: no two steps may do so side by side.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Target<'a> {
    kind: &'static str,
    name: &'a str,
    /// For what stands in each site of its own.
    site: Option<&'static str>,
    path: &'a str,
}

impl<'a> Target<'a> {
    /// What is replaced by this, if that can be told. A POST adds, so two of them may be under
    /// way; of a command nothing is known.
    fn of(call: &'a Call) -> Option<Self> {
        let args = &call.args;
        let target = |kind, name| Some(Self { kind, name: args.text(name)?, site: None, path: "" });
        let in_site = |target: Self, key| Some(Self { site: Some(site(&args.get(key)?.value)?), ..target });
        match call.spec.name {
            "postgres.promote" => target("cluster", "cluster"),
            "dns.set" => target("record", "record"),
            "traffic.drain" | "traffic.ready" => in_site(target("route", "route")?, "at"),
            "traffic.shift" => in_site(target("route", "route")?, "to"),
            "http.request" if matches!(args.text("method"), Some("PUT" | "PATCH" | "DELETE")) => {
                let target = in_site(target("endpoint", "endpoint")?, "at")?;
                Some(Self { path: args.text("path")?, ..target })
            }
            _ => None,
        }
    }
}

fn site(value: &Value) -> Option<&'static str> {
    match value {
        Value::Var(Var::From) => Some("$from"),
        Value::Var(Var::To) => Some("$to"),
        _ => None,
    }
}

/// Reports steps that write one thing and do not wait for each other.
pub(super) fn writes(way: &Way<'_>, findings: &mut Findings) {
    let mut writers: BTreeMap<Target<'_>, usize> = BTreeMap::new();
    for (place, step) in way.steps().iter().enumerate() {
        let Some(target) = Target::of(&step.call) else { continue };
        let (kind, name, at) = (target.kind, target.name, target.site);
        // When each waits for the one before it, all wait for all before them.
        let Some(other) = writers.insert(target, place).filter(|&other| !way.precedes(other, place)) else {
            continue;
        };
        let [first, second] = [other, place].map(|place| way.steps()[place].id.value.as_str());
        let of_site = at.map(|site| format!(" at `{site}`")).unwrap_or_default();
        let message = format!(
            "{} and {} write the {kind} {}{of_site} side by side: which one lasts is chance",
            quoted(first),
            quoted(second),
            quoted(name)
        );
        findings.push(
            Finding::new(code::PARALLEL_WRITES, step.call.key_at, message)
                .help(format!("let one wait for the other: `needs: [{first}]`")),
        );
    }
}
