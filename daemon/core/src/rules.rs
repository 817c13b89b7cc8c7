//! What the fleet says to those who decide: sites, probes, numbers, who may act.
//!
//! A fleet is what people write; these are the parts of it that verdicts, guards and
//! decisions read, with everything resolved.

use crate::check::Check;
use crate::ids::{Identity, PlaybookId, SentryId, ServiceId, SiteId};
use crate::limits::{Limits, Serving};
use crate::site_lease::Guarding;
use crate::time::Span;
use crate::timing::Timing;
use crate::window::Window;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What a site is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Carries load.
    Active,
    /// Ready to carry it.
    Standby,
    /// Votes, carries no load.
    Witness,
}

/// How much may happen without a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Automation {
    /// Nothing: verdicts are shown.
    Off,
    /// A run is proposed with its evidence and waits for approval.
    #[default]
    Advise,
    /// A run starts by itself.
    Act,
}

/// What happens when a site is lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnLoss {
    /// The site.
    pub site: SiteId,
    /// What is run.
    pub playbook: PlaybookId,
    /// Where its services go.
    pub to: SiteId,
    /// How long the loss must be confirmed; at least the fleet's `confirm`.
    pub confirm: Span,
    /// What that moves: the services of the playbook, with what they need.
    pub moves: BTreeSet<ServiceId>,
}

/// How often it is looked whether what `on_loss` names could run, and what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looks {
    /// From one look to the next.
    pub every: Span,
    /// For how long one counts.
    pub max_age: Span,
    /// Whether nothing runs by itself without one that counts.
    pub required: bool,
}

impl Default for Looks {
    fn default() -> Self {
        Self { every: Span::secs(300), max_age: Span::secs(900), required: false }
    }
}

/// One probe of a site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Its place in the site's list, from 0: its name in observations and evidence.
    pub index: usize,
    /// What is asked.
    pub check: Check,
}

/// The parts of a fleet that decisions read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Every site and its role.
    pub sites: BTreeMap<SiteId, Role>,
    /// The windows.
    pub timing: Timing,
    /// How much may happen without a person.
    pub automation: Automation,
    /// Whether one member's view suffices, on one machine.
    pub single_observer: bool,
    /// Whether this fleet is a laboratory, where acting without an enforced fence is allowed.
    pub lab: bool,
    /// How many canaries there are; 0 when the fleet says `canaries: none`.
    pub canaries: usize,
    /// How often it is looked whether they could run.
    pub readiness: Looks,
    /// At most one entry per site.
    pub on_loss: Vec<OnLoss>,
    /// Who is what, by the names of certificates.
    pub roles: BTreeMap<String, BTreeSet<Identity>>,
    /// What is asked of each site; sites without probes are absent.
    pub probes: BTreeMap<SiteId, Vec<Probe>>,
    /// The services that are active in each site; sites without are absent.
    pub services: BTreeMap<SiteId, BTreeSet<ServiceId>>,
    /// What stops a site that is cut off; sites without are absent.
    pub sentries: BTreeMap<SiteId, BTreeMap<SentryId, Guarding>>,
    /// Sites whose power can be cut by a command.
    pub power_off: BTreeSet<SiteId>,
    /// What has to be on before anything runs by itself, by name.
    pub switches: BTreeMap<String, Switch>,
    /// When nothing runs by itself, by name.
    pub windows: BTreeMap<String, Window>,
    /// How much a run may touch.
    pub limits: Limits,
    /// Where each service serves, with how many instances.
    pub serving: Serving,
}

/// Something that people turn on and off.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// What it says when it is on.
    pub means: String,
    /// The services that are left alone while it is off; none: all.
    pub services: BTreeSet<ServiceId>,
}

impl Rules {
    /// What is run when `site` is lost.
    pub fn on_loss(&self, site: &SiteId) -> Option<&OnLoss> {
        self.on_loss.iter().find(|entry| entry.site == *site)
    }

    /// The switches that have to be on before anything leaves `site` by itself.
    pub fn switches_of<'a>(&'a self, site: &'a SiteId) -> impl Iterator<Item = &'a String> {
        let here = self.services.get(site);
        let touches = move |switch: &Switch| {
            switch.services.is_empty() || here.is_some_and(|here| !here.is_disjoint(&switch.services))
        };
        self.switches.iter().filter(move |(_, switch)| touches(switch)).map(|(name, _)| name)
    }

    /// The services active in `site` that none of its sentries stops.
    pub fn unguarded(&self, site: &SiteId) -> BTreeSet<&ServiceId> {
        let sentries = self.sentries.get(site);
        let guards = |service: &ServiceId| {
            sentries.is_some_and(|all| all.values().any(|sentry| sentry.services.contains(service)))
        };
        self.services.get(site).into_iter().flatten().filter(|service| !guards(service)).collect()
    }

    /// Whether `identity` has `role`.
    pub fn has_role(&self, identity: &Identity, role: &str) -> bool {
        self.roles.get(role).is_some_and(|members| members.contains(identity))
    }

    /// The sites that vote on `site`: all others.
    pub fn voters<'a>(&'a self, site: &'a SiteId) -> impl Iterator<Item = &'a SiteId> {
        self.sites.keys().filter(move |voter| *voter != site)
    }
}
