//! What is the same in every seed: fleets, plans, and what there is to act upon.

use crate::world::{Deed, Places, Question, Targets, World};
use standfast_core::bind::bind;
use standfast_core::bundle::Bundle;
use standfast_core::check::{Check, Kind};
use standfast_core::ids::{Digest, ResourceId, SiteId};
use standfast_core::plan::{Mode, Plan, Request};
use standfast_core::source::SourceFile;
use std::collections::BTreeMap;
use std::sync::Arc;

const FLEET: &str = include_str!("fleet.yaml");
const ORDERS: &str = include_str!("orders.yaml");
const STOCK: &str = include_str!("stock.yaml");

/// One fleet under one timing.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) bundle: Arc<Bundle>,
    pub(super) targets: Targets,
    pub(super) world: World,
    pub(super) models: BTreeMap<Digest, Model>,
    /// By site: what each probe is called, and of what kind it is.
    pub(super) probes: Vec<Vec<(String, Kind)>>,
}

/// A plan, as the world understands it.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) deeds: Vec<Deed>,
    pub(super) verify: Vec<Vec<(String, Question)>>,
    pub(super) require: Vec<(String, Question)>,
}

impl Case {
    fn new(name: &'static str, settings: &str) -> Self {
        let fleet = format!("{FLEET}\n{settings}\n");
        let files = vec![
            SourceFile::new("fleet.yaml", fleet),
            SourceFile::new("orders.yaml", ORDERS),
            SourceFile::new("stock.yaml", STOCK),
        ];
        let bundle = Arc::new(Bundle::load(files).0.expect("the fleet of the simulator has no errors"));
        let mut targets = Targets::new(Places::of(&bundle.fleet), bundle.fleet.sites.keys().cloned());
        for (cluster, servers) in bundle.fleet.databases() {
            servers.keys().for_each(|site| {
                targets.database(&cluster, site);
            });
        }
        let mut models = BTreeMap::new();
        for request in requests() {
            let plan = bind(&bundle, &request).expect("every request of the simulator binds");
            models.insert(plan.digest(), model(&plan, &mut targets));
        }
        let active: BTreeMap<ResourceId, SiteId> =
            [("orders".into(), "a".into()), ("stock".into(), "b".into())].into();
        let kinds = bundle.fleet.probes();
        let of = |site: &SiteId| kinds[site].iter().map(|check| (check.to_string(), check.kind())).collect();
        let probes = targets.sites().iter().map(of).collect();
        let world = World::new(&targets, &active);
        Self { name, bundle, targets, world, models, probes }
    }

    pub(super) fn site(&self, place: usize) -> &SiteId {
        &self.targets.sites()[place]
    }
}

/// All fleets: both presets of timing, with and without the permission to act.
pub(super) fn cases() -> Vec<Case> {
    [
        ("default, act", "timing: {hold_down: 45s}\nautomation: act"),
        ("default, advise", "timing: {hold_down: 45s}\nautomation: advise"),
        ("fast, act", "timing: {profile: fast, hold_down: 45s}\nautomation: act"),
    ]
    .map(|(name, settings)| Case::new(name, settings))
    .into()
}

/// Every run that automation or people can want.
pub(super) fn requests() -> impl Iterator<Item = Request> {
    let ways = [("orders", "a", "b"), ("stock", "b", "a")];
    ways.into_iter().flat_map(|(playbook, from, to)| {
        [Mode::Emergency, Mode::Drill].map(|mode| Request {
            playbook: playbook.into(),
            from: from.into(),
            to: to.into(),
            mode,
            inputs: BTreeMap::new(),
        })
    })
}

fn model(plan: &Plan, targets: &mut Targets) -> Model {
    let mut asked = |check: &Check| (check.to_string(), targets.question(check));
    let require = plan.require.iter().map(|require| asked(&require.check)).collect();
    let verify = plan
        .steps
        .iter()
        .map(|step| step.verify.iter().flat_map(|verify| &verify.all).map(&mut asked).collect())
        .collect();
    let deeds = plan.steps.iter().map(|step| targets.deed(&step.action)).collect();
    Model { deeds, verify, require }
}
