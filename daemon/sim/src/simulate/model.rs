//! What the simulation makes of a fleet and a plan: targets, and how each step behaves.

use super::expect::Pace;
use super::history::History;
use super::service::of_resource;
use crate::world::{Deed, Question, TakeBack, Targets};
use standfast_core::action::Action;
use standfast_core::bundle::Bundle;
use standfast_core::check::Check;
use standfast_core::fleet::{Service, ServiceKind};
use standfast_core::ids::{ResourceId, ServiceId, SiteId};
use standfast_core::plan::{self, Plan, Request};
use standfast_core::playbook::{Expected, Playbook, Step};
use std::collections::{BTreeMap, BTreeSet};

/// A step, as the model sees it.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) deed: Deed,
    pub(super) place: Option<usize>,
    /// Other places that an inspection asks first.
    pub(super) beside: Vec<usize>,
    pub(super) verify: Vec<Asked>,
    pub(super) pace: Pace,
    pub(super) previews: bool,
    /// What takes it back.
    pub(super) undo: Option<TakeBack>,
}

/// A condition, and what it is called in evidence.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) what: String,
    pub(super) question: Question,
}

/// Where each cluster has its primary: where its service is active, in the site that is left if
/// that is one of them.
pub(super) fn active(bundle: &Bundle, from: &SiteId) -> BTreeMap<ResourceId, SiteId> {
    let fleet = &bundle.fleet;
    let of_resource = of_resource(bundle);
    let of = |cluster: ResourceId, servers: Vec<SiteId>| {
        let services = of_resource.get(cluster.as_str()).into_iter().flatten();
        let active: Vec<&SiteId> = services
            .filter_map(|id| fleet.services.get(*id))
            .flat_map(Service::active_in)
            .filter(|site| servers.contains(*site))
            .collect();
        let site = if active.contains(&from) || (active.is_empty() && servers.contains(from)) {
            Some(from)
        } else {
            active.first().copied().or(servers.first())
        };
        site.cloned().map(|site| (cluster, site))
    };
    let databases = fleet.databases().into_iter();
    databases.filter_map(|(cluster, servers)| of(cluster, servers.into_keys().collect())).collect()
}

/// The data sets of a plan: those that it promotes, and those of the services that it moves.
pub(super) fn data(
    bundle: &Bundle,
    plan: &Plan,
    active: &BTreeMap<ResourceId, SiteId>,
) -> Vec<(ResourceId, SiteId)> {
    let Request { from, to, .. } = &plan.request;
    let promoted = plan.steps.iter().filter_map(|step| match &step.action {
        Action::PostgresPromote { database } => Some((database.cluster.clone(), database.site.clone())),
        _ => None,
    });
    let mut data: BTreeMap<ResourceId, SiteId> = promoted.collect();
    let moved: BTreeSet<&ServiceId> = plan.services.iter().collect();
    let keeps_data = |id: &&ServiceId| {
        let service = bundle.fleet.services.get(*id);
        moved.contains(*id) && service.is_some_and(|service| service.kind == ServiceKind::Data)
    };
    let of_resource = of_resource(bundle);
    for (cluster, site) in active {
        if of_resource.get(cluster.as_str()).is_some_and(|services| services.iter().any(keeps_data)) {
            let after = if site == from { to } else { site };
            data.entry(cluster.clone()).or_insert_with(|| after.clone());
        }
    }
    data.into_iter().collect()
}

pub(super) fn models(
    playbook: &Playbook,
    plan: &Plan,
    history: &History,
    targets: &mut Targets,
) -> Vec<Model> {
    let written: BTreeMap<_, &Step> = playbook.flat().map(|step| (&step.id.value, step)).collect();
    let expected =
        |step: &plan::Step| -> Option<Expected> { Some(written.get(&step.id)?.expect.as_ref()?.value) };
    let model = |step: &plan::Step| {
        let deed = targets.deed(&step.action);
        let undo = TakeBack::of(step, targets);
        let checks = step.verify.iter().flat_map(|verify| &verify.all);
        Model {
            place: targets.place_of(&deed),
            beside: targets.beside(&deed),
            verify: asked(checks, targets),
            pace: Pace::of(step, expected(step).as_ref(), history),
            previews: step.action.previews(),
            deed,
            undo,
        }
    };
    plan.steps.iter().map(model).collect()
}

pub(super) fn asked<'a>(checks: impl Iterator<Item = &'a Check>, targets: &mut Targets) -> Vec<Asked> {
    checks.map(|check| Asked { what: check.to_string(), question: targets.question(check) }).collect()
}
