//! The load that comes to a destination, against what it can carry: tier by tier, in the order
//! in which they return.

use super::model::Model;
use super::order::Order;
use super::{Book, areas};
use crate::finding::{Finding, Findings, code, quoted};
use crate::fleet::Service;
use crate::source::Place;
use std::collections::{BTreeMap, BTreeSet};

/// What of a service's load comes to a destination.
struct Coming {
    service: usize,
    tier: u64,
    /// The step that brings it back; what no step does, is there at once.
    place: usize,
    load: u128,
}

/// Of the books, each with its order if it has one.
pub(crate) fn lint(
    model: &Model<'_>,
    books: &[Book<'_>],
    orders: &[Option<Order<'_>>],
    findings: &mut Findings,
) {
    let carried = carried(model);
    for (book, order) in books.iter().zip(orders) {
        for &(from, to) in &book.ways {
            if let Some(at) = named(model, book, from, to) {
                let coming = coming(model, book, order.as_ref(), from);
                findings.extend(judge(model, at, &carried, &coming, from, to));
            }
        }
    }
}

/// Where the way is named: only those of `on_loss` are budgeted, because there it is known what
/// goes where.
fn named(model: &Model<'_>, book: &Book<'_>, from: usize, to: usize) -> Option<Place> {
    let entry = model.fleet.on_loss.iter().find(|entry| {
        entry.playbook.value == book.playbook.id.value
            && entry.site.value == *model.sites[from]
            && entry.to.value == *model.sites[to]
    });
    entry.map(|entry| entry.to.at)
}

/// What each site carries now.
fn carried(model: &Model<'_>) -> Vec<u128> {
    let mut carried = vec![0_u128; model.sites.len()];
    for (_, service) in &model.services {
        for site in service.active_in().filter_map(|site| model.site(site)) {
            carried[site] += part(model, service, |other| other == site);
        }
    }
    carried
}

/// The load of a service that its active placements in these sites carry, rounded up.
fn part(model: &Model<'_>, service: &Service, of: impl Fn(usize) -> bool) -> u128 {
    let share = |chosen: &dyn Fn(usize) -> bool| -> u128 {
        let active = service.runs_in.iter().filter(|(_, placement)| placement.active);
        let here = active.filter(|(site, _)| model.site(site).is_some_and(chosen));
        here.map(|(_, placement)| u128::from(placement.share)).sum()
    };
    match share(&|_| true) {
        0 => 0,
        whole => (u128::from(service.load.unwrap_or(0)) * share(&of)).div_ceil(whole),
    }
}

/// The load that leaves `from` with this playbook, in the order of its return.
fn coming(model: &Model<'_>, book: &Book<'_>, order: Option<&Order<'_>>, from: usize) -> Vec<Coming> {
    let mut places: BTreeMap<usize, usize> = BTreeMap::new();
    for (place, restored) in order.iter().flat_map(|order| order.restores.iter().enumerate()) {
        for &service in restored {
            places.entry(service).or_insert(place + 1);
        }
    }
    let mut coming: Vec<Coming> = book
        .moved
        .iter()
        .map(|&service| Coming {
            service,
            tier: model.services[service].1.tier,
            place: places.get(&service).copied().unwrap_or_default(),
            load: part(model, model.services[service].1, |site| site == from),
        })
        .collect();
    coming.sort_by_key(|coming| (coming.tier, coming.place, coming.service));
    coming
}

fn judge(
    model: &Model<'_>,
    at: Place,
    carried: &[u128],
    coming: &[Coming],
    from: usize,
    to: usize,
) -> Option<Finding> {
    let site = |number: usize| &model.fleet.sites[model.sites[number]];
    let (name, lost) = (quoted(model.sites[to].as_str()), areas::single(model, from).name);
    let load: u128 = coming.iter().map(|coming| coming.load).sum();
    let unknown = coming
        .iter()
        .filter(|coming| model.services[coming.service].1.load.is_none())
        .filter(|coming| model.services[coming.service].1.is_active_in(model.sites[from]))
        .count();
    let Some(capacity) = site(to).capacity else {
        // What the lost site could carry is the most that can come, when nobody says what does.
        let most = if load > 0 { load } else { site(from).capacity.map(u128::from).unwrap_or_default() };
        let against = if most > 0 { format!(", against a load of {most}") } else { String::new() };
        return (load > 0 || model.fleet.full_proof).then(|| {
            Finding::new(
                code::CAPACITY_UNKNOWN,
                at,
                format!("nothing says what {name} can carry once {lost} is lost{against}"),
            )
            .help("give the site a `capacity`, in the unit of the services' `load`")
        });
    };
    if unknown > 0 && model.fleet.full_proof {
        let message =
            format!("nothing says what {unknown} services that come to {name} weigh once {lost} is lost");
        return Some(
            Finding::new(code::CAPACITY_UNKNOWN, at, message)
                .help("give each service a `load`, in the unit of the sites' `capacity`"),
        );
    }
    let free = u128::from(capacity).saturating_sub(carried[to]);
    (load > free).then(|| {
        let message = format!(
            "{name} has room for {free} of the load of {load} that comes once {lost} is lost: {}",
            tiers(model, coming, free)
        );
        Finding::new(code::CAPACITY, at, message)
            .label(format!("capacity {capacity}, of which {} is in use", carried[to]))
            .help("add capacity, take load off what is there, or leave tiers out and say so in their objectives")
    })
}

/// Which tiers fit and which do not: "tier 0 fits; of tier 1 `login` fits, `talk` does not;
/// tier 2 does not".
fn tiers(model: &Model<'_>, coming: &[Coming], free: u128) -> String {
    let mut left = free;
    let mut full = false;
    let mut parts = Vec::new();
    let tiers: BTreeSet<u64> = coming.iter().filter(|c| c.load > 0).map(|coming| coming.tier).collect();
    for tier in tiers {
        let of_tier: Vec<&Coming> = coming.iter().filter(|c| c.tier == tier && c.load > 0).collect();
        // What comes later does not overtake what did not fit.
        let fit = of_tier.iter().take_while(|coming| {
            full |= coming.load > left;
            if !full {
                left -= coming.load;
            }
            !full
        });
        let fit = fit.count();
        let name = |coming: Option<&&Coming>| {
            coming.map(|coming| quoted(model.services[coming.service].0.as_str())).unwrap_or_default()
        };
        parts.push(match fit {
            0 => format!("tier {tier} does not fit"),
            all if all == of_tier.len() => format!("tier {tier} fits"),
            some => format!(
                "of tier {tier} {some} of {} fit, from {} on they do not",
                of_tier.len(),
                name(of_tier.get(some))
            ),
        });
    }
    parts.join("; ")
}
