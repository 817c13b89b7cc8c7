//! What is the same in every seed: fleets, plans, and what there is to act upon.

use super::Mutant;
use super::fleets::{self, Manner};
use crate::world::{Deed, Places, Question, Targets, World};
use standfast_core::action::Action;
use standfast_core::bind::bind;
use standfast_core::bundle::Bundle;
use standfast_core::check::{Check, Kind};
use standfast_core::ids::{Digest, ResourceId, SiteId};
use standfast_core::plan::{Mode, Plan, Request, Step};
use standfast_core::source::SourceFile;
use standfast_core::time::Span;
use standfast_core::timing::Timing;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const FLEET: &str = include_str!("fleet.yaml");
const ORDERS: &str = include_str!("orders.yaml");
const STOCK: &str = include_str!("stock.yaml");
const MAIL: &str = include_str!("mail.yaml");

/// How long what the playbooks declare to linger does so; and as they say it.
const LINGERS: Duration = Duration::from_secs(12);
const DECLARED: &str = "linger: 12s";

/// One fleet under one timing.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) manner: Manner,
    pub(super) bundle: Arc<Bundle>,
    pub(super) targets: Targets,
    pub(super) world: World,
    pub(super) models: BTreeMap<Digest, Model>,
    /// What members should go by: a mutant goes by something else.
    pub(super) timing: Timing,
    /// By site: what each probe is called, and of what kind it is.
    pub(super) probes: Vec<Vec<(String, Kind)>>,
}

/// A plan, as the world understands it.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) deeds: Vec<Deed>,
    /// What takes each back, and how long that may still take effect.
    pub(super) undos: Vec<Option<(Deed, Duration)>>,
    /// How long each may still take effect when its leader is lost.
    pub(super) lingers: Vec<Duration>,
    pub(super) verify: Vec<Vec<(String, Question)>>,
    pub(super) require: Vec<(String, Question)>,
}

impl Case {
    fn new(manner: &Manner, mutant: Option<Mutant>) -> Self {
        let mut timing = Timing { hold_down: Span::secs(45), ..Timing::of(manner.profile) };
        timing.confirm = manner.confirm.map_or(timing.confirm, Span::secs);
        let fleet = manner.fleet(FLEET, mutant);
        let said = if mutant == Some(Mutant::NoLinger) { "linger: 1ms" } else { DECLARED };
        let files = vec![
            SourceFile::new("fleet.yaml", fleet),
            SourceFile::new("orders.yaml", ORDERS.replace(DECLARED, said)),
            SourceFile::new("stock.yaml", STOCK),
            SourceFile::new("mail.yaml", MAIL),
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
            models.insert(plan.digest(), modelled(&plan, &mut targets));
        }
        let active: BTreeMap<ResourceId, SiteId> =
            [("orders".into(), "a".into()), ("stock".into(), "b".into())].into();
        let kinds = bundle.fleet.probes();
        let of = |site: &SiteId| kinds[site].iter().map(|check| (check.to_string(), check.kind())).collect();
        let probes = targets.sites().iter().map(of).collect();
        let world = World::new(&targets, &active);
        Self { manner: *manner, bundle, targets, world, models, timing, probes }
    }

    pub(super) fn site(&self, place: usize) -> &SiteId {
        &self.targets.sites()[place]
    }
}

/// All bundles, one for each kind of fleet.
pub(super) fn cases(mutant: Option<Mutant>) -> Vec<Case> {
    fleets::MANNERS.iter().map(|manner| Case::new(manner, mutant)).collect()
}

/// Two more: a site is locked that has gone down three times; a loss is confirmed for longer than what
/// was read last counts.
#[cfg(test)]
pub(super) fn unusual(mutant: Option<Mutant>) -> [Case; 2] {
    let fast = fleets::MANNERS[2];
    let locked = Manner { name: "fast, act, locked", flaps: 3, ..fast };
    let patient = Manner { name: "fast, act, patient", confirm: Some(5), ..fast };
    [locked, patient].map(|manner| Case::new(&manner, mutant))
}

/// A plan of any of these bundles, as the world understands it.
pub(super) fn model<'a>(cases: &'a [Case], digest: &Digest) -> &'a Model {
    let model = cases.iter().find_map(|case| case.models.get(digest));
    model.expect("every plan is of a request that the simulator knows")
}

/// Every run that automation or people can want.
pub(super) fn requests() -> [Request; 5] {
    let (emergency, drill) = (Mode::Emergency, Mode::Drill);
    let wanted = [
        ("orders", "a", "b", emergency),
        ("orders", "a", "b", drill),
        ("stock", "b", "a", emergency),
        ("stock", "b", "a", drill),
        (MAILS, "b", "a", drill),
    ];
    wanted.map(|(playbook, from, to, mode)| Request {
        playbook: playbook.into(),
        from: from.into(),
        to: to.into(),
        mode,
        inputs: BTreeMap::new(),
    })
}

/// The playbook that only people start.
pub(super) const MAILS: &str = "mail";

fn modelled(plan: &Plan, targets: &mut Targets) -> Model {
    let mut asked = |check: &Check| (check.to_string(), targets.question(check));
    let require = plan.require.iter().map(|require| asked(&require.check)).collect();
    let verify = plan
        .steps
        .iter()
        .map(|step| step.verify.iter().flat_map(|verify| &verify.all).map(&mut asked).collect())
        .collect();
    let deeds = plan.steps.iter().map(|step| targets.deed(&step.action)).collect();
    let undo = |step: &Step| {
        let undo = step.undo_action()?;
        Some((targets.deed(undo), lingers(undo, step.timeout)))
    };
    let undos = plan.steps.iter().map(undo).collect();
    let lingers = plan.steps.iter().map(|step| lingers(&step.action, step.timeout)).collect();
    Model { deeds, undos, lingers, verify, require }
}

/// Whatever a playbook declares, the world does not care.
fn lingers(action: &Action, timeout: Span) -> Duration {
    match action {
        Action::HttpRequest { linger: Some(_), .. } => LINGERS,
        action => action.linger(timeout).0,
    }
}
