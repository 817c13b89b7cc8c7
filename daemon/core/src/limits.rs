//! How much a run may touch, and what must not come of one.
//!
//! These bind everybody. Somebody in the role that the fleet names may waive one of them for one run,
//! by name.

use crate::guard::Guard;
use crate::ids::{RunId, ServiceId, SiteId};
use crate::rules::{Role, Rules};
use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// For how long a run counts for what is allowed in a day.
pub const DAY: Span = Span::secs(86_400);

/// What may be touched at most; none: as much as there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cap {
    /// Sites that are left.
    pub sites: Option<u64>,
    /// Services that are moved.
    pub services: Option<u64>,
    /// Instances of services that are left, in percent of all that serve.
    pub servers: Option<u64>,
}

/// What the fleet allows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Sites that have to be well beside the one that is left.
    pub min_serving: Option<u64>,
    /// What one run may touch.
    pub per_run: Cap,
    /// What the runs of a day may touch together.
    pub per_day: Cap,
    /// States that no run may end in.
    pub forbidden: Vec<Forbidden>,
    /// Who may waive a limit for one run; none: nobody.
    pub waived_by: Option<String>,
    /// Whether a run with anything waived waits for a second person.
    pub second_person: bool,
}

/// A state that no run may end in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forbidden {
    /// A service serves in a site.
    Active {
        /// Which.
        service: ServiceId,
        /// Where it must not.
        site: SiteId,
    },
    /// Two of these services serve in no site together.
    Apart(BTreeSet<ServiceId>),
    /// Two of these services serve in one site.
    Together(BTreeSet<ServiceId>),
}

/// What a run has left, or would.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// By which run.
    pub run: RunId,
    /// The site.
    pub site: SiteId,
    /// The services that served there.
    pub services: BTreeSet<ServiceId>,
    /// How many instances of them did.
    pub servers: u64,
    /// How long ago it began, on the clocks of those who led.
    pub age: Span,
}

/// A run that somebody wants, or that would begin.
#[derive(Clone, Debug, Default)]
pub struct Moving {
    /// The site that is left.
    pub from: SiteId,
    /// Where its services go.
    pub to: SiteId,
    /// The services of the playbook, with what they need.
    pub services: BTreeSet<ServiceId>,
    /// Sites that are well, in the eyes of others and in their own.
    pub well: BTreeSet<SiteId>,
    /// The runs of the last day.
    pub today: Vec<Moved>,
}

/// Where each service serves.
pub type Serving = BTreeMap<ServiceId, BTreeMap<SiteId, u64>>;

impl Moving {
    /// What it would leave: the services that serve there.
    pub fn leaves(&self, rules: &Rules) -> (BTreeSet<ServiceId>, u64) {
        let copies = |service: &ServiceId| rules.serving.get(service)?.get(&self.from).copied();
        let left: BTreeMap<&ServiceId, u64> =
            self.services.iter().filter_map(|service| Some((service, copies(service)?))).collect();
        (left.keys().map(|service| (*service).clone()).collect(), left.values().sum())
    }
}

/// Every limit that refuses a run, with its reason.
pub fn refusing(rules: &Rules, moving: &Moving) -> Vec<(Guard, String)> {
    let asked = [
        (Guard::Serving, serving(rules, moving)),
        (Guard::BlastRadius, radius(rules, moving)),
        (Guard::FinalState, end(rules, moving)),
    ];
    asked.into_iter().filter_map(|(guard, says)| Some((guard, says.err()?))).collect()
}

/// Whether enough sites are well beside the one that is left.
pub fn serving(rules: &Rules, moving: &Moving) -> Result<String, String> {
    let Some(needed) = rules.limits.min_serving else { return Ok("the fleet asks for no number".into()) };
    let carries = |site: &&SiteId| rules.sites.get(*site).is_some_and(|role| *role != Role::Witness);
    let well: Vec<&str> =
        moving.well.iter().filter(carries).filter(|site| **site != moving.from).map(SiteId::as_str).collect();
    let count = well.len() as u64;
    let named = if well.is_empty() { "none".to_owned() } else { well.join(", ") };
    match count >= needed {
        true => Ok(format!("well beside {}: {named}", moving.from)),
        false => Err(format!("well beside {}: {named}; the fleet wants {needed} (min_serving)", moving.from)),
    }
}

