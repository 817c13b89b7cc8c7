//! The order in which a playbook brings services back, against what each of them needs.

use super::model::{Model, numbers};
use super::{Book, closure};
use crate::bind::Graph;
use crate::decode::{Value, Var};
use crate::finding::{Finding, Findings, code, quoted};
use crate::plan::Mode;
use crate::playbook::Step;
use crate::schema::Type;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Steps of a book by their place in the order of running, each with what ran before it.
pub(crate) struct Order<'a> {
    /// In the order of running.
    pub(crate) steps: Vec<&'a Step>,
    /// For each, as bits, the places of all steps that have ended when it starts.
    before: Vec<Vec<u64>>,
    /// The services that each brings back, by number.
    pub(crate) restores: Vec<BTreeSet<usize>>,
}

impl<'a> Order<'a> {
    /// Of a book in an emergency; nothing when its steps wait for each other.
    pub(crate) fn of(model: &Model<'_>, book: &Book<'a>) -> Option<Self> {
        let flat: Vec<&Step> = book.playbook.flat().collect();
        let order = Graph::of(book.playbook).ordered(&flat, Mode::Emergency).ok()?;
        let words = order.len().div_ceil(64);
        let mut before: Vec<Vec<u64>> = Vec::with_capacity(order.len());
        for ordered in &order {
            let mut bits = vec![0_u64; words];
            for &need in &ordered.needs {
                bits.iter_mut().zip(&before[need]).for_each(|(all, more)| *all |= more);
                bits[need / 64] |= 1 << (need % 64);
            }
            before.push(bits);
        }
        let steps: Vec<&Step> = order.iter().map(|ordered| flat[ordered.step]).collect();
        let restores = steps.iter().map(|step| restores(model, step)).collect();
        Some(Self { steps, before, restores })
    }

    fn is_before(&self, first: usize, second: usize) -> bool {
        self.before[second][first / 64] & (1 << (first % 64)) != 0
    }
}

/// The services that are back once a step has succeeded: those it names, or those
/// whose resource it acts on at the destination.
fn restores(model: &Model<'_>, step: &Step) -> BTreeSet<usize> {
    if !step.restores.is_empty() {
        return numbers(model, &step.restores).collect();
    }
    let args = &step.call.args;
    let fields = step.call.spec.fields.iter();
    let at_to = fields
        .clone()
        .filter(|field| matches!(field.ty, Type::Site))
        .any(|field| args.get(field.name).is_some_and(|value| value.value == Value::Var(Var::To)));
    if !at_to {
        return BTreeSet::new();
    }
    let resources = fields.filter(|field| matches!(field.ty, Type::Resource(_)));
    let names = resources.filter_map(|field| args.text(field.name));
    names.flat_map(|name| model.owners_of(name).iter().copied()).collect()
}

/// Of the orders of the books.
pub(crate) fn lint(model: &Model<'_>, orders: &[Option<Order<'_>>], findings: &mut Findings) {
    for order in orders.iter().flatten() {
        let late = dependencies(model, order, findings);
        findings.extend(tiers(model, order, &late));
    }
}

/// Services that are started before something that they need; the places of the steps that
/// bring that back too late.
fn dependencies(model: &Model<'_>, order: &Order<'_>, findings: &mut Findings) -> BTreeSet<usize> {
    // A service is back with the first step that restores it; what follows is traffic.
    let mut back = BTreeMap::new();
    for (place, restored) in order.restores.iter().enumerate() {
        for &service in restored {
            back.entry(service).or_insert(place);
        }
    }
    let mut too_late = BTreeSet::new();
    if back.len() < 2 {
        return too_late;
    }
    let waits = waits(model, &back, order.steps.len());
    for (&service, &place) in &back {
        let Some(bits) = waits.get(&service) else { continue };
        let late = (0..order.steps.len()).find(|other| {
            let needed = bits[other / 64] & (1 << (other % 64)) != 0;
            needed && *other != place && !order.is_before(*other, place)
        });
        if let Some(late) = late {
            too_late.insert(late);
            let path = path(model, service, &order.restores[late]);
            findings.push(too_early(model, order, service, place, late, path));
        }
    }
    too_late
}

