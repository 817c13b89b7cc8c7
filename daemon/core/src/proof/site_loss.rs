//! What cannot be done once an area is lost, and what that comes from.

use super::areas::Area;
use super::graph::{Loss, NodeId};
use super::model::{Model, numbers};
use super::{Asked, Book, What};
use crate::finding::code::{self, Code};
use crate::finding::{Finding, Findings, quoted};
use crate::fleet::{Service, ServiceKind};
use crate::plan::OnFailure;
use crate::source::Place;
use std::collections::{BTreeMap, BTreeSet};

/// What was reported of single sites; not again of the areas that hold them.
pub(crate) type Seen = BTreeSet<(&'static str, Place)>;

/// Reports what a loss leaves undone. `loss` is that of `area`.
pub(crate) fn judge(
    model: &Model<'_>,
    books: &[Book<'_>],
    asked: &BTreeMap<usize, Vec<Asked<'_>>>,
    area: &Area,
    loss: &mut Loss,
    seen: &mut Seen,
    findings: &mut Findings,
) {
    let mut report = |finding: Finding| {
        if let Some(at) = finding.at
            && (seen.insert((finding.code.id, at)) || area.is_one_site())
        {
            findings.push(finding);
        }
    };
    shared_with_destination(model, books, area, &mut report);
    // What asks for each dead node, the first one named.
    let mut askers: BTreeMap<NodeId, String> = BTreeMap::new();
    let mut undone = BTreeSet::new();
    for asked in area.sites.iter().filter_map(|site| asked.get(site)).flatten() {
        if area.has(asked.to) {
            continue;
        }
        let dead = asked.needs.dead(loss);
        let Some(&nearest) = dead.first() else { continue };
        for node in &dead {
            askers.entry(*node).or_insert_with(|| asked.what.name());
        }
        // Its verification would say the same.
        if let What::Verify(step) = asked.what
            && undone.contains(&(asked.book, step.id.at))
        {
            continue;
        }
        if let What::Act(step) = asked.what {
            undone.insert((asked.book, step.id.at));
        }
        report(undone_finding(model, area, asked, loss.way(nearest)));
    }
    let leaving = books.iter().filter(|book| book.leaves(area));
    let moved: BTreeSet<usize> = leaving.clone().flat_map(|book| book.moved.iter().copied()).collect();
    let named = leaving.clone().flat_map(|book| numbers(model, &book.playbook.services));
    let services = named.map(|service| model.service_node(service));
    let people = ["identity", "registries"].into_iter().filter_map(|key| model.list(key));
    // What a step asks for is told by that step, even when it is moved as well.
    let mut bottoms = loss.bottom(&model.graph, askers.keys().copied());
    bottoms.extend(loss.bottom(&model.graph, people));
    bottoms.extend(loss.bottom(&model.graph, services));
    for bottom in bottoms {
        if let Some(number) = model.service_of(bottom) {
            let down = loss.way_down(bottom);
            let asker = down.first().and_then(|node| askers.get(node));
            let names = down.iter().map(|node| model.graph.label(*node).to_owned());
            let end = loss.way(bottom).into_iter().skip(1);
            let site = end.map(|node| model.graph.label(node).to_owned());
            let path: Vec<_> = asker.into_iter().cloned().chain(names).chain(site).collect();
            report(bottom_finding(model, area, loss, number, path));
        }
    }
    for &number in &moved {
        // What is missing at the places of its own is missing whatever becomes of its needs.
        if loss.last_place(model.service_node(number)).is_none() {
            partial(model, area, number).into_iter().for_each(&mut report);
        }
    }
}

impl What<'_> {
    fn name(&self) -> String {
        match self {
            Self::Require(condition) => (*condition).to_owned(),
            Self::Act(step) | Self::Verify(step) => step.id.value.to_string(),
            Self::Probe(_, site) => format!("the probe of {site}"),
        }
    }
}

/// The destination is lost with the site.
fn shared_with_destination(
    model: &Model<'_>,
    books: &[Book<'_>],
    area: &Area,
    report: &mut impl FnMut(Finding),
) {
    for book in books {
        for (from, to) in book.ways.iter().filter(|(from, to)| area.has(*from) && area.has(*to)) {
            let (from, to) = (model.sites[*from], model.sites[*to]);
            let named = model.fleet.on_loss.iter().find(|entry| {
                entry.site.value == *from
                    && entry.to.value == *to
                    && entry.playbook.value == book.playbook.id.value
            });
            let at = named.map_or(book.playbook.id.at, |entry| entry.to.at);
            let message = format!(
                "the playbook {} leaves {} for {}, and {} holds both",
                quoted(book.playbook.id.value.as_str()),
                quoted(from.as_str()),
                quoted(to.as_str()),
                area.name
            );
            report(
                Finding::new(code::SHARED_FATE, at, message)
                    .label("lost with it")
                    .help("go to a site with another power feed and another fire compartment"),
            );
        }
    }
}

fn undone_finding(model: &Model<'_>, area: &Area, asked: &Asked<'_>, way: Vec<NodeId>) -> Finding {
    let name = quoted(&asked.what.name());
    let path = std::iter::once(asked.what.name())
        .chain(way.iter().map(|node| model.graph.label(*node).to_owned()))
        .collect::<Vec<_>>();
    let (code, message) = match asked.what {
        What::Require(_) => {
            (code::CANNOT_RUN, format!("this requirement cannot be asked once {} is lost", area.name))
        }
        What::Act(step) if step.on_failure == OnFailure::Continue => (
            code::PARTIAL,
            format!(
                "the step {name} cannot be done once {} is lost: the run can only end PARTIAL",
                area.name
            ),
        ),
        What::Act(_) => {
            (code::CANNOT_RUN, format!("the step {name} cannot be done once {} is lost", area.name))
        }
        What::Verify(_) => {
            (code::CANNOT_RUN, format!("the step {name} cannot be verified once {} is lost", area.name))
        }
        What::Probe(..) => (
            code::CANNOT_RUN,
            format!(
                "this probe fails once {} is lost, and {} will not be taken for healthy",
                area.name,
                quoted(model.sites[asked.to].as_str())
            ),
        ),
    };
    let finding = Finding::new(code, asked.at, message).path_to_lost(path);
    match (way.as_slice(), asked.what) {
        // It acts on the lost site itself.
        ([_, _], What::Act(_)) if is_site(model, way[1]) && model.service_of(way[0]).is_none() => finding
            .help("a lost site does not answer: act on `$to`, or write `unreachable: skip` if it may be left out"),
        _ => finding,
    }
}

fn is_site(model: &Model<'_>, node: NodeId) -> bool {
    node.index() < model.sites.len()
}

/// A service whose own places are lost, and which something needs.
fn bottom_finding(model: &Model<'_>, area: &Area, loss: &Loss, number: usize, path: Vec<String>) -> Finding {
    let (id, service) = model.services[number];
    let name = quoted(id.as_str());
    let inside = |service: &Service| -> u64 {
        let here = service.runs_in.iter().filter(|(site, _)| model.site(site).is_some_and(|s| area.has(s)));
        here.map(|(_, placement)| placement.copies).fold(0, u64::saturating_add)
    };
    let copies = inside(service);
    let left = share_left(model, service, |site| area.has(site));
    let (code, message): (Code, String) = match service.kind {
        _ if loss.last_place(model.service_node(number)).is_some_and(|place| !is_site(model, place)) => (
            code::TOOLING_TRAP,
            format!("{name} runs outside of {} too, but is reached there through it", area.name),
        ),
        ServiceKind::Data if left > 0 => (
            code::NO_COPY,
            format!("{name} has no full copy outside of {}: {left} percent are left", area.name),
        ),
        _ if copies > 1 => (
            code::INSIDE_ONLY,
            format!("{name} is redundant ({copies} copies), but only inside of {}", area.name),
        ),
        ServiceKind::Data => (code::NO_COPY, format!("{name} has no copy outside of {}", area.name)),
        ServiceKind::Tooling | ServiceKind::Traffic => {
            (code::TOOLING_TRAP, format!("{name} is needed for leaving {}, and lives only there", area.name))
        }
        ServiceKind::App | ServiceKind::People => {
            (code::ONLY_THERE, format!("{name} lives only in {}, and others need it", area.name))
        }
    };
    let at = service.runs_in.values().map(|placement| placement.at).next().unwrap_or(service.at);
    let finding = Finding::new(code, at, message + &stopped(model, loss, number)).path_to_lost(path);
    finding.help(match service.kind {
        ServiceKind::Data => "keep a whole copy in a site that is not lost with it",
        _ => "run it in a site that is not lost with it too, or do without it when leaving",
    })
}

/// The services that need this one and are dead with it, a few by name.
fn stopped(model: &Model<'_>, loss: &Loss, number: usize) -> String {
    let by = model.graph.needed_by(model.service_node(number));
    let by: BTreeSet<usize> =
        by.filter(|node| loss.is_dead(*node)).filter_map(|n| model.service_of(n)).collect();
    let names: Vec<_> = by.iter().take(3).map(|number| quoted(model.services[*number].0.as_str())).collect();
    match (names.len(), by.len()) {
        (0, _) => String::new(),
        (1, _) => format!("; {} does not come back without it", names[0]),
        (shown, all) if shown < all => {
            format!("; {} and {} more do not come back without it", names.join(", "), all - shown)
        }
        _ => format!("; {} do not come back without it", names.join(", ")),
    }
}

/// How much of a service is left outside, in percent.
fn share_left(model: &Model<'_>, service: &Service, lost: impl Fn(usize) -> bool) -> u32 {
    let left = service.runs_in.iter().filter(|(site, _)| model.site(site).is_some_and(|site| !lost(site)));
    left.map(|(_, placement)| placement.share).sum()
}

/// A service that comes back in part.
fn partial(model: &Model<'_>, area: &Area, number: usize) -> Option<Finding> {
    let (id, service) = model.services[number];
    let whole = share_left(model, service, |_| false).min(100);
    let left = share_left(model, service, |site| area.has(site));
    if left >= whole {
        return None;
    }
    let message = format!(
        "{} comes back in part: {left} percent of it can be carried without {}, so that leaving it can only \
         end PARTIAL",
        quoted(id.as_str()),
        area.name
    );
    let outside = service.runs_in.iter().find(|(site, _)| model.site(site).is_some_and(|s| !area.has(s)));
    let at = outside.map_or(service.at, |(_, placement)| placement.at);
    Some(Finding::new(code::PARTIAL, at, message).label("not all of it"))
}