/// Whether it touches no more than a run may, and no more than is left of the day.
pub fn radius(rules: &Rules, moving: &Moving) -> Result<String, String> {
    let (services, servers) = moving.leaves(rules);
    let all: u64 = rules.serving.values().flat_map(BTreeMap::values).sum();
    // Rounded up: what is above the cap must not look like the cap.
    let percent = |servers: u64| (servers * 100).div_ceil(all.max(1));
    let run = (1, services.len() as u64, percent(servers));
    within(rules.limits.per_run, run).map_err(|what| format!("a run may leave {what}"))?;

    let mut sites: BTreeSet<&SiteId> = moving.today.iter().map(|moved| &moved.site).collect();
    sites.insert(&moving.from);
    let mut moved: BTreeSet<&ServiceId> = moving.today.iter().flat_map(|moved| &moved.services).collect();
    moved.extend(&services);
    let before: u64 = moving.today.iter().map(|moved| moved.servers).sum();
    let day = (sites.len() as u64, moved.len() as u64, percent(before + servers));
    let runs: Vec<&str> = moving.today.iter().map(|moved| moved.run.as_str()).collect();
    within(rules.limits.per_day, day).map_err(|what| match runs.is_empty() {
        true => format!("the runs of a day may leave {what}"),
        false => format!("the runs of a day may leave {what}, with {}", runs.join(", ")),
    })?;
    Ok(format!("{} services, {}% of what serves", run.1, run.2))
}

/// What is too much.
fn within(cap: Cap, (sites, services, servers): (u64, u64, u64)) -> Result<(), String> {
    let over = |cap: Option<u64>, is: u64| cap.filter(|cap| is > *cap);
    if let Some(cap) = over(cap.sites, sites) {
        return Err(format!("{cap} sites at most: this would be {sites}"));
    }
    if let Some(cap) = over(cap.services, services) {
        return Err(format!("{cap} services at most: this would be {services}"));
    }
    match over(cap.servers, servers) {
        Some(cap) => Err(format!("{cap}% of what serves at most: this would be {servers}%")),
        None => Ok(()),
    }
}

/// Whether it ends in no state that is forbidden.
pub fn end(rules: &Rules, moving: &Moving) -> Result<String, String> {
    let after = after(&rules.serving, moving);
    let met = rules.limits.forbidden.iter().find_map(|forbidden| forbidden.met_by(&after));
    match met {
        Some(what) => Err(format!("at its end {what}, which the fleet forbids")),
        None if rules.limits.forbidden.is_empty() => Ok("the fleet forbids no state".into()),
        None => Ok("at its end nothing is so that the fleet forbids".into()),
    }
}

/// Where services serve once it has ended well.
fn after(serving: &Serving, moving: &Moving) -> BTreeMap<ServiceId, BTreeSet<SiteId>> {
    let moved = |(service, sites): (&ServiceId, &BTreeMap<SiteId, u64>)| {
        let mut sites: BTreeSet<SiteId> = sites.keys().cloned().collect();
        if moving.services.contains(service) && sites.remove(&moving.from) {
            sites.insert(moving.to.clone());
        }
        (service.clone(), sites)
    };
    serving.iter().map(moved).collect()
}

impl Forbidden {
    /// What is so, if it is so now.
    pub fn met(&self, serving: &Serving) -> Option<String> {
        self.met_by(&after(serving, &Moving::default()))
    }

    fn met_by(&self, serving: &BTreeMap<ServiceId, BTreeSet<SiteId>>) -> Option<String> {
        let none = BTreeSet::new();
        let sites = |service: &ServiceId| serving.get(service).unwrap_or(&none);
        let pairs = |services: &BTreeSet<ServiceId>, together: bool| {
            let all = services.iter().enumerate();
            let mut pairs = all.flat_map(|(at, one)| {
                services.iter().skip(at + 1).map(move |other| (one.clone(), other.clone()))
            });
            pairs.find(|(one, other)| {
                let (one, other) = (sites(one), sites(other));
                !one.is_empty() && !other.is_empty() && one.is_disjoint(other) != together
            })
        };
        match self {
            Self::Active { service, site } => {
                sites(service).contains(site).then(|| format!("{service} serves in {site}"))
            }
            Self::Apart(services) => pairs(services, false)
                .map(|(one, other)| format!("{one} and {other} serve in no site together")),
            Self::Together(services) => {
                pairs(services, true).map(|(one, other)| format!("{one} and {other} serve in one site"))
            }
        }
    }
}

#[cfg(test)]
#[path = "limits_test.rs"]
mod tests;
