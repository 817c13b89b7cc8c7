//! What shows that a plan works: drills of whole sites, and times on record.

use super::model::{Model, numbers};
use super::{Book, closure};
use crate::bind::destination;
use crate::date::Date;
use crate::finding::{Finding, Findings, code, quoted};
use crate::fleet::control::{Evidence, Kind, Scope};
use crate::fleet::{OnLoss, ServiceKind};
use crate::plan::Mode;
use crate::playbook::Playbook;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn lint(
    model: &Model<'_>,
    books: &[Book<'_>],
    playbooks: &BTreeMap<&str, &Playbook>,
    today: Option<Date>,
    findings: &mut Findings,
) {
    for entry in &model.fleet.on_loss {
        findings.extend(drill(model, entry, today));
    }
    if model.fleet.full_proof {
        let moved: BTreeSet<usize> = books.iter().flat_map(|book| book.moved.iter().copied()).collect();
        for number in moved {
            findings.extend(time(model, number));
            findings.extend(replication(model, number));
        }
        let planned = playbooks.values().filter(|playbook| playbook.modes.contains(&Mode::Planned));
        let planned: Vec<_> =
            planned.map(|playbook| (*playbook, closure(model, numbers(model, &playbook.services)))).collect();
        for entry in &model.fleet.on_loss {
            findings.extend(way_back(model, books, &planned, entry));
        }
    }
}

/// The last time that a whole site was left on purpose, or in need.
fn drill(model: &Model<'_>, entry: &OnLoss, today: Option<Date>) -> Option<Finding> {
    let fleet = model.fleet;
    let site = &entry.site.value;
    let of_site = |record: &&Evidence| record.site.as_ref().is_some_and(|of| of.value == *site);
    let counts = |record: &&Evidence| {
        record.scope == Scope::Site && record.kind != Kind::Simulation && record.passed && of_site(record)
    };
    let Some(last) = fleet.evidence.iter().filter(counts).max_by_key(|record| record.date.value) else {
        let near = fleet.evidence.iter().any(|record| record.kind != Kind::Simulation);
        let but = if near { "; drills of load or of single services do not count" } else { "" };
        return fleet.full_proof.then(|| {
            Finding::new(
                code::NO_DRILL,
                entry.site.at,
                format!("no drill on record has left the whole of site {}{but}", quoted(site.as_str())),
            )
            .help("evidence: [{kind: drill, scope: site, site: …, date: …, result: passed}]")
        });
    };
    let days = today?.days_since(last.date.value);
    let most = fleet.drill_max_age;
    let old = u64::try_from(days).is_ok_and(|days| days.saturating_mul(86_400_000) > most.as_ms());
    let message = match (old, days < 0) {
        (true, _) => format!(
            "site {} was last left {days} days ago, on {}; at most {most} are allowed",
            quoted(site.as_str()),
            last.date.value
        ),
        (_, true) => format!("this drill of site {} lies in the future", quoted(site.as_str())),
        _ => return None,
    };
    Some(
        Finding::new(code::OLD_DRILL, last.date.at, message)
            .help("hold the drill again, and put it on record"),
    )
}

/// A promised time that nothing on record keeps.
fn time(model: &Model<'_>, number: usize) -> Option<Finding> {
    let (id, service) = model.services[number];
    let rto = service.rto?;
    let times = model.fleet.evidence.iter().filter(|record| record.passed);
    let best = times.filter_map(|record| record.took.get(id)).min();
    let message = match best {
        Some(took) if *took <= rto => return None,
        Some(took) => {
            format!("{} promises to be back in {rto}; the best on record is {took}", quoted(id.as_str()))
        }
        None => format!(
            "{} promises to be back in {rto}, and no run, drill or simulation on record shows it",
            quoted(id.as_str())
        ),
    };
    Some(
        Finding::new(code::NO_EVIDENCE, service.objectives_at.unwrap_or(service.at), message)
            .help("evidence: [{kind: simulation, …, took: {SERVICE: TIME}}]"),
    )
}

/// Data that is to come back elsewhere, and nothing says how it gets there.
fn replication(model: &Model<'_>, number: usize) -> Option<Finding> {
    let (id, service) = model.services[number];
    let elsewhere = service.runs_in.len() > 1;
    if service.kind != ServiceKind::Data || service.replication.is_some() || !elsewhere {
        return None;
    }
    let message = format!(
        "nothing says how the data of {} reach another site: its RPO is unknown",
        quoted(id.as_str())
    );
    Some(Finding::new(code::REPLICATION, service.at, message).help("replication: sync, or async"))
}

/// A way on which nobody can come back.
fn way_back(
    model: &Model<'_>,
    books: &[Book<'_>],
    planned: &[(&Playbook, BTreeSet<usize>)],
    entry: &OnLoss,
) -> Option<Finding> {
    let (from, to) = (&entry.site.value, &entry.to.value);
    let book = books.iter().find(|book| book.playbook.id.value == entry.playbook.value)?;
    let leaves: Vec<usize> = numbers(model, &book.playbook.services).collect();
    let back = planned.iter().any(|(playbook, moves)| {
        leaves.iter().all(|service| moves.contains(service))
            && destination(model.fleet, playbook, to, from).is_empty()
    });
    let message = format!(
        "there is no way back: no playbook of mode `planned` brings what {} moves from {} to {}",
        quoted(entry.playbook.value.as_str()),
        quoted(to.as_str()),
        quoted(from.as_str())
    );
    (!back).then(|| Finding::new(code::NO_RETURN, entry.playbook.at, message))
}
