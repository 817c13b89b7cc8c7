//! What can be lost at once: a site, or all sites that share a power feed or a fire compartment.

use super::Book;
use super::model::Model;
use crate::finding::quoted;
use std::collections::{BTreeMap, BTreeSet};

/// The sites of each feed or compartment.
type Groups<'a> = BTreeMap<&'a str, Vec<usize>>;

/// Sites that are lost together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Area {
    /// In a sentence: "site `a`", "the power feed `grid-1` (a, b)".
    pub(crate) name: String,
    /// By number, ascending.
    pub(crate) sites: Vec<usize>,
}

impl Area {
    pub(crate) fn has(&self, site: usize) -> bool {
        self.sites.binary_search(&site).is_ok()
    }

    pub(crate) fn is_one_site(&self) -> bool {
        self.sites.len() == 1
    }
}

/// All that a playbook may leave: single sites first.
pub(crate) fn of(model: &Model<'_>, books: &[Book<'_>]) -> Vec<Area> {
    let from = |book: &Book<'_>| book.ways.iter().map(|(from, _)| *from).collect::<Vec<_>>();
    let left: BTreeSet<usize> = books.iter().flat_map(from).collect();
    let mut areas: Vec<Area> = left.iter().map(|site| single(model, *site)).collect();
    areas.extend(shared(model).into_iter().filter(|area| area.sites.iter().any(|site| left.contains(site))));
    areas
}

/// One site.
pub(crate) fn single(model: &Model<'_>, site: usize) -> Area {
    Area { name: format!("site {}", quoted(model.sites[site].as_str())), sites: vec![site] }
}

/// Every set of at least two sites that share a power feed or a fire compartment, each once.
pub(crate) fn shared(model: &Model<'_>) -> Vec<Area> {
    let mut areas: Vec<Area> = Vec::new();
    let (mut power, mut fire): (Groups<'_>, Groups<'_>) = Default::default();
    for (number, site) in model.fleet.sites.values().enumerate() {
        for (groups, domain) in [(&mut power, &site.power), (&mut fire, &site.fire)] {
            if let Some(domain) = domain {
                groups.entry(domain.as_str()).or_default().push(number);
            }
        }
    }
    for (kind, groups) in [("the power feed", power), ("the fire compartment", fire)] {
        for (domain, sites) in groups.into_iter().filter(|(_, sites)| sites.len() > 1) {
            if areas.iter().all(|area| area.sites != sites) {
                let names: Vec<_> = sites.iter().map(|site| model.sites[*site].as_str()).collect();
                let name = format!("{kind} {} ({})", quoted(domain), names.join(", "));
                areas.push(Area { name, sites });
            }
        }
    }
    areas
}

/// Every area that could be lost: each site, and each shared domain.
pub(crate) fn all(model: &Model<'_>) -> Vec<Area> {
    (0..model.sites.len()).map(|site| single(model, site)).chain(shared(model)).collect()
}
