//! Claimed redundancy against that of the weakest thing a service needs.

use super::areas::{self, Area};
use super::model::Model;
use crate::finding::{Finding, Findings, code, quoted};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The most losses at once that can be claimed.
const MOST: u64 = 2;

pub(crate) fn lint(model: &Model<'_>, findings: &mut Findings) {
    let claims: Vec<(usize, u64)> = (0..model.services.len())
        .filter_map(|number| Some((number, model.services[number].1.survives.as_ref()?.value)))
        .collect();
    if claims.is_empty() {
        return;
    }
    let areas = areas::all(model);
    let around = around(model, &areas);
    for losses in 1..=MOST {
        let claimants: Vec<usize> =
            claims.iter().filter(|(_, claimed)| *claimed == losses).map(|(number, _)| *number).collect();
        let needed = super::closure(model, claimants.iter().copied());
        let mut weak = BTreeMap::new();
        for number in needed {
            if let Some(lost) = weakness(model, &areas, &around, number, losses) {
                weak.insert(number, lost);
            }
        }
        let next = nearest(model, weak.keys().copied());
        for claimant in claimants {
            if let Some(path) = way(&next, claimant) {
                findings.push(finding(model, &areas, losses, &path, &weak));
            }
        }
    }
}

/// The areas that each site belongs to, by number.
fn around(model: &Model<'_>, areas: &[Area]) -> Vec<Vec<usize>> {
    let mut around = vec![Vec::new(); model.sites.len()];
    for (number, area) in areas.iter().enumerate() {
        area.sites.iter().for_each(|site| around[*site].push(number));
    }
    around
}

/// So many areas or fewer whose loss leaves less than the whole of a service, if there are any.
fn weakness(
    model: &Model<'_>,
    areas: &[Area],
    around: &[Vec<usize>],
    number: usize,
    losses: u64,
) -> Option<Vec<usize>> {
    let places = model.services[number].1.runs_in.iter();
    let places: Vec<(usize, u32)> =
        places.filter_map(|(site, placement)| Some((model.site(site)?, placement.share))).collect();
    let whole = places.iter().map(|(_, share)| *share).sum::<u32>().min(100);
    let broken = |lost: &[usize]| {
        let left = places.iter().filter(|(site, _)| !lost.iter().any(|area| areas[*area].has(*site)));
        left.map(|(_, share)| *share).sum::<u32>() < whole
    };
    let candidates: BTreeSet<usize> =
        places.iter().flat_map(|(site, _)| around[*site].iter().copied()).collect();
    let candidates: Vec<usize> = candidates.into_iter().collect();
    let one = candidates.iter().map(|area| vec![*area]).find(|lost| broken(lost));
    if one.is_some() || losses < 2 {
        return one;
    }
    let pairs = candidates
        .iter()
        .enumerate()
        .flat_map(|(place, first)| candidates[place + 1..].iter().map(move |second| vec![*first, *second]));
    pairs.into_iter().find(|lost| broken(lost))
}

/// From every service that needs a weak one, the next on the shortest way there.
fn nearest(model: &Model<'_>, weak: impl Iterator<Item = usize>) -> BTreeMap<usize, usize> {
    let mut queue: VecDeque<usize> = weak.collect();
    let mut next: BTreeMap<usize, usize> = queue.iter().map(|number| (*number, *number)).collect();
    while let Some(number) = queue.pop_front() {
        let by: Vec<usize> = model
            .graph
            .needed_by(model.service_node(number))
            .filter_map(|node| model.service_of(node))
            .filter(|by| !next.contains_key(by))
            .collect();
        for by in by {
            next.insert(by, number);
            queue.push_back(by);
        }
    }
    next
}

fn way(next: &BTreeMap<usize, usize>, from: usize) -> Option<Vec<usize>> {
    let mut way = vec![from];
    let mut last = from;
    loop {
        let step = *next.get(&last)?;
        if step == last {
            return Some(way);
        }
        way.push(step);
        last = step;
    }
}

fn finding(
    model: &Model<'_>,
    areas: &[Area],
    losses: u64,
    path: &[usize],
    weak: &BTreeMap<usize, Vec<usize>>,
) -> Finding {
    let name = |number: usize| quoted(model.services[number].0.as_str());
    let (first, last) = (path[0], path[path.len() - 1]);
    let lost = &weak[&last];
    let lost_names: Vec<_> = lost.iter().map(|area| areas[*area].name.as_str()).collect();
    let has = lost.len() as u64 - 1;
    let claim = format!("{} claims to survive the loss of {losses}", name(first));
    let message = match first == last {
        true => format!(
            "{claim} and survives that of {has}: not the whole of it is left without {}",
            lost_names.join(" and ")
        ),
        false => format!(
            "{claim}, and {}, which it needs, survives that of {has}: not the whole of it is left without {}",
            name(last),
            lost_names.join(" and ")
        ),
    };
    let sites = areas[lost[0]].sites.iter().take(1).map(|site| model.sites[*site].to_string());
    let path = path.iter().map(|number| model.services[*number].0.to_string()).chain(sites);
    let at = model.services[first].1.survives.as_ref().map(|claim| claim.at);
    Finding::new(code::WEAKER, at, message)
        .path_to_lost(path)
        .help("a service is as redundant as the weakest thing that it needs")
}
