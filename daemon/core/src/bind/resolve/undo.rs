//! What must be proven before a step may be taken back.

use super::Scope;
use crate::action::{Action, FenceProof};
use crate::check::Database;

impl Scope<'_> {
    /// An undo that makes a primary must first prove that no other server of its cluster takes
    /// writes; any other undo needs no proof.
    pub fn undo_proof(&self, undo: &Action) -> Option<Action> {
        let own = undo.promotes()?;
        let mut servers = self.fleet.cluster(&own.cluster);
        servers.remove(&own.site);
        let databases: Vec<Database> = servers.into_values().collect();
        let site = databases.first()?.site.clone();
        let any_of = vec![FenceProof::WritesRefused { databases, witness: vec![own.clone()] }];
        Some(Action::FenceProve { site, any_of })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bind::bind;
    use crate::bundle::Bundle;
    use crate::lint::tests::{FLEET, SHOP};
    use crate::plan::{Mode, Request};
    use crate::source::SourceFile;

    #[test]
    fn who_makes_the_old_primary_one_again_proves_that_the_new_one_is_none() {
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
            mode: Mode::Emergency,
            inputs: Default::default(),
        };
        let plan = bind(&bundle, &request).unwrap();
        let proofs: Vec<&Action> = plan.steps.iter().filter_map(|step| step.undo_proof.as_deref()).collect();
        let [Action::FenceProve { site, any_of }] = proofs[..] else { panic!("{proofs:?}") };
        let [FenceProof::WritesRefused { databases, witness }] = &any_of[..] else { panic!("{any_of:?}") };
        let sites = |servers: &[Database]| servers.iter().map(|db| db.site.to_string()).collect::<Vec<_>>();
        assert_eq!(
            (site.as_str(), sites(databases), sites(witness)),
            ("b", vec!["b".into()], vec!["a".into()])
        );
    }
}
