//! What takes a step back, and what must be seen before it may.

use super::{Came, Deed, Targets, World};
use standfast_core::action::{Action, FenceProof};
use standfast_core::ids::Epoch;
use standfast_core::plan::Step;

/// What takes a step back.
#[derive(Clone, Debug)]
pub struct TakeBack {
    /// What it does.
    pub deed: Deed,
    /// Whether one can see if it is done.
    pub previews: bool,
    /// Databases that must be seen to take no writes before.
    silent: Vec<usize>,
}

impl TakeBack {
    /// Of a step that has an undo.
    pub fn of(step: &Step, targets: &mut Targets) -> Option<Self> {
        let undo = step.undo_action()?;
        let proofs = match step.undo_proof.as_deref() {
            Some(Action::FenceProve { any_of, .. }) => any_of.as_slice(),
            _ => &[],
        };
        let databases = proofs.iter().filter_map(|proof| match proof {
            FenceProof::WritesRefused { databases, .. } => Some(databases),
            _ => None,
        });
        let silent = databases.flatten().map(|database| targets.database(&database.cluster, &database.site));
        let silent = silent.collect();
        Some(Self { deed: targets.deed(undo), previews: undo.previews(), silent })
    }
}

impl World {
    /// Takes a step back, if what must be proven before is: who does not answer proves nothing.
    pub fn take_back(&mut self, targets: &Targets, back: &TakeBack, epoch: Epoch) -> Came {
        let refuses = |database: &usize| {
            let site = targets.site_of(*database);
            self.answers(Some(site)) && !(self.primaries[*database] && self.sites[site].serves())
        };
        match back.silent.iter().all(refuses) {
            true => self.perform(targets, &back.deed, epoch),
            false => Came::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Places, Site};
    use super::*;
    use standfast_core::bind::bind;
    use standfast_core::bundle::Bundle;
    use standfast_core::plan::{Mode, Request};
    use standfast_core::source::SourceFile;

    const FLEET: &str = include_str!("../../../../playbooks/shop/fleet.yaml");
    const SHOP: &str = include_str!("../../../../playbooks/shop/shop.yaml");

    /// The orders were moved from a to b, and a has been made a standby; how b stands then.
    fn taken_back_while_b_is(stands: Site) -> (Came, World) {
        let drain = "undo: {traffic.ready: {route: front, at: $from}}";
        assert!(SHOP.contains(drain));
        let back = SHOP.replace(drain, "undo: {postgres.promote: {cluster: orders, at: $from}}");
        let files = [("fleet.yaml", FLEET.to_owned()), ("shop.yaml", back)];
        let files = files.map(|(name, text)| SourceFile::new(name, text)).to_vec();
        let (bundle, findings) = Bundle::load(files.clone());
        let bundle = bundle.unwrap_or_else(|| panic!("{}", findings.to_text(&files, false)));
        let request = Request {
            playbook: "shop".into(),
            from: "a".into(),
            to: "b".into(),
            mode: Mode::Drill,
            inputs: Default::default(),
        };
        let plan = bind(&bundle, &request).unwrap();
        let mut targets = Targets::new(Places::of(&bundle.fleet), bundle.fleet.sites.keys().cloned());
        for (cluster, servers) in bundle.fleet.databases() {
            servers.keys().for_each(|site| {
                targets.database(&cluster, site);
            });
        }
        let step = |id: &str| plan.steps.iter().find(|step| step.id.as_str() == id).unwrap();
        let promote = targets.deed(&step("promote").action);
        let back = TakeBack::of(step("drain"), &mut targets).unwrap();
        let mut world = World::new(&targets, &[("orders".into(), "a".into())].into());
        let (a, b) = (targets.site(&"a".into()).unwrap(), targets.site(&"b".into()).unwrap());
        world.set_site(a, Site { fenced: true, ..Site::default() });
        assert_eq!(world.perform(&targets, &promote, Epoch(1)), Came::Done);
        world.rebuild(&targets, a);
        world.set_site(a, Site::default());
        world.set_site(b, stands);
        (world.take_back(&targets, &back, Epoch(1)), world)
    }

    /// Situation: the undo of a step makes the old primary one again, and the new one is cut off and lives
    /// on. Danger: nobody contradicts, and two servers take writes. Expectation: nothing is taken back that
    /// is not proven to be alone: only once the new primary itself says that it takes no writes.
    #[test]
    fn nothing_is_made_a_primary_again_beside_one_that_does_not_answer() {
        let (came, world) = taken_back_while_b_is(Site::CUT_OFF);
        assert_eq!((came, world.wrong()), (Came::Refused, None));
        let (came, world) = taken_back_while_b_is(Site::default());
        assert_eq!((came, world.wrong()), (Came::Refused, None));
        let (came, world) = taken_back_while_b_is(Site { fenced: true, ..Site::default() });
        assert_eq!((came, world.wrong()), (Came::Done, None));
    }
}
