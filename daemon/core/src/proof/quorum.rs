//! The voters of the coordination: losing any one area must leave a majority of them.

use super::areas;
use super::model::Model;
use crate::finding::{Finding, Findings, code};
use crate::source::Place;

/// How many voters there are, and what a majority of them is.
pub(crate) struct Voters {
    /// The site of each, by number.
    pub(crate) sites: Vec<usize>,
    at: Option<Place>,
}

impl Voters {
    /// Those that the fleet names.
    pub(crate) fn of(model: &Model<'_>) -> Self {
        let voters = &model.fleet.control.voters;
        Self {
            sites: voters.values().filter_map(|site| model.site(&site.value)).collect(),
            at: voters.values().map(|site| site.at).min(),
        }
    }

    pub(crate) fn majority(&self) -> usize {
        self.sites.len() / 2 + 1
    }

    /// How many are left when these sites are lost.
    pub(crate) fn left(&self, lost: impl Fn(usize) -> bool) -> usize {
        self.sites.iter().filter(|site| !lost(**site)).count()
    }
}

pub(crate) fn lint(model: &Model<'_>, findings: &mut Findings) {
    let voters = Voters::of(model);
    let Some(at) = voters.at else { return };
    let all = voters.sites.len();
    let domains = domains(model, &voters);
    if domains < 3 {
        let plural = if domains == 1 { "" } else { "s" };
        let message = format!(
            "{all} voters in {domains} failure domain{plural}: the loss of one may leave no majority"
        );
        findings.push(Finding::new(code::FEW_DOMAINS, at, message).help(
            "put them in three sites at least, with a power feed and a fire compartment of their own each",
        ));
        return;
    }
    let mut told = Vec::new();
    for area in areas::all(model) {
        let left = voters.left(|site| area.has(site));
        // Of the areas around a site only the first one is told.
        let known = told.iter().any(|sites: &Vec<usize>| sites.iter().all(|site| area.has(*site)));
        if left < voters.majority() && !known {
            let message = format!(
                "losing {} leaves {left} of {all} voters; {} are a majority",
                area.name,
                voters.majority()
            );
            let at = model
                .fleet
                .control
                .voters
                .values()
                .find(|site| model.site(&site.value).is_some_and(|s| area.has(s)));
            findings.push(
                Finding::new(code::NO_MAJORITY, at.map_or(voters.at, |site| Some(site.at)), message)
                    .label(format!("{} of them here", all - left))
                    .help("no site, power feed or fire compartment may hold half of the voters"),
            );
            told.push(area.sites);
        }
    }
}

/// How many of the voters' sites share neither power nor fire with another one, each group of
/// those that do counting once.
fn domains(model: &Model<'_>, voters: &Voters) -> usize {
    let mut group: Vec<usize> = (0..model.sites.len()).collect();
    for area in areas::shared(model) {
        let joined: Vec<usize> = area.sites.iter().map(|site| group[*site]).collect();
        let first = joined.iter().copied().min().unwrap_or_default();
        group.iter_mut().filter(|of| joined.contains(of)).for_each(|of| *of = first);
    }
    let mut groups: Vec<usize> = voters.sites.iter().map(|site| group[*site]).collect();
    groups.sort_unstable();
    groups.dedup();
    groups.len()
}