/// For each service that is started, as bits, the steps by which what it needs is back. One
/// pass over what the started services need, each after its needs.
fn waits(model: &Model<'_>, back: &BTreeMap<usize, usize>, steps: usize) -> BTreeMap<usize, Vec<u64>> {
    let all = closure(model, back.keys().copied());
    let mut waits: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    let mut open: BTreeSet<usize> = BTreeSet::new();
    for first in all {
        let mut work = vec![first];
        while let Some(&service) = work.last() {
            // What needs itself was reported; here it is passed over.
            let missing: Vec<usize> = match open.insert(service) {
                true => {
                    model.needs_of(service).filter(|n| !waits.contains_key(n) && !open.contains(n)).collect()
                }
                false => Vec::new(),
            };
            if !missing.is_empty() {
                work.extend(missing);
                continue;
            }
            work.pop();
            if waits.contains_key(&service) {
                continue;
            }
            let mut bits = vec![0_u64; steps.div_ceil(64)];
            for need in model.needs_of(service) {
                if let Some(place) = back.get(&need) {
                    bits[place / 64] |= 1 << (place % 64);
                }
                for (all, more) in bits.iter_mut().zip(waits.get(&need).into_iter().flatten()) {
                    *all |= more;
                }
            }
            waits.insert(service, bits);
        }
    }
    waits
}

/// The shortest chain of needs from a service to one of these.
fn path(model: &Model<'_>, from: usize, to: &BTreeSet<usize>) -> Vec<usize> {
    let mut came: BTreeMap<usize, usize> = BTreeMap::new();
    let mut queue = VecDeque::from([from]);
    while let Some(service) = queue.pop_front() {
        if service != from && to.contains(&service) {
            let mut path = vec![service];
            while let Some(before) = path.last().and_then(|last| came.get(last)) {
                path.push(*before);
            }
            path.reverse();
            return path;
        }
        for need in model.needs_of(service) {
            if need != from && !came.contains_key(&need) {
                came.insert(need, service);
                queue.push_back(need);
            }
        }
    }
    vec![from]
}

fn too_early(
    model: &Model<'_>,
    order: &Order<'_>,
    service: usize,
    place: usize,
    late: usize,
    path: Vec<usize>,
) -> Finding {
    let name = |number: usize| model.services[number].0.to_string();
    let (early, late) = (order.steps[place], order.steps[late]);
    let needed = path.last().copied().unwrap_or(service);
    let message = format!(
        "the step {} starts {} before the step {} has brought back {}, which it needs",
        quoted(early.id.value.as_str()),
        quoted(&name(service)),
        quoted(late.id.value.as_str()),
        quoted(&name(needed))
    );
    Finding::new(code::TOO_EARLY, early.id.at, message)
        .path(path.into_iter().map(name))
        .help(format!("put it after {}", quoted(late.id.value.as_str())))
}

/// The first step that brings back a lower tier only after a higher one, for no need of it.
fn tiers(model: &Model<'_>, order: &Order<'_>, late: &BTreeSet<usize>) -> Option<Finding> {
    let tiers = |place: usize| order.restores[place].iter().map(|service| model.services[*service].1.tier);
    let found = (0..order.steps.len()).filter(|place| !late.contains(place)).find_map(|place| {
        let tier = tiers(place).min()?;
        let before = (0..place).filter(|other| order.is_before(*other, place));
        before
            .filter_map(|other| Some((tiers(other).max()?, other)))
            .find(|(above, _)| *above > tier)
            .map(|(above, other)| (tier, place, above, other))
    });
    found.map(|(tier, place, above, other)| {
        let message = format!(
            "the step {} brings back tier {tier} only after the step {} has brought back tier {above}",
            quoted(order.steps[place].id.value.as_str()),
            quoted(order.steps[other].id.value.as_str()),
        );
        Finding::new(code::TIER_ORDER, order.steps[place].id.at, message)
            .help("what everything else needs comes first; what need not wait can run in parallel")
    })
}
